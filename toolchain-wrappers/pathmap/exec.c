/* Starting programs, and the libraries they load.
 *
 * The kernel and the dynamic loader look at real paths, not through our functions. So a script's interpreter is found
 * here and executed in its stead; a program whose loader is declared to stand elsewhere is started through that
 * loader; and what the loader brought in is looked up afterwards, which marks or reports it.
 */
#define _GNU_SOURCE
#include "../common/exec_family.h"
#include "../common/program.h"
#include "pathmap.h"

#include <alloca.h>
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCRIPT_DEPTH 5
#define SCRIPT_LINE 256

static struct gg_kept kept[] = {{"LD_PRELOAD=", NULL}, {"GG_MAP=", NULL}, {NULL, NULL}};

struct start { /* what to do once it is known what to execute */
    int (*then)(struct start *start, const char *real, char *const argv[], char *const envp[]);
    int dir, flags, error;
    enum gg_spawner by;
    int *started;
    const posix_spawn_file_actions_t *actions;
    const posix_spawnattr_t *attributes;
};

static int find_program(int dir, const char *path, int flags, struct gg_place *p)
{
    struct stat st;
    if (gg_resolve(dir, path, flags & AT_SYMLINK_NOFOLLOW ? GG_NOFOLLOW : GG_FOLLOW, p) != 0)
        return -1;
    switch (p->where) {
    case GG_ABSENT:
        return gg_refuse_absent(p);
    case GG_DIR:
        return gg_refuse(EACCES);
    case GG_LINK:
        return gg_refuse(ELOOP);
    case GG_FILE:
        gg_mark(p->record, GG_READ);
        return p->must_be_directory ? gg_refuse(ENOTDIR) : 0;
    case GG_UNDECLARED:
        if (sys_fstatat(AT_FDCWD, p->path, &st, 0) != 0) {
            gg_missed(p);
            return -1;
        }
        return S_ISREG(st.st_mode) ? gg_undeclared(p) : 0;
    case GG_OUTSIDE:
        gg_mark(p->record, GG_READ);
        gg_watch(p);
        break;
    case GG_OVERLAY:
        break;
    }
    return 0;
}

static size_t count(char *const list[])
{
    size_t n = 0;
    while (list != NULL && list[n] != NULL)
        n++;
    return n;
}

static int start(struct start *s, int dir, const char *path, char *const argv[], char *const envp[], int depth);

/* The script keeps the name it was called by. */
static int start_script(struct start *s, const struct gg_place *p, const char *path, char *program, char *argument,
                        char *const argv[], char *const envp[], int depth)
{
    if (depth >= SCRIPT_DEPTH)
        return gg_refuse(ELOOP);
    if (sys_access(p->real, X_OK) != 0)
        return -1;
    if (*program == '\0')
        return gg_refuse(ENOEXEC);
    size_t argc = count(argv), n = 0;
    char **list = alloca((argc + 4) * sizeof *list);
    list[n++] = program;
    if (*argument != '\0')
        list[n++] = argument;
    list[n++] = (char *)(size_t)path;
    for (size_t i = 1; i < argc; i++)
        list[n++] = argv[i];
    list[n] = NULL;
    return start(s, AT_FDCWD, program, list, envp, depth + 1);
}

/* LOADER --library-path LIBRARIES --argv0 NAME PROGRAM ARGUMENTS. The program learns its own name from GG_EXE. */
static int start_by_loader(struct start *s, const char *loader, const char *libraries, struct gg_place *p,
                           char *const argv[], char *const envp[])
{
    size_t argc = count(argv), envc = count(envp), n = 0, m = 1;
    char **list = alloca((argc + 8) * sizeof *list);
    char **env = alloca((envc + 2) * sizeof *env);
    char *own = alloca(p->size + 8);
    list[n++] = (char *)(size_t)loader;
    list[n++] = (char *)(size_t) "--library-path";
    list[n++] = (char *)(size_t)libraries;
    list[n++] = (char *)(size_t) "--argv0";
    list[n++] = argc > 0 ? argv[0] : p->path;
    list[n++] = (char *)(size_t)p->real;
    for (size_t i = 1; i < argc; i++)
        list[n++] = argv[i];
    list[n] = NULL;
    stpcpy(stpcpy(own, "GG_EXE="), p->path);
    env[0] = own;
    for (size_t i = 0; i < envc; i++)
        if (strncmp(envp[i], "GG_EXE=", 7) != 0)
            env[m++] = envp[i];
    env[m] = NULL;
    return s->then(s, loader, list, env);
}

static int start_elf(struct start *s, enum gg_elf elf, const char *interpreter, struct gg_place *p, char *const argv[],
                     char *const envp[])
{
    struct gg_place loader;
    if (elf != GG_HAS_LOADER) { /* such a program would see the real tree, and write to it */
        gg_report('S', p->hash, p->path);
        if (!(gg_the_map()->flags & GG_WATCH) && p->where != GG_OUTSIDE)
            return gg_refuse(EACCES);
    }
    if (elf == GG_HAS_LOADER && find_program(AT_FDCWD, interpreter, 0, &loader) == 0) {
        const char *libraries = gg_libraries_for(p->path);
        if (libraries == NULL)
            libraries = gg_libraries_for(interpreter);
        if (libraries != NULL && loader.where == GG_FILE && loader.real != loader.path)
            return start_by_loader(s, loader.real, libraries, p, argv, envp);
    } else if (elf == GG_HAS_LOADER && (gg_the_map()->flags & GG_ALIEN)) {
        return gg_refuse(ENOENT); /* the kernel would start it by what the host has at that path */
    }
    return s->then(s, p->real, argv, envp);
}

static int start(struct start *s, int dir, const char *path, char *const argv[], char *const envp[], int depth)
{
    struct gg_place p;
    char head[SCRIPT_LINE + 1], interpreter[SCRIPT_LINE];
    if (!gg_the_map()->active || path[0] == '\0')
        return s->then(s, path, argv, envp);
    if (find_program(dir, path, depth == 0 ? s->flags : 0, &p) != 0)
        return -1;
    int fd = sys_openat(AT_FDCWD, p.real, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return s->then(s, p.real, argv, envp);
    long n = gg_read_at(fd, head, SCRIPT_LINE, 0);
    size_t size = n > 0 ? (size_t)n : 0;
    enum gg_elf elf = gg_elf_loader(fd, head, size, interpreter, sizeof interpreter);
    syscall(SYS_close, fd);
    char *argument, *program = gg_script_interpreter(head, size, &argument);
    if (program != NULL)
        return start_script(s, &p, dir == AT_FDCWD ? path : p.path, program, argument, argv, envp, depth);
    return elf == GG_NO_ELF ? s->then(s, p.real, argv, envp) : start_elf(s, elf, interpreter, &p, argv, envp);
}

#define KEEP(envp, env)                                                      \
    char **pointers = alloca(gg_keep_pointers(envp, kept) * sizeof(char *)); \
    char *bytes = alloca(gg_keep_bytes(envp, kept));                         \
    char *const *env = gg_keep(envp, kept, pointers, bytes)

static int then_exec(struct start *s, const char *real, char *const argv[], char *const envp[])
{
    if (real[0] == '\0' || !gg_the_map()->active)
        return (int)syscall(SYS_execveat, s->dir, real, argv, envp, s->flags);
    return (int)syscall(SYS_execve, real, argv, envp);
}

int gg_exec(int dir, const char *path, char *const argv[], char *const envp[], int flags)
{
    KEEP(envp, env);
    struct start s = {.then = then_exec, .dir = dir, .flags = flags};
    return start(&s, dir, path, argv, env, 0);
}

static int then_spawn(struct start *s, const char *real, char *const argv[], char *const envp[])
{
    s->error = gg_next_spawn(s->by, s->started, real, s->actions, s->attributes, argv, envp);
    return 0;
}

int gg_spawn(enum gg_spawner by, int *started, const char *path, const posix_spawn_file_actions_t *actions,
             const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
    KEEP(envp, env);
    struct start s = {.then = then_spawn, .by = by, .started = started, .actions = actions, .attributes = attributes};
    int saved = errno;
    int failed = start(&s, AT_FDCWD, path, argv, env, 0) != 0;
    int error = failed ? errno : s.error;
    errno = saved;
    return error;
}

int gg_can_execute(const char *path)
{
    struct stat st;
    return gg_access(AT_FDCWD, path, X_OK, 0) == 0 && gg_stat(AT_FDCWD, path, &st, 0) == 0 && S_ISREG(st.st_mode);
}

/* The child opens the file itself, past our functions: give it the place that we would open. */
GG_EXPORT int posix_spawn_file_actions_addopen(posix_spawn_file_actions_t *restrict actions, int fd,
                                               const char *restrict path, int flags, mode_t mode)
{
    static int (*next)(posix_spawn_file_actions_t *, int, const char *, int, mode_t);
    if (next == NULL)
        next = (int (*)(posix_spawn_file_actions_t *, int, const char *, int, mode_t))gg_next(
            "posix_spawn_file_actions_addopen");
    struct gg_place p;
    int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
    if (gg_resolve(AT_FDCWD, path, GG_FOLLOW, &p) != 0)
        return next(actions, fd, path, flags, mode); /* it will fail there in the same way */
    if (p.where == GG_OUTSIDE)
        return next(actions, fd, path, flags, mode);
    if (writes) {
        int made = gg_open(AT_FDCWD, path, flags & ~O_TRUNC, mode);
        if (made >= 0)
            syscall(SYS_close, made);
        if (made < 0 || gg_resolve(AT_FDCWD, path, GG_FOLLOW, &p) != 0)
            return errno;
    } else {
        int there = gg_open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
        if (there >= 0)
            syscall(SYS_close, there);
    }
    return next(actions, fd, p.real, flags & ~O_EXCL, mode);
}

/* system and popen start the shell past our functions, so the shell is looked up here, to be marked or reported. */
GG_EXPORT int system(const char *command)
{
    static int (*next)(const char *);
    struct gg_place p;
    if (next == NULL)
        next = (int (*)(const char *))gg_next("system");
    return find_program(AT_FDCWD, "/bin/sh", 0, &p) != 0 ? (command == NULL ? 0 : 127 << 8) : next(command);
}

GG_EXPORT FILE *popen(const char *command, const char *mode)
{
    static FILE *(*next)(const char *, const char *);
    struct gg_place p;
    if (next == NULL)
        next = (FILE * (*)(const char *, const char *)) gg_next("popen");
    return find_program(AT_FDCWD, "/bin/sh", 0, &p) != 0 ? NULL : next(command, mode);
}

/* A library in one of the directories of an I record is a declared one under another name. */
static int mark_by_target(const char *name)
{
    const struct gg_map *map = gg_the_map();
    char target[PATH_MAX];
    ssize_t n = sys_readlink(name, target, sizeof target);
    int found = 0;
    for (uint32_t i = 0; i < map->used; i++) {
        const struct gg_record *r = &map->records[i];
        if (r->kind != 'F' || r->target[0] == '\0')
            continue;
        if (strcmp(r->target, name) == 0 ||
            (n > 0 && strlen(r->target) == (size_t)n && memcmp(r->target, target, (size_t)n) == 0)) {
            gg_mark(r, GG_READ);
            found = 1;
        }
    }
    return found;
}

/* A file that the kernel or the loader has read already, whatever the flags say. */
static void note_loaded(const char *name, int reports)
{
    struct gg_place p;
    struct stat st;
    if (gg_resolve(AT_FDCWD, name, GG_FOLLOW, &p) != 0)
        return;
    gg_mark(p.record, GG_READ);
    int alien = p.where == GG_ABSENT && p.watched; /* loaded from where the runner has put it */
    if (reports && (p.where == GG_UNDECLARED || alien) && sys_lstat(p.path, &st) == 0 && !mark_by_target(p.path))
        gg_report(alien ? 'M' : 'U', p.hash, p.path); /* or by the loader itself, which asks nobody */
}

static int note_library(struct dl_phdr_info *info, size_t size, void *data)
{
    const char *name = info->dlpi_name;
    const char *ours = kept[0].value != NULL ? kept[0].value : "";
    (void)size;
    (void)data;
    if (name != NULL && name[0] == '/' && strstr(ours, name) == NULL)
        note_loaded(name, 1);
    return 0;
}

static void note_libraries(void)
{
    int saved = errno;
    dl_iterate_phdr(note_library, NULL);
    errno = saved;
}

/* The thunk's first process was not started through our functions; programs that were have been looked up by their names. */
static void note_program(void)
{
    char name[PATH_MAX];
    ssize_t n = sys_readlink("/proc/self/exe", name, sizeof name - 1);
    if (n <= 0)
        return;
    name[n] = '\0';
    mark_by_target(name);
    note_loaded(name, 0);
}

__attribute__((noinline)) static const char *place_of_library(const char *name)
{
    struct gg_place p;
    if (name == NULL || strchr(name, '/') == NULL || find_program(AT_FDCWD, name, 0, &p) != 0)
        return name;
    return p.real == p.path ? name : p.real == p.overlay ? strdup(p.overlay) : p.real;
}

/* Plugins are loaded by path. A bare name is searched for in what the *caller* says (its RUNPATH), which the C library
 * knows by the return address: so this must end in a jump, and has nothing on its stack that would forbid one. */
GG_EXPORT void *dlopen(const char *name, int flags)
{
    static void *(*next)(const char *, int);
    if (next == NULL)
        next = (void *(*)(const char *, int))gg_next("dlopen");
    return next(gg_the_map()->active ? place_of_library(name) : name, flags);
}

/* Note the libraries that dlopen has loaded meanwhile. */
__attribute__((destructor)) static void end(void)
{
    if (gg_the_map()->active)
        note_libraries();
}

__attribute__((constructor)) static void begin(void)
{
    gg_remember(kept);
    if (!gg_the_map()->active)
        return;
    note_program();
    note_libraries();
}
