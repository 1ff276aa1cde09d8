/* The kernel's own calls, past every function of the C library that a preloaded one may stand in front of: syscall() too,
 * which the interposer provides itself (record/syscall.c). */
#ifndef GG_RAW_H
#define GG_RAW_H

#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { GG_NO_FOLLOW = 0x100 }; /* AT_SYMLINK_NOFOLLOW, which <fcntl.h> has for some */

#if defined(__x86_64__)

static inline long gg_raw(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10");
    register long r8 __asm__("r8");
    register long r9 __asm__("r9");
    r10 = d;
    r8 = e;
    r9 = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

#elif defined(__aarch64__)

static inline long gg_raw(long number, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8");
    register long x0 __asm__("x0");
    register long x1 __asm__("x1");
    register long x2 __asm__("x2");
    register long x3 __asm__("x3");
    register long x4 __asm__("x4");
    register long x5 __asm__("x5");
    x8 = number;
    x0 = a;
    x1 = b;
    x2 = c;
    x3 = d;
    x4 = e;
    x5 = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    if (x0 < 0 && x0 > -4096) {
        errno = (int)-x0;
        return -1;
    }
    return x0;
}

#else

static inline long gg_raw(long number, long a, long b, long c, long d, long e, long f)
{
    return syscall(number, a, b, c, d, e, f);
}

#endif

static inline int gg_raw_open(int dir, const char *path, int flags)
{
    return (int)gg_raw(SYS_openat, dir, (long)(intptr_t)path, flags, 0, 0, 0);
}

static inline int gg_raw_stat(int dir, const char *path, struct stat *st)
{
    return (int)gg_raw(SYS_newfstatat, dir, (long)(intptr_t)path, (long)(intptr_t)st, 0, 0, 0);
}

static inline int gg_raw_lstat(int dir, const char *path, struct stat *st)
{
    return (int)gg_raw(SYS_newfstatat, dir, (long)(intptr_t)path, (long)(intptr_t)st, GG_NO_FOLLOW, 0, 0);
}

#endif
