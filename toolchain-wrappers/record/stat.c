/* A program that asks for a file's status may use the size, and read the file later or never: git, npm, patchelf, diff, archivers.
 * So the file is forced when it asks. Programs that are known to use names and times only (programs.h) are exempt: make wants a
 * placeholder's time, and nothing else.
 */
#define _GNU_SOURCE
#include "record.h"

#include "../common/placeholder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <fts.h>
#include <ftw.h>
#endif
#include <sys/stat.h>
#include <unistd.h>

/* tar complains if a directory changes while it packs the files in it, as it does when placeholders are replaced. So they are
 * replaced before tar looks at the directory. A failure is repeated when the file's own turn comes. */
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
        known = (signed char)gg_packs();
    return known;
}

/* Was the answer about a placeholder, which is forced now? 1: ask again; -1: it could not be forced. */
static int changed(int dir, const char *path, long long size, unsigned mode)
{
    int directory = S_ISDIR(mode);
    if ((!directory && ((size != GG_PLACEHOLDER_SIZE && !gg_may_be_rule(size)) || !S_ISREG(mode))) ||
        gg_session()->socket == NULL || path == NULL || path[0] == '\0' || (directory && !packs()))
        return 0;
    if (!directory && gg_own_sight() >= GG_LOOKS)
        return size == GG_PLACEHOLDER_SIZE && !gg_is_make() ? gg_look(dir, path) : 0;
    if (directory) {
        int saved = errno;
        force_entries(dir, path);
        errno = saved;
        return 1;
    }
    return gg_force_path(dir, path) != 0 ? -1 : 1;
}

/* Call `next(...)` and, where it told of a placeholder, once more. */
#define ASK(call, dir, path, st)                                                               \
    int result = call;                                                                         \
    int again = result == 0 ? changed(dir, path, (long long)(st)->st_size, (st)->st_mode) : 0; \
    return again < 0 ? -1 : again > 0 ? call : result

#define STAT(name, type)                                                    \
    int name(const char *restrict path, struct type *restrict st);          \
    GG_EXPORT int name(const char *restrict path, struct type *restrict st) \
    {                                                                       \
        typedef int (*function)(const char *, struct type *);               \
        NEXT(function, #name);                                              \
        ASK(next(path, st), AT_FDCWD, path, st);                            \
    }

#define FSTATAT(name, type)                                                                     \
    int name(int dir, const char *restrict path, struct type *restrict st, int flags);          \
    GG_EXPORT int name(int dir, const char *restrict path, struct type *restrict st, int flags) \
    {                                                                                           \
        typedef int (*function)(int, const char *, struct type *, int);                         \
        NEXT(function, #name);                                                                  \
        ASK(next(dir, path, st, flags), dir, path, st);                                         \
    }

GG_EXPORT DIR *opendir(const char *path)
{
    typedef DIR *(*function)(const char *);
    NEXT(function, "opendir");
    gg_look(AT_FDCWD, path);
    return next(path);
}

STAT(stat, stat)
STAT(lstat, stat)
FSTATAT(fstatat, stat)

#ifdef __GLIBC__
STAT(stat64, stat64)
STAT(lstat64, stat64)
FSTATAT(fstatat64, stat64)

/* What programs call that were linked with a C library before 2.33. */
#define XSTAT(name, type)                                              \
    int name(int version, const char *path, struct type *st);          \
    GG_EXPORT int name(int version, const char *path, struct type *st) \
    {                                                                  \
        typedef int (*function)(int, const char *, struct type *);     \
        NEXT(function, #name);                                         \
        ASK(next(version, path, st), AT_FDCWD, path, st);              \
    }

XSTAT(__xstat, stat)
XSTAT(__lxstat, stat)
XSTAT(__xstat64, stat64)
XSTAT(__lxstat64, stat64)

#define FXSTATAT(name, type)                                                               \
    int name(int version, int dir, const char *path, struct type *st, int flags);          \
    GG_EXPORT int name(int version, int dir, const char *path, struct type *st, int flags) \
    {                                                                                      \
        typedef int (*function)(int, int, const char *, struct type *, int);               \
        NEXT(function, #name);                                                             \
        ASK(next(version, dir, path, st, flags), dir, path, st);                           \
    }

FXSTATAT(__fxstatat, stat)
FXSTATAT(__fxstatat64, stat64)

GG_EXPORT int statx(int dir, const char *restrict path, int flags, unsigned mask, struct statx *restrict st)
{
    typedef int (*function)(int, const char *, int, unsigned, struct statx *);
    NEXT(function, "statx");
    int result = next(dir, path, flags, mask, st);
    int told = result == 0 && (mask & (STATX_SIZE | STATX_BLOCKS)) && (st->stx_mask & STATX_SIZE);
    int again = told ? changed(dir, path, (long long)st->stx_size, st->stx_mode) : 0;
    return again < 0 ? -1 : again > 0 ? next(dir, path, flags, mask, st) : result;
}

/* The C library walks trees by calls of its own. A tree that will be walked is walked before, and what fts tells of a file is
 * asked for once more. */
#define WALK(name, n_name, type, see_type, n_see_type)                                            \
    static int force_one_##type(const char *path, const struct type *st, int kind)                \
    {                                                                                             \
        if (kind == FTW_F)                                                                        \
            changed(AT_FDCWD, path, (long long)st->st_size, st->st_mode);                         \
        return 0;                                                                                 \
    }                                                                                             \
    GG_EXPORT int name(const char *top, see_type see, int room)                                   \
    {                                                                                             \
        typedef int (*function)(const char *, see_type, int);                                     \
        NEXT(function, #name);                                                                    \
        if (see != force_one_##type && gg_own_sight() < GG_LOOKS && gg_session()->socket != NULL) \
            next(top, force_one_##type, room);                                                    \
        return next(top, see, room);                                                              \
    }                                                                                             \
    GG_EXPORT int n_name(const char *top, n_see_type see, int room, int flags)                    \
    {                                                                                             \
        typedef int (*function)(const char *, n_see_type, int, int);                              \
        NEXT(function, #n_name);                                                                  \
        if (gg_own_sight() < GG_LOOKS && gg_session()->socket != NULL)                            \
            name(top, force_one_##type, room);                                                    \
        return next(top, see, room, flags);                                                       \
    }

#define FTS_READ(name, ask, entry, tree)                                                       \
    GG_EXPORT entry *name(tree *walk)                                                          \
    {                                                                                          \
        typedef entry *(*function)(tree *);                                                    \
        NEXT(function, #name);                                                                 \
        entry *e = next(walk);                                                                 \
        if (e != NULL && e->fts_info == FTS_F && e->fts_statp->st_size == GG_PLACEHOLDER_SIZE) \
            ask(e->fts_accpath, e->fts_statp);                                                 \
        return e;                                                                              \
    }

WALK(ftw, nftw, stat, __ftw_func_t, __nftw_func_t)
WALK(ftw64, nftw64, stat64, __ftw64_func_t, __nftw64_func_t)
FTS_READ(fts_read, stat, FTSENT, FTS)
FTS_READ(fts64_read, stat64, FTSENT64, FTS64)
#endif
