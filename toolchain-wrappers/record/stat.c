/* Archivers write a file's size, as stat tells it, before its bytes: to them a placeholder would be cut, or be an error.
 * So what they ask about is forced when they ask; and what fakeroot asks about. So it is with a Python that has loaded its
 * tarfile module. All others learn the placeholder's own size, and its times, which are those that make wants to know.
 */
#define _GNU_SOURCE
#include "record.h"

#include "../placeholder.h"
#include "../programs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* tar complains of a directory that changes while it packs what is in it, as one does where placeholders are replaced:
 * so they are before it looks at the directory. What fails does so once more when its own turn comes. */
static void force_entries(int dir, const char *path)
{
    int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (entries == NULL && fd >= 0)
        close(fd);
    for (struct dirent *e; entries != NULL && (e = readdir(entries)) != NULL;)
        if ((e->d_type == DT_REG || e->d_type == DT_UNKNOWN) && gg_force_path(fd, e->d_name) != 0)
            break;
    if (entries != NULL)
        closedir(entries);
}

/* Many ask about directories: the process learns once what it is. */
static int packs(void)
{
    static signed char known = -1;
    if (known < 0)
        known = (signed char)gg_has_habit(0, GG_PACKS);
    return known;
}

/* Is the answer about a placeholder that has become real? Then ask again. -1: it could not be forced. */
static int changed(int dir, const char *path, long long size, unsigned mode)
{
    int directory = S_ISDIR(mode);
    if ((!directory && (size != GG_PLACEHOLDER_SIZE || !S_ISREG(mode))) || gg_session()->socket == NULL ||
        path == NULL || path[0] == '\0' ||
        !(directory ? packs() : gg_loads_archiver || gg_has_habit(0, GG_SIZES) || gg_under_fakeroot()))
        return 0;
    if (directory) {
        int saved = errno;
        force_entries(dir, path);
        errno = saved;
        return 1;
    }
    return gg_force_path(dir, path) != 0 ? -1 : 1;
}

/* Call `next(...)` and, where it told of a placeholder, once more. */
#define ASK(call, dir, path, st)                                                              \
    int result = call;                                                                        \
    int again = result == 0 ? changed(dir, path, (long long)(st)->st_size, (st)->st_mode) : 0; \
    return again < 0 ? -1 : again > 0 ? call : result

#define NEXT(type, name)    \
    static type next;       \
    if (next == NULL)       \
        next = (type)gg_next(name)

#define STAT(name, type)                                                  \
    int name(const char *restrict path, struct type *restrict st);        \
    GG_EXPORT int name(const char *restrict path, struct type *restrict st) \
    {                                                                     \
        typedef int (*function)(const char *, struct type *);             \
        NEXT(function, #name);                                            \
        ASK(next(path, st), AT_FDCWD, path, st);                          \
    }

#define FSTATAT(name, type)                                                                   \
    int name(int dir, const char *restrict path, struct type *restrict st, int flags);        \
    GG_EXPORT int name(int dir, const char *restrict path, struct type *restrict st, int flags) \
    {                                                                                         \
        typedef int (*function)(int, const char *, struct type *, int);                       \
        NEXT(function, #name);                                                                \
        ASK(next(dir, path, st, flags), dir, path, st);                                       \
    }

STAT(stat, stat)
STAT(lstat, stat)
FSTATAT(fstatat, stat)

#ifdef __GLIBC__
STAT(stat64, stat64)
STAT(lstat64, stat64)
FSTATAT(fstatat64, stat64)

/* What programs call that were linked with a C library before 2.33. */
#define XSTAT(name, type)                                                       \
    int name(int version, const char *path, struct type *st);                   \
    GG_EXPORT int name(int version, const char *path, struct type *st)          \
    {                                                                           \
        typedef int (*function)(int, const char *, struct type *);              \
        NEXT(function, #name);                                                  \
        ASK(next(version, path, st), AT_FDCWD, path, st);                       \
    }

XSTAT(__xstat, stat)
XSTAT(__lxstat, stat)
XSTAT(__xstat64, stat64)
XSTAT(__lxstat64, stat64)

#define FXSTATAT(name, type)                                                              \
    int name(int version, int dir, const char *path, struct type *st, int flags);         \
    GG_EXPORT int name(int version, int dir, const char *path, struct type *st, int flags) \
    {                                                                                     \
        typedef int (*function)(int, int, const char *, struct type *, int);              \
        NEXT(function, #name);                                                            \
        ASK(next(version, dir, path, st, flags), dir, path, st);                          \
    }

FXSTATAT(__fxstatat, stat)
FXSTATAT(__fxstatat64, stat64)

GG_EXPORT int statx(int dir, const char *restrict path, int flags, unsigned mask, struct statx *restrict st)
{
    typedef int (*function)(int, const char *, int, unsigned, struct statx *);
    NEXT(function, "statx");
    int result = next(dir, path, flags, mask, st);
    int told = result == 0 && (st->stx_mask & STATX_SIZE) && (st->stx_mask & STATX_TYPE);
    int again = told ? changed(dir, path, (long long)st->stx_size, st->stx_mode) : 0;
    return again < 0 ? -1 : again > 0 ? next(dir, path, flags, mask, st) : result;
}
#endif
