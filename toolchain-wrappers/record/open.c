/* The C library's ways to open a file, each followed by a look whether a placeholder was opened (read.c). A file that is
 * emptied or made new by the open is nobody's to force. */
#define _GNU_SOURCE
#include "record.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

/* About to read a dependency file, or to add to it: the recorder lets the compiler write it first, if it is its own. */
static void before(int dir, const char *path, int reads)
{
    if (reads && path != NULL)
        gg_make_exact(dir, path);
}

#define ADDS(flags) (((flags) & (O_CREAT | O_TRUNC | O_EXCL)) == O_CREAT)
#define READS(flags) (!((flags) & (O_TRUNC | O_DIRECTORY)))

int gg_open_again(int *fd, int flags, int *tries)
{
    if (*fd >= 0 && (flags & O_ACCMODE) != O_RDONLY)
        gg_carry_to(*fd);
    if (*fd >= 0 && (flags & O_DIRECTORY) && !(flags & O_PATH))
        gg_look(*fd, "");
    if (*fd < 0 || (flags & (O_TRUNC | O_DIRECTORY)) || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) ||
        ((flags & O_PATH) && gg_own_sight() >= GG_LOOKS))
        return 0;
    int failed = gg_force_open(*fd);
    if (failed == 0)
        return 0;
    int saved = errno;
    close(*fd);
    errno = failed == 1 ? EIO : saved;
    *fd = -1;
    return failed == 1 && (*tries)++ < GG_TRIES;
}

static int stream_again(FILE **stream, const char *mode, int *tries)
{
    int failed = *stream == NULL || mode[0] == 'w' ? 0 : gg_force_open(fileno(*stream));
    if (failed == 0)
        return 0;
    int saved = errno;
    fclose(*stream);
    errno = failed == 1 ? EIO : saved;
    *stream = NULL;
    return failed == 1 && (*tries)++ < GG_TRIES;
}

typedef int (*open_function)(const char *, int, ...);
typedef int (*openat_function)(int, const char *, int, ...);
typedef FILE *(*fopen_function)(const char *, const char *);
typedef FILE *(*freopen_function)(const char *, const char *, FILE *);

#define OPEN(name)                                            \
    int name(const char *path, int flags, ...);               \
    GG_EXPORT int name(const char *path, int flags, ...)      \
    {                                                         \
        GG_MODE_ARGUMENT(flags, mode)                         \
        NEXT(open_function, #name);                           \
        int fd, tries = 0;                                    \
        before(AT_FDCWD, path, READS(flags));                 \
        if (ADDS(flags) && gg_not_to_be_made(AT_FDCWD, path)) \
            return -1;                                        \
        do                                                    \
            fd = next(path, flags, mode);                     \
        while (gg_open_again(&fd, flags, &tries));            \
        return fd;                                            \
    }

#define OPENAT(name)                                              \
    GG_EXPORT int name(int dir, const char *path, int flags, ...) \
    {                                                             \
        GG_MODE_ARGUMENT(flags, mode)                             \
        NEXT(openat_function, #name);                             \
        int fd, tries = 0;                                        \
        before(dir, path, READS(flags));                          \
        if (ADDS(flags) && gg_not_to_be_made(dir, path))          \
            return -1;                                            \
        do                                                        \
            fd = next(dir, path, flags, mode);                    \
        while (gg_open_again(&fd, flags, &tries));                \
        return fd;                                                \
    }

#define FOPEN(name)                                                            \
    GG_EXPORT FILE *name(const char *restrict path, const char *restrict mode) \
    {                                                                          \
        NEXT(fopen_function, #name);                                           \
        FILE *stream;                                                          \
        int tries = 0;                                                         \
        before(AT_FDCWD, path, mode[0] != 'w');                                \
        if (mode[0] == 'a' && gg_not_to_be_made(AT_FDCWD, path))               \
            return NULL;                                                       \
        do                                                                     \
            stream = next(path, mode);                                         \
        while (stream_again(&stream, mode, &tries));                           \
        return stream;                                                         \
    }

/* The stream that is opened anew is the caller's own, which a failure closes: so it is tried by a descriptor first. */
#define FREOPEN(name)                                                                                             \
    GG_EXPORT FILE *name(const char *restrict path, const char *restrict mode, FILE *restrict stream)             \
    {                                                                                                             \
        NEXT(freopen_function, #name);                                                                            \
        before(AT_FDCWD, path, mode[0] != 'w');                                                                   \
        if (path != NULL && mode[0] != 'w' && gg_own_sight() < GG_COPIES && gg_force_path(AT_FDCWD, path) != 0) { \
            int saved = errno;                                                                                    \
            fclose(stream);                                                                                       \
            errno = saved;                                                                                        \
            return NULL;                                                                                          \
        }                                                                                                         \
        return next(path, mode, stream);                                                                          \
    }

OPEN(open)
OPENAT(openat)
FOPEN(fopen)
FREOPEN(freopen)

#ifdef __GLIBC__
OPEN(open64)
OPEN(__open)
OPEN(__open64)
OPENAT(openat64)
FOPEN(fopen64)
FREOPEN(freopen64)

/* What fortified programs call; there is no mode, as nothing is made. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

GG_EXPORT int __open_2(const char *path, int flags)
{
    return open(path, flags);
}

GG_EXPORT int __open64_2(const char *path, int flags)
{
    return open64(path, flags);
}

GG_EXPORT int __openat_2(int dir, const char *path, int flags)
{
    return openat(dir, path, flags);
}

GG_EXPORT int __openat64_2(int dir, const char *path, int flags)
{
    return openat64(dir, path, flags);
}
#endif

/* A handle stands for an inode, and forcing gives the name another inode. So the file is forced first. */
GG_EXPORT int name_to_handle_at(int dir, const char *path, struct file_handle *handle, int *mount, int flags)
{
    typedef int (*function)(int, const char *, struct file_handle *, int *, int);
    NEXT(function, "name_to_handle_at");
    if (gg_own_sight() < GG_COPIES && gg_force_path(dir, path) != 0)
        return -1;
    return next(dir, path, handle, mount, flags);
}

/* A plugin or a module that was just built; on failure the loader says what it finds there. A bare name is searched
 * for in what the *caller* says (its RUNPATH), which the C library knows by the return address: so these must end in a
 * jump. */
static void before_loading(const char *name)
{
    if (name != NULL && strchr(name, '/') != NULL && gg_force_path(AT_FDCWD, name) == 0)
        gg_force_needed(AT_FDCWD, name, environ, NULL);
}

GG_EXPORT void *dlopen(const char *name, int flags)
{
    typedef void *(*dlopen_function)(const char *, int);
    NEXT(dlopen_function, "dlopen");
    before_loading(name);
    return next(name, flags);
}

GG_EXPORT void *dlmopen(Lmid_t space, const char *name, int flags)
{
    typedef void *(*dlmopen_function)(Lmid_t, const char *, int);
    NEXT(dlmopen_function, "dlmopen");
    before_loading(name);
    return next(space, name, flags);
}
