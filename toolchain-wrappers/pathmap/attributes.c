/* Changes to a file itself, made in the overlay: mode, owner, times, size, extended attributes. */
#define _GNU_SOURCE
#include "pathmap.h"

#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

/* Bring the file to be changed to the overlay: 0; 1 for a directory that is not the thunk's own, whose mode, owner and times
 * are nobody's output; -1. */
static int to_change(int dir, const char *path, enum gg_follow follow, struct gg_place *p)
{
    struct stat st;
    if (gg_resolve(dir, path, follow, p) != 0)
        return -1;
    if (p->where == GG_DIR ||
        (p->where == GG_UNDECLARED && sys_fstatat(AT_FDCWD, p->path, &st, 0) == 0 && S_ISDIR(st.st_mode)))
        return 1;
    return gg_copy_up(p);
}

static int change_mode(int dir, const char *path, mode_t mode, int flags)
{
    struct gg_place p;
    int r = to_change(dir, path, flags & AT_SYMLINK_NOFOLLOW ? GG_NOFOLLOW : GG_FOLLOW, &p);
    return r != 0 ? (r < 0 ? -1 : 0) : (int)syscall(SYS_fchmodat, dir, p.real, mode);
}

static int change_owner(int dir, const char *path, uid_t user, gid_t group, int flags)
{
    struct gg_place p;
    if (path[0] == '\0' && (flags & AT_EMPTY_PATH))
        return gg_is_input(dir) ? 0 : (int)syscall(SYS_fchownat, dir, path, user, group, flags);
    int r = to_change(dir, path, flags & AT_SYMLINK_NOFOLLOW ? GG_NOFOLLOW : GG_FOLLOW, &p);
    return r != 0 ? (r < 0 ? -1 : 0) : (int)syscall(SYS_fchownat, dir, p.real, user, group, flags);
}

static int change_times(int dir, const char *path, const struct timespec times[2], int flags)
{
    struct gg_place p;
    if (path == NULL || (path[0] == '\0' && (flags & AT_EMPTY_PATH)))
        return gg_is_input(dir) ? 0 : (int)syscall(SYS_utimensat, dir, path, times, flags);
    int r = to_change(dir, path, flags & AT_SYMLINK_NOFOLLOW ? GG_NOFOLLOW : GG_FOLLOW, &p);
    return r != 0 ? (r < 0 ? -1 : 0) : (int)syscall(SYS_utimensat, dir, p.real, times, flags);
}

static int change_times_us(int dir, const char *path, const struct timeval times[2], int flags)
{
    if (times == NULL)
        return change_times(dir, path, NULL, flags);
    const struct timespec precise[2] = {{times[0].tv_sec, times[0].tv_usec * 1000},
                                        {times[1].tv_sec, times[1].tv_usec * 1000}};
    return change_times(dir, path, precise, flags);
}

GG_EXPORT int chmod(const char *path, mode_t mode)
{
    return change_mode(AT_FDCWD, path, mode, 0);
}

GG_EXPORT int fchmodat(int dir, const char *path, mode_t mode, int flags)
{
    return change_mode(dir, path, mode, flags);
}

GG_EXPORT int fchmod(int fd, mode_t mode)
{
    return gg_is_input(fd) ? 0 : (int)syscall(SYS_fchmod, fd, mode);
}

GG_EXPORT int chown(const char *path, uid_t user, gid_t group)
{
    return change_owner(AT_FDCWD, path, user, group, 0);
}

GG_EXPORT int lchown(const char *path, uid_t user, gid_t group)
{
    return change_owner(AT_FDCWD, path, user, group, AT_SYMLINK_NOFOLLOW);
}

GG_EXPORT int fchownat(int dir, const char *path, uid_t user, gid_t group, int flags)
{
    return change_owner(dir, path, user, group, flags);
}

GG_EXPORT int fchown(int fd, uid_t user, gid_t group)
{
    return gg_is_input(fd) ? 0 : (int)syscall(SYS_fchown, fd, user, group);
}

GG_EXPORT int truncate(const char *path, off_t size)
{
    struct gg_place p;
    if (gg_resolve(AT_FDCWD, path, GG_FOLLOW, &p) != 0 || gg_copy_up(&p) != 0)
        return -1;
    return (int)syscall(SYS_truncate, p.real, size);
}

GG_EXPORT int utimensat(int dir, const char *path, const struct timespec times[2], int flags)
{
    return change_times(dir, path, times, flags);
}

GG_EXPORT int futimens(int fd, const struct timespec times[2])
{
    return change_times(fd, NULL, times, 0);
}

GG_EXPORT int utimes(const char *path, const struct timeval times[2])
{
    return change_times_us(AT_FDCWD, path, times, 0);
}

GG_EXPORT int lutimes(const char *path, const struct timeval times[2])
{
    return change_times_us(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

GG_EXPORT int futimesat(int dir, const char *path, const struct timeval times[2])
{
    return change_times_us(dir, path, times, 0);
}

GG_EXPORT int futimes(int fd, const struct timeval times[2])
{
    return change_times_us(fd, NULL, times, 0);
}

GG_EXPORT int utime(const char *path, const struct utimbuf *times)
{
    const struct timespec precise[2] = {{times != NULL ? times->actime : 0, 0},
                                        {times != NULL ? times->modtime : 0, 0}};
    return change_times(AT_FDCWD, path, times != NULL ? precise : NULL, 0);
}

/* Extended attributes are read where the bytes are, and set on what is the thunk's own. */
GG_EXPORT ssize_t getxattr(const char *path, const char *name, void *value, size_t size)
{
    struct gg_place p;
    return gg_asked(path, GG_FOLLOW, &p) != 0 ? -1 : syscall(SYS_getxattr, p.real, name, value, size);
}

GG_EXPORT ssize_t lgetxattr(const char *path, const char *name, void *value, size_t size)
{
    struct gg_place p;
    return gg_asked(path, GG_NOFOLLOW, &p) != 0 ? -1 : syscall(SYS_lgetxattr, p.real, name, value, size);
}

GG_EXPORT ssize_t listxattr(const char *path, char *list, size_t size)
{
    struct gg_place p;
    return gg_asked(path, GG_FOLLOW, &p) != 0 ? -1 : syscall(SYS_listxattr, p.real, list, size);
}

GG_EXPORT ssize_t llistxattr(const char *path, char *list, size_t size)
{
    struct gg_place p;
    return gg_asked(path, GG_NOFOLLOW, &p) != 0 ? -1 : syscall(SYS_llistxattr, p.real, list, size);
}

GG_EXPORT int setxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
    struct gg_place p;
    int r = to_change(AT_FDCWD, path, GG_FOLLOW, &p);
    return r != 0 ? (r < 0 ? -1 : 0) : (int)syscall(SYS_setxattr, p.real, name, value, size, flags);
}

GG_EXPORT int lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
    struct gg_place p;
    int r = to_change(AT_FDCWD, path, GG_NOFOLLOW, &p);
    return r != 0 ? (r < 0 ? -1 : 0) : (int)syscall(SYS_lsetxattr, p.real, name, value, size, flags);
}

GG_EXPORT int removexattr(const char *path, const char *name)
{
    struct gg_place p;
    int r = to_change(AT_FDCWD, path, GG_FOLLOW, &p);
    return r != 0 ? (r < 0 ? -1 : 0) : (int)syscall(SYS_removexattr, p.real, name);
}

GG_EXPORT int lremovexattr(const char *path, const char *name)
{
    struct gg_place p;
    int r = to_change(AT_FDCWD, path, GG_NOFOLLOW, &p);
    return r != 0 ? (r < 0 ? -1 : 0) : (int)syscall(SYS_lremovexattr, p.real, name);
}

#ifdef __GLIBC__
GG_ALIAS("truncate") int truncate64(const char *path, off64_t size);
#endif
