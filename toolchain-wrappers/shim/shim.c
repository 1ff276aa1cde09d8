/* The shim: answers to the name of every modelled tool, and does as the recorder says.
 *
 * It knows nothing of tools. It sends its argv, directory and environment to the recorder (gg/record/protocol.py),
 * then either writes the bytes it is given and exits, or executes the program it is given. Where no recorder answers, for
 * gg-infer was killed or has ended before what its command left running, it executes the real tool, and gg-force makes the
 * placeholders among its inputs (no_recorder.c).
 *
 * Linked statically and without stdio, because it is started once for each compile and must start where there is no
 * /bin/sh and no /usr/bin/env.
 *
 * It is also the interpreter of executable placeholders, `#!gg-shim --gg-placeholder`: it has the placeholder forced,
 * by the recorder if there is one and by gg-force otherwise, and executes the same path again.
 *
 * And it starts programs that nothing can be preloaded into, `gg-shim --gg-watch PATH ARGV...` (watch.c), and such as
 * shall ignore signals that Python cannot hand on, `gg-shim --gg-ignoring 13,17 PATH ARGV...`.
 */
#define _GNU_SOURCE
#include "no_recorder.h"
#include "../common/called.h"
#include "../common/placeholder.h"
#include "watch.h"
#include "../common/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATUS_NO_RECORDER 125
#define STATUS_CANNOT_RUN 126
#define STATUS_NOT_FOUND 127
#define TRIED "GG_PLACEHOLDER_TRIED"

extern char **environ;

static char here[4096];

static void say(const char *const parts[])
{
    char line[2048];
    size_t used = 0;
    for (; *parts != NULL; parts++) {
        size_t size = strlen(*parts);
        if (size > sizeof line - 1 - used)
            size = sizeof line - 1 - used;
        memcpy(line + used, *parts, size);
        used += size;
    }
    line[used++] = '\n';
    gg_write_all(STDERR_FILENO, line, used); /* one write: lines of parallel shims do not mix */
}

#define SAY(...) say((const char *const[]){"gg: ", __VA_ARGS__, NULL})

static const char *why(int error)
{
    switch (error) {
    case ENOENT:
        return "no such file";
    case EACCES:
        return "permission denied";
    case ENOEXEC:
        return "not an executable";
    case E2BIG:
        return "argument list too long";
    case ENOTDIR:
        return "not a directory";
    case ELOOP:
        return "too many symbolic links";
    case ENOMEM:
        return "no memory";
    case ETXTBSY:
        return "the file is being written";
    default:
        return "it cannot be executed";
    }
}

/* "NAME=value" or "NAME" against another: the same variable? */
static int same_name(const char *a, const char *b)
{
    size_t size = strcspn(a, "=");
    return strcspn(b, "=") == size && memcmp(a, b, size) == 0;
}

/* Where the environment holds GG_EXEC_PATH it is taken out and its value returned, else "". */
static const char *take_exec_path(void)
{
    const char *value = "";
    char **to = environ;
    for (char **from = environ; *from != NULL; from++) {
        if (strncmp(*from, "GG_EXEC_PATH=", 13) == 0)
            value = *from + 13;
        else
            *to++ = *from;
    }
    *to = NULL;
    return value;
}

static _Noreturn void leave(const struct gg_reply *r)
{
    int failed = gg_write_all(STDOUT_FILENO, r->out, r->out_size) != 0;
    failed |= gg_write_all(STDERR_FILENO, r->err, r->err_size) != 0;
    if (r->status < 0) { /* the tool was killed by a signal, and so are we */
        signal(-r->status, SIG_DFL);
        raise(-r->status);
        _exit(128 - r->status);
    }
    _exit(failed && r->status == 0 ? 1 : r->status & 255);
}

/* -1, and told, when it was not made. */
static int run_gg_force(char *path)
{
    char *paths[] = {path, NULL};
    int status = gg_run_gg_force(paths);
    if (status == STATUS_NOT_FOUND)
        SAY(path, ": it is a placeholder, and gg-force is not on PATH to make the real file");
    else if (status != 0)
        SAY(path, ": it is a placeholder, and gg-force could not make the real file");
    return status == 0 ? 0 : -1;
}

/* By the recorder, if there is one. */
static int have_forced(const char *socket_path, char *path, char *const argv[])
{
    char full[8192];
    if (path[0] != '/') {
        if (strlen(here) + strlen(path) + 2 > sizeof full) {
            SAY("cannot run ", path, ": its path is too long");
            return -1;
        }
        stpcpy(stpcpy(stpcpy(full, here), "/"), path);
        path = full;
    }
    struct gg_reply reply;
    if (socket_path == NULL || gg_ask(socket_path, GG_FORCE, 0, path, here, argv, NULL, &reply) != NULL)
        return run_gg_force(path);
    if (reply.kind == GG_FAILED)
        gg_write_all(STDERR_FILENO, reply.err, reply.err_size);
    return reply.kind == GG_READY ? 0 : -1;
}

/* For when the kernel cannot watch: force the files that the arguments name before the program starts, and say so. */
static void force_arguments(const char *socket_path, const char *path, char *const argv[])
{
    struct gg_reply reply;
    if (gg_ask(socket_path, GG_UNWATCHED, 0, path, here, argv, NULL, &reply) == NULL)
        gg_reply_free(&reply);
    for (size_t i = 1; argv[0] != NULL && argv[i] != NULL; i++) {
        char *equals = strchr(argv[i], '=');
        char *name = gg_placeholder_at(argv[i]) || equals == NULL ? argv[i] : equals + 1;
        if (gg_placeholder_at(name) && have_forced(socket_path, name, argv) != 0)
            _exit(STATUS_CANNOT_RUN);
    }
}

/* Is this one of gg's own programs, which are beside the shim? gg-trace could not see the calls of watched programs. */
static int is_ours(const char *path)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    const char *slash = strrchr(path, '/');
    self[n > 0 ? n : 0] = '\0';
    const char *end = strrchr(self, '/');
    return end != NULL && slash != NULL && slash - path == end - self && memcmp(path, self, (size_t)(end - self)) == 0;
}

/* Before `path` is executed: placeholders that it reads will be forced, whatever program it is. 1 if it is watched. `must`: the
 * interposer has found that it cannot reach this program. */
static int watch(const char *path, char *const argv[], int must)
{
    const char *socket_path = getenv("GG_SOCKET");
    if (socket_path == NULL || is_ours(path) || gg_placeholder_at(path) || !(must || gg_is_unreached(path)))
        return 0;
    if (gg_watch(socket_path) == 0)
        return setenv("GG_WATCHED", "1", 1) == 0;
    force_arguments(socket_path, path, argv);
    return 0;
}

static _Noreturn void become(const struct gg_reply *r)
{
    size_t have = 0;
    while (environ[have] != NULL)
        have++;
    size_t size = (have + 3 + (size_t)r->argc + r->envc) * sizeof(char *);
    char **list = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (list == MAP_FAILED) {
        SAY("no memory");
        _exit(STATUS_NO_RECORDER);
    }
    /* The strings stay in the reply; execve wants them writable by type only. */
    char *at = (char *)(uintptr_t)r->strings;
    char *program = at;
    char **argv = list;
    for (uint32_t i = 0; i < r->argc; i++)
        argv[i] = at += strlen(at) + 1;
    char **envp = list + r->argc + 1;
    memcpy(envp, environ, have * sizeof(char *));
    for (uint32_t i = 0; i < r->envc; i++) {
        at += strlen(at) + 1;
        size_t kept = 0;
        for (size_t j = 0; j < have; j++)
            if (!same_name(envp[j], at))
                envp[kept++] = envp[j];
        have = kept;
        if (strchr(at, '=') != NULL)
            envp[have++] = at;
        envp[have] = NULL;
    }
    if (watch(program, argv, 0)) {
        envp[have++] = (char *)"GG_WATCHED=1";
        envp[have] = NULL;
    }
    execve(program, argv, envp);
    int error = errno;
    SAY("cannot run ", program, ": ", why(error));
    _exit(error == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN);
}

/* argv: the shim, the flag, the placeholder, and the arguments it was called with. */
static _Noreturn void run_placeholder(char *argv[])
{
    char *path = argv[2];
    const char *tried = getenv(TRIED);
    const char *socket_path = getenv("GG_SOCKET");
    int failed = 0, hidden = access(path, R_OK) != 0; /* may be executed, and not read */
    if (hidden || gg_placeholder_at(path)) {
        if (tried != NULL && strcmp(tried, path) == 0) {
            SAY("cannot run ", path, ": it is still a placeholder after it was forced");
            _exit(STATUS_CANNOT_RUN);
        }
        setenv(TRIED, path, 1);
        failed = have_forced(socket_path, path, argv + 2);
    } else {
        unsetenv(TRIED); /* someone else forced it meanwhile */
    }
    if (failed)
        _exit(STATUS_CANNOT_RUN);
    if (!hidden && !gg_placeholder_at(path))
        unsetenv(TRIED);
    watch(path, argv + 2, 0);
    execv(path, argv + 2);
    SAY("cannot run ", path, ": ", why(errno));
    _exit(STATUS_CANNOT_RUN);
}

static _Noreturn void run_watched(const char *path, char *argv[], int must)
{
    watch(path, argv, must);
    execv(path, argv);
    int error = errno;
    SAY("cannot run ", path, ": ", why(error));
    _exit(error == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN);
}

/* No recorder answers. */
static _Noreturn void run_alone(const char *path, char *argv[])
{
    const char *program = gg_real_program(path, argv, here);
    if (program != NULL)
        run_watched(program, argv, 0);
    SAY(argv[0], ": command not found");
    _exit(STATUS_NOT_FOUND);
}

static void ignore(const char *numbers)
{
    for (char *end; *numbers != '\0'; numbers = end + (*end == ','))
        signal((int)strtol(numbers, &end, 10), SIG_IGN);
}

int main(int argc, char *argv[])
{
    gg_room = getenv("GG_ROOM");
    const char *cwd = getcwd(here, sizeof here);
    if (cwd == NULL)
        cwd = getcwd(NULL, 0); /* deeper than PATH_MAX: the C library walks up */
    if (argc >= 3 && strcmp(argv[1], GG_PLACEHOLDER_FLAG) == 0)
        run_placeholder(argv);
    if (argc >= 4 && strcmp(argv[1], "--gg-watch") == 0) {
        if (getenv("GG_SOCKET") != NULL && getenv("GG_BYPASS") == NULL)
            gg_note_called(getenv("GG_SOCKET"), getpid(), 3); /* the program may execute a tool in its place */
        run_watched(argv[2], argv + 3, 1);
    }
    if (argc >= 5 && strcmp(argv[1], "--gg-ignoring") == 0) {
        ignore(argv[2]);
        run_watched(argv[3], argv + 4, 0);
    }
    if (argc == 2 && strcmp(argv[1], "--gg-can-watch") == 0)
        return gg_watch("") != 0; /* gg doctor */
    const char *path = take_exec_path();
    const char *socket_path = getenv("GG_SOCKET");
    if (argc == 0)
        return STATUS_CANNOT_RUN;
    if (argc >= 3 && strcmp(argv[1], "--gg-force") == 0)
        return run_gg_force(argv[2]) != 0;
    mode_t mask = umask(0);
    umask(mask);
    struct gg_reply reply;
    if (socket_path == NULL ||
        gg_ask(socket_path, GG_CALL, (uint32_t)mask, path, cwd != NULL ? cwd : "", argv, environ, &reply) != NULL ||
        (reply.kind != GG_EXIT && reply.kind != GG_EXEC))
        run_alone(path, argv);
    if (reply.kind == GG_EXEC)
        become(&reply);
    leave(&reply);
}
