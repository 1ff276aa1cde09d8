/* Functions in which the C library makes system calls of its own, past ours: walks of trees, patterns, file systems. Where our
 * functions can replace them, they do. Where not, the program cannot be kept to the map: it is reported like one that is linked
 * statically, and the thunk runs in a jail, where the kernel shows only declared files. */
#define _GNU_SOURCE
#include "pathmap.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <ftw.h>
#include <fts.h>
#include <glob.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

/* Is the call left to the C library? If not, it is refused with ENOSYS. */
static int is_kept(void)
{
    const struct gg_map *map = gg_the_map();
    if (!map->active || (map->flags & GG_WATCH))
        return 1;
    char name[PATH_MAX];
    ssize_t n = sys_readlink("/proc/self/exe", name, sizeof name - 1);
    name[n > 0 ? n : 0] = '\0';
    gg_report('S', GG_ROOT, n > 0 ? name : "/proc/self/exe");
    errno = ENOSYS;
    return 0;
}

/* The place where the kernel finds the file at `path`, for questions about its file system or attributes. 0, or -1 with errno. */
int gg_asked(const char *path, enum gg_follow follow, struct gg_place *p)
{
    struct stat st;
    if (gg_resolve(AT_FDCWD, path, follow, p) != 0)
        return -1;
    gg_mark(p->record, GG_ASKED);
    gg_watch(p);
    if (p->where == GG_ABSENT)
        return gg_refuse_absent(p);
    if (p->where == GG_DIR)
        return gg_real_directory(p);
    if (p->where != GG_UNDECLARED)
        return 0;
    if (sys_lstat(p->path, &st) != 0) {
        gg_missed(p);
        return -1;
    }
    return S_ISDIR(st.st_mode) ? 0 : gg_undeclared(p);
}

/* libselinux, which cp, mkdir and the like load, asks for these two paths when it is loaded, whatever the program does. */
static int of_selinux(const char *path)
{
    return path != NULL && (strcmp(path, "/sys/fs/selinux") == 0 || strcmp(path, "/selinux") == 0);
}

#define FILE_SYSTEM(name, type)                                               \
    GG_EXPORT int name(const char *path, struct type *about)                  \
    {                                                                         \
        typedef int (*function)(const char *, struct type *);                 \
        NEXT(function, #name);                                                \
        struct gg_place p;                                                    \
        if (of_selinux(path))                                                 \
            return next(path, about);                                         \
        return gg_asked(path, GG_FOLLOW, &p) != 0 ? -1 : next(p.real, about); \
    }

FILE_SYSTEM(statfs, statfs)
FILE_SYSTEM(statvfs, statvfs)

GG_EXPORT long pathconf(const char *path, int name)
{
    typedef long (*function)(const char *, int);
    NEXT(function, "pathconf");
    struct gg_place p;
    return gg_asked(path, GG_FOLLOW, &p) != 0 ? -1 : next(p.real, name);
}

GG_EXPORT int lchmod(const char *path, mode_t mode)
{
    return fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW);
}

GG_EXPORT key_t ftok(const char *path, int id)
{
    struct stat st;
    if (gg_stat(AT_FDCWD, path, &st, 0) != 0)
        return -1;
    return (key_t)(((unsigned)st.st_ino & 0xffff) | ((unsigned)st.st_dev & 0xff) << 16 | ((unsigned)id & 0xff) << 24);
}

GG_EXPORT int ftw(const char *top, __ftw_func_t see, int room)
{
    typedef int (*function)(const char *, __ftw_func_t, int);
    NEXT(function, "ftw");
    return is_kept() ? next(top, see, room) : -1;
}

GG_EXPORT int nftw(const char *top, __nftw_func_t see, int room, int flags)
{
    typedef int (*function)(const char *, __nftw_func_t, int, int);
    NEXT(function, "nftw");
    return is_kept() ? next(top, see, room, flags) : -1;
}

GG_EXPORT int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    typedef int (*function)(int, const char *, uint32_t);
    NEXT(function, "inotify_add_watch");
    return is_kept() ? next(fd, path, mask) : -1;
}

GG_EXPORT int chroot(const char *path)
{
    typedef int (*function)(const char *);
    NEXT(function, "chroot");
    return is_kept() ? next(path) : -1;
}

#ifdef __GLIBC__
FILE_SYSTEM(statfs64, statfs64)
FILE_SYSTEM(statvfs64, statvfs64)

typedef int (*glob_error)(const char *, int);

static void *open_for_glob(const char *path)
{
    return opendir(path);
}

static int stat_for_glob(const char *restrict path, struct stat *restrict st)
{
    return gg_stat(AT_FDCWD, path, st, 0);
}

static int lstat_for_glob(const char *restrict path, struct stat *restrict st)
{
    return gg_stat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

GG_EXPORT int glob(const char *restrict pattern, int flags, glob_error error, glob_t *restrict found)
{
    typedef int (*function)(const char *, int, glob_error, glob_t *);
    NEXT(function, "glob");
    if (!gg_the_map()->active || (flags & GLOB_ALTDIRFUNC))
        return next(pattern, flags, error, found);
    found->gl_opendir = open_for_glob;
    found->gl_readdir = (struct dirent * (*)(void *))(void (*)(void))readdir;
    found->gl_closedir = (void (*)(void *))(void (*)(void))closedir;
    found->gl_stat = stat_for_glob;
    found->gl_lstat = lstat_for_glob;
    int result = next(pattern, flags | GLOB_ALTDIRFUNC, error, found);
    found->gl_flags &= ~GLOB_ALTDIRFUNC;
    return result;
}

GG_EXPORT int glob64(const char *restrict pattern, int flags, glob_error error, glob64_t *restrict found)
{
    return glob(pattern, flags, error, (glob_t *)(void *)found);
}

GG_EXPORT int ftw64(const char *top, __ftw64_func_t see, int room)
{
    return ftw(top, (__ftw_func_t)(void (*)(void))see, room);
}

GG_EXPORT int nftw64(const char *top, __nftw64_func_t see, int room, int flags)
{
    return nftw(top, (__nftw_func_t)(void (*)(void))see, room, flags);
}

#define FTS_OPEN(name, tree, entry)                                                                     \
    GG_EXPORT tree *name(char *const *paths, int options, int (*order)(const entry **, const entry **)) \
    {                                                                                                   \
        typedef tree *(*function)(char *const *, int, int (*)(const entry **, const entry **));         \
        NEXT(function, #name);                                                                          \
        return is_kept() ? next(paths, options, order) : NULL;                                          \
    }

FTS_OPEN(fts_open, FTS, FTSENT)
FTS_OPEN(fts64_open, FTS64, FTSENT64)

GG_EXPORT int name_to_handle_at(int dir, const char *path, struct file_handle *handle, int *mount, int flags)
{
    typedef int (*function)(int, const char *, struct file_handle *, int *, int);
    NEXT(function, "name_to_handle_at");
    return is_kept() ? next(dir, path, handle, mount, flags) : -1;
}

GG_EXPORT int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *restrict actions,
                                                   const char *restrict path)
{
    typedef int (*function)(posix_spawn_file_actions_t *, const char *);
    NEXT(function, "posix_spawn_file_actions_addchdir_np");
    return is_kept() ? next(actions, path) : ENOSYS;
}

GG_EXPORT void *dlmopen(Lmid_t space, const char *name, int flags)
{
    typedef void *(*function)(Lmid_t, const char *, int);
    NEXT(function, "dlmopen");
    return is_kept() ? next(space, name, flags) : NULL;
}
#endif
