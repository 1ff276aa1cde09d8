/* syscall(): programs that ask for the kernel's calls by number, as node does for a file's status, are given our own functions
 * for those that open files or ask for their size. All others go on by a jump, for some (clone, vfork) return on another
 * stack, or twice. */
#define _GNU_SOURCE
#include "record.h"

#include "../common/exec_family.h"
#include "../common/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__GLIBC__) && (defined(__x86_64__) || defined(__aarch64__))

#define CALLS 512

__attribute__((visibility("hidden"))) extern const unsigned char gg_handled[CALLS];
__attribute__((visibility("hidden"))) void *gg_syscall_next;

const unsigned char gg_handled[CALLS] = {
#ifdef SYS_open
    [SYS_open] = 1,     [SYS_stat] = 1,     [SYS_lstat] = 1,          [SYS_chmod] = 1,
#endif
    [SYS_openat] = 1,   [SYS_openat2] = 1,  [SYS_newfstatat] = 1,     [SYS_statx] = 1,
    [SYS_truncate] = 1, [SYS_fchmodat] = 1, [SYS_fchmod] = 1,         [SYS_name_to_handle_at] = 1,
    [SYS_execve] = 1,   [SYS_execveat] = 1, [SYS_io_uring_setup] = 1,
};

__attribute__((constructor)) static void look_up(void)
{
    gg_syscall_next = gg_next("syscall");
}

static long open_how(int dir, const char *path, long how, long size)
{
    int fd, tries = 0, flags = how != 0 ? (int)((const struct open_how *)how)->flags : 0;
    do
        fd = (int)gg_raw(SYS_openat2, dir, (long)path, how, size, 0, 0);
    while (gg_open_again(&fd, flags, &tries));
    return fd;
}

__attribute__((visibility("hidden"), used)) long gg_syscall(long number, long a, long b, long c, long d, long e,
                                                            long f)
{
    switch (number) {
#ifdef SYS_open
    case SYS_open:
        return open((const char *)a, (int)b, (mode_t)c);
    case SYS_stat:
        return stat((const char *)a, (struct stat *)b);
    case SYS_lstat:
        return lstat((const char *)a, (struct stat *)b);
    case SYS_chmod:
        return chmod((const char *)a, (mode_t)b);
#endif
    case SYS_openat:
        return openat((int)a, (const char *)b, (int)c, (mode_t)d);
    case SYS_openat2:
        return open_how((int)a, (const char *)b, c, d);
    case SYS_newfstatat:
        return fstatat((int)a, (const char *)b, (struct stat *)c, (int)d);
    case SYS_statx:
        return statx((int)a, (const char *)b, (int)c, (unsigned)d, (struct statx *)e);
    case SYS_truncate:
        return truncate((const char *)a, b);
    case SYS_fchmod:
        return fchmod((int)a, (mode_t)b);
    case SYS_fchmodat:
        return fchmodat((int)a, (const char *)b, (mode_t)c, 0);
    case SYS_name_to_handle_at:
        return name_to_handle_at((int)a, (const char *)b, (struct file_handle *)c, (int *)d, (int)e);
    case SYS_execve:
        return gg_exec(AT_FDCWD, (const char *)a, (char *const *)b, (char *const *)c, 0);
    case SYS_execveat:
        return gg_exec((int)a, (const char *)b, (char *const *)c, (char *const *)d, (int)e);
    case SYS_io_uring_setup:
        gg_before_unseen();
        return gg_raw(number, a, b, c, d, e, f);
    default: /* before this library is set up */
        return gg_raw(number, a, b, c, d, e, f);
    }
}

#if defined(__x86_64__)
__asm__(".text\n"
        ".globl syscall\n"
        ".type syscall, @function\n"
        "syscall:\n"
        "    endbr64\n"
        "    cmpq $512, %rdi\n"
        "    jae 1f\n"
        "    leaq gg_handled(%rip), %rax\n"
        "    cmpb $0, (%rax,%rdi)\n"
        "    jne 2f\n"
        "1:  movq gg_syscall_next(%rip), %rax\n"
        "    testq %rax, %rax\n"
        "    je 2f\n"
        "    jmp *%rax\n"
        "2:  jmp gg_syscall\n"
        ".size syscall, .-syscall\n");
#else
__asm__(".text\n"
        ".globl syscall\n"
        ".type syscall, %function\n"
        "syscall:\n"
        "    hint #34\n" /* bti c */
        "    cmp x0, #512\n"
        "    b.hs 1f\n"
        "    adrp x9, gg_handled\n"
        "    add x9, x9, :lo12:gg_handled\n"
        "    ldrb w10, [x9, x0]\n"
        "    cbnz w10, 2f\n"
        "1:  adrp x9, gg_syscall_next\n"
        "    ldr x9, [x9, :lo12:gg_syscall_next]\n"
        "    cbz x9, 2f\n"
        "    br x9\n"
        "2:  b gg_syscall\n"
        ".size syscall, .-syscall\n");
#endif

#endif
