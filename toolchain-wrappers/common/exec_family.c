#define _GNU_SOURCE
#include "exec_family.h"
#include "interpose.h"

#include <alloca.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern char **environ;

void gg_remember(struct gg_kept kept[])
{
    for (struct gg_kept *k = kept; k->name != NULL; k++) {
        k->value = NULL;
        size_t n = strlen(k->name);
        for (char **e = environ; e != NULL && *e != NULL && k->value == NULL; e++)
            if (strncmp(*e, k->name, n) == 0)
                k->value = *e;
        if (k->value == NULL)
            continue;
        size_t size =
            strlen(k->value) + 1; /* the program may overwrite its environment; mmap, as malloc may be its own */
        char *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        k->value = copy == MAP_FAILED ? k->value : memcpy(copy, k->value, size);
    }
}

static const char *value_in(char *const envp[], const char *name)
{
    size_t n = strlen(name);
    for (; envp != NULL && *envp != NULL; envp++)
        if (strncmp(*envp, name, n) == 0)
            return *envp;
    return NULL;
}

static int is_preload(const struct gg_kept *k)
{
    return strcmp(k->name, "LD_PRELOAD=") == 0;
}

/* Does the environment have what `k` holds? If not, it must be added. A list of libraries must hold ours. */
static int has(const char *there, const struct gg_kept *k)
{
    return k->value == NULL ||
           (there != NULL && (!is_preload(k) || strstr(there, k->value + strlen(k->name)) != NULL));
}

size_t gg_keep_pointers(char *const envp[], const struct gg_kept kept[])
{
    size_t n = 1;
    for (; envp != NULL && *envp != NULL; envp++)
        n++;
    for (; kept->name != NULL; kept++)
        n++;
    return n;
}

size_t gg_keep_bytes(char *const envp[], const struct gg_kept kept[])
{
    size_t n = 1;
    for (; kept->name != NULL; kept++) {
        const char *there = value_in(envp, kept->name);
        if (is_preload(kept) && there != NULL && !has(there, kept))
            n += strlen(there) + strlen(kept->value) + 2;
    }
    return n;
}

char *const *gg_keep(char *const envp[], const struct gg_kept kept[], char **list, char *bytes)
{
    int missing = 0;
    size_t n = 0;
    for (const struct gg_kept *k = kept; k->name != NULL; k++)
        missing |= !has(value_in(envp, k->name), k);
    if (!missing)
        return envp;
    for (; envp != NULL && envp[n] != NULL; n++)
        list[n] = envp[n];
    for (const struct gg_kept *k = kept; k->name != NULL; k++) {
        const char *there = value_in(envp, k->name);
        if (has(there, k))
            continue;
        if (there == NULL) {
            list[n++] = (char *)(size_t)k->value;
            continue;
        }
        for (size_t i = 0; i < n; i++)
            if (list[i] == there)
                list[i] = bytes;
        bytes = stpcpy(stpcpy(stpcpy(bytes, k->value), ":"), there + strlen(k->name)) + 1;
    }
    list[n] = NULL;
    return list;
}

GG_EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
    return gg_exec(AT_FDCWD, path, argv, envp, 0);
}

GG_EXPORT int execv(const char *path, char *const argv[])
{
    return gg_exec(AT_FDCWD, path, argv, environ, 0);
}

GG_EXPORT int execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags)
{
    return gg_exec(dir, path, argv, envp, flags);
}

GG_EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
    return gg_exec(fd, "", argv, envp, AT_EMPTY_PATH);
}

/* Execute a file. One that the kernel does not know how to execute is a script without a `#!` line. */
static int exec_or_script(const char *path, char *const argv[], char *const envp[])
{
    gg_exec(AT_FDCWD, path, argv, envp, 0);
    if (errno != ENOEXEC)
        return -1;
    size_t argc = 0;
    while (argv[argc] != NULL)
        argc++;
    char **script = alloca((argc + 3) * sizeof *script);
    script[0] = (char *)(size_t) "/bin/sh";
    script[1] = (char *)(size_t)path;
    for (size_t i = 1; i <= argc; i++)
        script[i + 1] = argv[i];
    if (argc == 0)
        script[2] = NULL;
    return gg_exec(AT_FDCWD, script[0], script, envp, 0);
}

/* The next candidate along PATH in `full`; *list moves on. 0 at the end. */
static int candidate(const char **list, const char *name, char full[PATH_MAX])
{
    while (*list != NULL) {
        const char *start = *list;
        size_t n = strcspn(start, ":");
        *list = start[n] == ':' ? start + n + 1 : NULL;
        if (n + 1 + strlen(name) >= PATH_MAX)
            continue;
        memcpy(full, start, n);
        if (n > 0)
            full[n++] = '/';
        strcpy(full + n, name);
        return 1;
    }
    return 0;
}

static const char *search_path(void)
{
    const char *list = getenv("PATH");
    return list != NULL ? list : "/bin:/usr/bin";
}

GG_EXPORT int execvpe(const char *name, char *const argv[], char *const envp[])
{
    char full[PATH_MAX];
    int denied = 0;
    if (name[0] == '\0') {
        errno = ENOENT;
        return -1;
    }
    if (strchr(name, '/') != NULL)
        return exec_or_script(name, argv, envp);
    const char *list = search_path();
    while (candidate(&list, name, full)) {
        exec_or_script(full, argv, envp);
        if (errno == EACCES)
            denied = 1;
        else if (errno != ENOENT && errno != ENOTDIR && errno != ESTALE && errno != ENODEV && errno != ETIMEDOUT)
            return -1;
    }
    errno = denied ? EACCES : ENOENT;
    return -1;
}

GG_EXPORT int execvp(const char *name, char *const argv[])
{
    return execvpe(name, argv, environ);
}

/* The first argument is not NULL, which the C library demands too. */
static size_t count_arguments(va_list list)
{
    size_t n = 1;
    while (va_arg(list, char *) != NULL)
        n++;
    return n;
}

/* argv on the stack from a variable argument list; for execle the environment follows the NULL. */
#define COLLECT(first, argv)                         \
    va_list list;                                    \
    va_start(list, first);                           \
    size_t argc = count_arguments(list);             \
    va_end(list);                                    \
    char **argv = alloca((argc + 1) * sizeof *argv); \
    va_start(list, first);                           \
    argv[0] = (char *)(size_t)first;                 \
    for (size_t i = 1; i <= argc; i++)               \
    argv[i] = va_arg(list, char *)

GG_EXPORT int execl(const char *path, const char *first, ...)
{
    COLLECT(first, argv);
    va_end(list);
    return gg_exec(AT_FDCWD, path, argv, environ, 0);
}

GG_EXPORT int execlp(const char *name, const char *first, ...)
{
    COLLECT(first, argv);
    va_end(list);
    return execvpe(name, argv, environ);
}

GG_EXPORT int execle(const char *path, const char *first, ...)
{
    COLLECT(first, argv);
    char **envp = va_arg(list, char **);
    va_end(list);
    return gg_exec(AT_FDCWD, path, argv, envp, 0);
}

int gg_next_spawn(enum gg_spawner by, int *started, const char *path, const posix_spawn_file_actions_t *actions,
                  const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
    typedef int (*spawn_function)(int *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
                                  char *const[], char *const[]);
    static spawn_function next[2];
    if (next[by] == NULL)
        next[by] = (spawn_function)gg_next(by == GG_POSIX_SPAWN ? "posix_spawn" : "pidfd_spawn");
    return next[by] == NULL ? ENOSYS : next[by](started, path, actions, attributes, argv, envp);
}

static int spawn_by_name(enum gg_spawner by, int *started, const char *name, const posix_spawn_file_actions_t *actions,
                         const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
    char full[PATH_MAX];
    if (strchr(name, '/') != NULL)
        return gg_spawn(by, started, name, actions, attributes, argv, envp);
    const char *list = search_path();
    while (candidate(&list, name, full))
        if (gg_can_execute(full))
            return gg_spawn(by, started, full, actions, attributes, argv, envp);
    return ENOENT;
}

GG_EXPORT int posix_spawn(pid_t *restrict pid, const char *restrict path, const posix_spawn_file_actions_t *actions,
                          const posix_spawnattr_t *restrict attributes, char *const argv[restrict],
                          char *const envp[restrict])
{
    return gg_spawn(GG_POSIX_SPAWN, pid, path, actions, attributes, argv, envp);
}

GG_EXPORT int posix_spawnp(pid_t *restrict pid, const char *restrict name, const posix_spawn_file_actions_t *actions,
                           const posix_spawnattr_t *restrict attributes, char *const argv[restrict],
                           char *const envp[restrict])
{
    return spawn_by_name(GG_POSIX_SPAWN, pid, name, actions, attributes, argv, envp);
}

GG_EXPORT int pidfd_spawn(int *restrict fd, const char *restrict path,
                          const posix_spawn_file_actions_t *restrict actions,
                          const posix_spawnattr_t *restrict attributes, char *const argv[restrict],
                          char *const envp[restrict])
{
    return gg_spawn(GG_PIDFD_SPAWN, fd, path, actions, attributes, argv, envp);
}

GG_EXPORT int pidfd_spawnp(int *restrict fd, const char *restrict name,
                           const posix_spawn_file_actions_t *restrict actions,
                           const posix_spawnattr_t *restrict attributes, char *const argv[restrict],
                           char *const envp[restrict])
{
    return spawn_by_name(GG_PIDFD_SPAWN, fd, name, actions, attributes, argv, envp);
}
