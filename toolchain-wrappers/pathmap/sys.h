/* System calls by number. The path map wraps the C library's functions, so it must not call them: it would meet
 * itself. It also keeps the library free of versioned symbols, so that it loads under the C library of any toolchain
 * it is shipped with. errno is set as usual. */
#ifndef GG_SYS_H
#define GG_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

_Static_assert(sizeof(void *) == 8,
               "the path map needs a 64-bit system: struct stat is passed to the kernel as it is");

static inline int gg_refuse(int error)
{
    errno = error;
    return -1;
}

static inline int sys_openat(int dir, const char *path, int flags, mode_t mode)
{
    return (int)syscall(SYS_openat, dir, path, flags, mode);
}

static inline int sys_fstatat(int dir, const char *path, struct stat *st, int flags)
{
    return (int)syscall(SYS_newfstatat, dir, path, st, flags);
}

static inline int sys_lstat(const char *path, struct stat *st)
{
    return sys_fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

static inline int sys_fstat(int fd, struct stat *st)
{
    return (int)syscall(SYS_fstat, fd, st);
}

static inline ssize_t sys_readlink(const char *path, char *buffer, size_t size)
{
    return syscall(SYS_readlinkat, AT_FDCWD, path, buffer, size);
}

static inline int sys_mkdir(const char *path, mode_t mode)
{
    return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

static inline int sys_unlink(const char *path, int flags)
{
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, flags);
}

static inline int sys_access(const char *path, int mode)
{
    return (int)syscall(SYS_faccessat, AT_FDCWD, path, mode);
}

#endif
