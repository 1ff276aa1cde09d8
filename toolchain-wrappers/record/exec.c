/* A modelled tool that is executed by its path becomes the shim: CMake, Meson, libtool and compiler wrappers never
 * look at PATH. The shim is told which program was meant, in GG_EXEC_PATH. */
#define _GNU_SOURCE
#include "record.h"

#include "../common/exec_family.h"
#include "../common/wire.h"

#include <alloca.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct gg_kept kept[] = {
    {"LD_PRELOAD=", NULL},  {"GG_SOCKET=", NULL}, {"GG_SHIM=", NULL},    {"GG_SHIMS=", NULL}, {"GG_TOOLS=", NULL},
    {"GG_DECLARED=", NULL}, {"GG_ROOT=", NULL},   {"GG_WATCHED=", NULL}, {"GG_ROOM=", NULL},  {NULL, NULL}};
static const struct gg_kept nothing[] = {{NULL, NULL}};
static struct gg_session session;
static int begun;

static const char *kept_value(const char *name)
{
    for (const struct gg_kept *k = kept; k->name != NULL; k++)
        if (strcmp(k->name, name) == 0)
            return k->value != NULL ? k->value + strlen(name) : NULL;
    return NULL;
}

/* Take `directory` off the list in "PATH=…", in place: main's own environment may be a copy of the pointers. */
static void take_off(char *list, const char *directory)
{
    size_t n = strlen(directory);
    for (char *at = list; *at != '\0';) {
        size_t size = strcspn(at, ":");
        if (size != n || memcmp(at, directory, n) != 0)
            at += size + (at[size] == ':');
        else if (at[size] == ':')
            memmove(at, at + size + 1, strlen(at + size + 1) + 1);
        else {
            at[at > list ? -1 : 0] = '\0'; /* the last one */
            return;
        }
    }
}

__attribute__((constructor)) static void begin(void)
{
    if (begun)
        return;
    begun = 1;
    gg_remember(kept);
    session.socket = kept_value("GG_SOCKET=");
    session.shim = kept_value("GG_SHIM=");
    session.shims = kept_value("GG_SHIMS=");
    session.tools = kept_value("GG_TOOLS=");
    session.declared = kept_value("GG_DECLARED=");
    gg_room = kept_value("GG_ROOM=");
    session.root = kept_value("GG_ROOT=");
    session.bypass = getenv("GG_BYPASS") != NULL;
    char *path = getenv("PATH");
    if (path != NULL && session.socket != NULL && session.shims != NULL && strstr(path, session.shims) != NULL)
        take_off(path, session.shims);
}

const struct gg_session *gg_session(void)
{
    if (!begun) /* another library's constructor runs before ours */
        begin();
    return &session;
}

static int same_file(const struct stat *st, const char *other)
{
    struct stat o;
    return other != NULL && gg_status(AT_FDCWD, other, &o) == 0 && o.st_ino == st->st_ino && o.st_dev == st->st_dev;
}

/* Is this a tool to hand to the shim? Then its absolute path, behind "GG_EXEC_PATH=", is in `variable`. */
static int to_shim(int dir, const char *path, char *const envp[], char variable[PATH_MAX + 16])
{
    const struct gg_session *s = gg_session();
    struct stat st;
    if (s->socket == NULL || s->shim == NULL || s->bypass)
        return 0;
    for (char *const *e = envp; e != NULL && *e != NULL; e++)
        if (strncmp(*e, "GG_BYPASS=", 10) == 0)
            return 0;
    char full[PATH_MAX];
    if (path[0] == '\0') { /* fexecve */
        if (dir == AT_FDCWD || gg_absolute(dir, path, full) != 0)
            return 0;
    } else if ((strchr(path, '/') == NULL && dir == AT_FDCWD) || (!gg_is_tool(path) && s->declared == NULL) ||
               gg_absolute(dir, path, full) != 0) {
        return 0; /* a bare name given to execve is not a tool that was chosen by path */
    }
    if (!gg_is_tool(full) || access(full, X_OK) != 0 || gg_status(AT_FDCWD, full, &st) != 0 || !S_ISREG(st.st_mode) ||
        same_file(&st, s->shim))
        return 0;
    stpcpy(stpcpy(variable, "GG_EXEC_PATH="), full);
    return 1;
}

struct start {
    int (*then)(struct start *start, const char *path, char *const argv[], char *const envp[]);
    int dir, flags, error;
    enum gg_spawner by;
    int *started;
    const posix_spawn_file_actions_t *actions;
    const posix_spawnattr_t *attributes;
};

/* The last setting counts, so a user's own is kept. */
static int start_sanitized(struct start *s, const char *path, char *const argv[], char *const envp[])
{
    static const char name[] = "ASAN_OPTIONS=", ours[] = "ASAN_OPTIONS=verify_asan_link_order=0:";
    size_t n = gg_keep_pointers(envp, nothing) - 1, m = 0;
    const char *theirs = "";
    char **list = alloca((n + 2) * sizeof(char *));
    for (size_t i = 0; i < n; i++)
        if (strncmp(envp[i], name, sizeof name - 1) == 0)
            theirs = envp[i] + sizeof name - 1;
        else
            list[m++] = envp[i];
    list[m] = alloca(sizeof ours + strlen(theirs));
    stpcpy(stpcpy(list[m], ours), theirs);
    list[m + 1] = NULL;
    return s->then(s, path, argv, list);
}

/* The environment of a program that this library does not reach: it finds the shims on PATH. */
static char *const *with_shims(char *const envp[], char **with, char *path)
{
    const char *list = "/usr/bin:/bin";
    size_t m = 0;
    for (char *const *e = envp; *e != NULL; e++)
        if (strncmp(*e, "PATH=", 5) == 0)
            list = *e + 5;
        else
            with[m++] = *e;
    with[m] = path;
    stpcpy(stpcpy(stpcpy(stpcpy(path, "PATH="), gg_session()->shims), ":"), list);
    with[m + 1] = NULL;
    return with;
}

static size_t path_size(char *const envp[])
{
    size_t n = 32;
    for (; *envp != NULL; envp++)
        if (strncmp(*envp, "PATH=", 5) == 0)
            n += strlen(*envp);
    return n;
}

/* Such a program is started by the shim, which has the kernel watch what it reads. The shim itself is one. */
static int start_unreached(struct start *s, const char *path, char *const argv[], char *const envp[])
{
    const struct gg_session *ours = gg_session();
    char full[PATH_MAX];
    struct stat st;
    size_t n = 0;
    gg_look(AT_FDCWD, "/"); /* nobody tells what it looks at */
    if (ours->shims != NULL && !ours->bypass) {
        char **with = alloca((gg_keep_pointers(envp, nothing) + 1) * sizeof(char *));
        envp = with_shims(envp, with, alloca(strlen(ours->shims) + path_size(envp)));
    }
    if (gg_absolute(s->dir, path, full) != 0 || access(full, X_OK) != 0 || gg_status(AT_FDCWD, full, &st) != 0 ||
        !S_ISREG(st.st_mode) || ours->shim == NULL || access(ours->shim, X_OK) != 0 || same_file(&st, ours->shim) ||
        argv == NULL || argv[0] == NULL)
        return s->then(s, path, argv, envp);
    while (argv[n] != NULL)
        n++;
    char **more = alloca((n + 4) * sizeof(char *));
    more[0] = (char *)"gg-shim";
    more[1] = (char *)"--gg-watch";
    more[2] = s->dir == AT_FDCWD ? (char *)(size_t)path : full;
    memcpy(more + 3, argv, (n + 1) * sizeof(char *));
    s->dir = AT_FDCWD;
    s->flags = 0;
    return s->then(s, ours->shim, more, envp);
}

static int start_with_less(struct start *s, int dir, const char *path, char *const argv[], char *const envp[])
{
    struct gg_program program = {0, 0, 0};
    char **list = alloca(gg_keep_pointers(envp, nothing) * sizeof(char *));
    char *bytes = alloca(gg_less_bytes(envp));
    if (gg_force_path(dir, path) != 0 || gg_force_needed(dir, path, envp, &program) != 0)
        return -1;
    envp = gg_less(envp, list, bytes);
    return program.unreached ? start_unreached(s, path, argv, envp) : s->then(s, path, argv, envp);
}

/* May the shim install a seccomp filter and still let programs gain rights (seccomp(2))? Only root keeps the capability for that
 * when the shim is executed. */
static int may_filter(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    return getuid() == 0 && geteuid() == 0 && syscall(SYS_capget, &header, data) == 0 &&
           (data[0].effective & (1u << CAP_SYS_ADMIN)) != 0;
}

/* The loader preloads nothing into a program that gets another user's rights, nor into programs that it starts. The kernel
 * watches it like other unreached programs. If a filter would keep it from getting the rights, all placeholders are forced before
 * it starts, and the recorder is told. */
static int start_privileged(struct start *s, const char *path, char *const argv[], char *const envp[])
{
    struct gg_reply reply;
    char full[PATH_MAX];
    if (may_filter())
        return start_unreached(s, path, argv, envp);
    if (gg_ask(gg_session()->socket, GG_FORCE, 0, "", "/", argv, NULL, &reply) == NULL)
        gg_reply_free(&reply);
    if (gg_absolute(s->dir, path, full) == 0 &&
        gg_ask(gg_session()->socket, GG_UNWATCHED, 0, full, "/", argv, NULL, &reply) == NULL)
        gg_reply_free(&reply);
    return s->then(s, path, argv, envp);
}

/* Is this process in a sandbox without gg's files? Programs that start there run plainly, so everything that they might read is
 * forced before. If not even the recorder answers, a message says so. */
static int is_bare(void)
{
    return gg_session()->socket != NULL && gg_session()->shim != NULL && gg_is_away() &&
           access(gg_session()->shim, X_OK) != 0;
}

static void before_bare(const char *path, char *const argv[])
{
    struct gg_reply reply;
    char line[PATH_MAX + 100];
    if (gg_ask(gg_session()->socket, GG_FORCE, 0, "", "/", argv, NULL, &reply) == NULL) {
        gg_reply_free(&reply);
        return;
    }
    int n = snprintf(line, sizeof line, "gg: %s starts where gg cannot be reached: it may read placeholders\n", path);
    gg_write_all(STDERR_FILENO, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

static int start(struct start *s, int dir, const char *path, char *const argv[], char *const envp[])
{
    if (gg_session()->socket != NULL && gg_gets_less(path, argv, envp))
        return start_with_less(s, dir, path, argv, envp);
    if (is_bare()) {
        if (access(path, X_OK) == 0) /* else it is a try along PATH */
            before_bare(path, argv);
        return start_with_less(s, dir, path, argv, envp);
    }
    const struct gg_kept *keep = gg_session()->bypass || gg_session()->socket == NULL ? nothing : kept;
    char **pointers = alloca((gg_keep_pointers(envp, keep) + 1) * sizeof(char *));
    char *bytes = alloca(gg_keep_bytes(envp, keep));
    char *const *env = gg_keep(envp, keep, pointers, bytes);
    char variable[PATH_MAX + 16];
    int shim = to_shim(dir, path, envp, variable);
    if (!(shim && gg_is_declared(variable + 13)) && gg_force_path(dir, path) != 0)
        return -1; /* a declared tool may be a placeholder, and stay one */
    if (!shim) {
        struct gg_program program = {0, 0, 0};
        if (gg_force_needed(dir, path, env, &program) != 0)
            return -1;
        if (program.privileged && gg_session()->socket != NULL)
            return start_privileged(s, path, argv, env);
        if (program.unreached && gg_session()->socket != NULL)
            return start_unreached(s, path, argv, env);
        return program.sanitized ? start_sanitized(s, path, argv, env) : s->then(s, path, argv, env);
    }
    size_t n = gg_keep_pointers(env, nothing) - 1, m = 0;
    char **with = alloca((n + 2) * sizeof(char *));
    for (size_t i = 0; i < n; i++)
        if (strncmp(env[i], "GG_EXEC_PATH=", 13) != 0)
            with[m++] = env[i];
    with[m++] = variable;
    with[m] = NULL;
    s->dir = AT_FDCWD;
    s->flags = 0;
    return s->then(s, gg_session()->shim, argv, with);
}

static int then_exec(struct start *s, const char *path, char *const argv[], char *const envp[])
{
    typedef int (*execve_function)(const char *, char *const[], char *const[]);
    typedef int (*execveat_function)(int, const char *, char *const[], char *const[], int);
    static execve_function next;
    static execveat_function next_at;
    gg_becomes(s->dir, path);
    if (s->dir == AT_FDCWD && s->flags == 0) {
        if (next == NULL)
            next = (execve_function)gg_next("execve");
        return next(path, argv, envp);
    }
    if (next_at == NULL)
        next_at = (execveat_function)gg_next("execveat");
    return next_at(s->dir, path, argv, envp, s->flags);
}

int gg_exec(int dir, const char *path, char *const argv[], char *const envp[], int flags)
{
    struct start s = {.then = then_exec, .dir = dir, .flags = flags};
    return start(&s, dir, path, argv, envp);
}

static int then_spawn(struct start *s, const char *path, char *const argv[], char *const envp[])
{
    s->error = gg_next_spawn(s->by, s->started, path, s->actions, s->attributes, argv, envp);
    return 0;
}

int gg_spawn(enum gg_spawner by, int *started, const char *path, const posix_spawn_file_actions_t *actions,
             const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
    struct start s = {.then = then_spawn, .by = by, .started = started, .actions = actions, .attributes = attributes};
    int saved = errno;
    int dir = AT_FDCWD;
    int failed = gg_session()->socket != NULL && gg_before_spawn(actions, &dir) != 0;
    s.dir = dir;
    int error = failed || start(&s, dir, path, argv, envp) != 0 ? errno : s.error;
    if (dir != AT_FDCWD)
        close(dir);
    errno = saved;
    return error;
}

int gg_can_execute(const char *path)
{
    struct stat st;
    return access(path, X_OK) == 0 && gg_status(AT_FDCWD, path, &st) == 0 && S_ISREG(st.st_mode);
}
