/* The system calls at which a watched program is stopped (watch.c), and the positions of their arguments that matter. */
#ifndef GG_WATCHED_CALLS_H
#define GG_WATCHED_CALLS_H

#include <linux/audit.h>
#include <stdint.h>

#define NONE (-1)
#define HOW (-2) /* openat2: flags are in memory, behind the third argument */

enum what {
    OPENS,
    SIZES, /* tells a file's size */
    CUTS,  /* changes its length, which is given where other calls have flags */
    HIDES, /* sets its mode, perhaps to one with which its owner cannot read it */
    NAMES, /* gives it another name, which is where other calls have flags, after its directory if there is one */
    RINGS  /* sets up io_uring, through which calls go that nobody sees */
};

/* One system call: where among its arguments are the directory, the path and the flags. */
struct call {
    uint32_t arch, number;
    signed char dir, path, flags, what;
};

static const struct call calls[] = {
#if defined(__x86_64__)
    {AUDIT_ARCH_X86_64, 2, NONE, 0, 1, OPENS},    /* open */
    {AUDIT_ARCH_X86_64, 257, 0, 1, 2, OPENS},     /* openat */
    {AUDIT_ARCH_X86_64, 437, 0, 1, HOW, OPENS},   /* openat2 */
    {AUDIT_ARCH_X86_64, 4, NONE, 0, NONE, SIZES}, /* stat */
    {AUDIT_ARCH_X86_64, 6, NONE, 0, NONE, SIZES}, /* lstat */
    {AUDIT_ARCH_X86_64, 262, 0, 1, NONE, SIZES},  /* newfstatat */
    {AUDIT_ARCH_X86_64, 332, 0, 1, NONE, SIZES},  /* statx */
    {AUDIT_ARCH_I386, 5, NONE, 0, 1, OPENS},      /* open */
    {AUDIT_ARCH_I386, 295, 0, 1, 2, OPENS},       /* openat */
    {AUDIT_ARCH_I386, 437, 0, 1, HOW, OPENS},     /* openat2 */
    {AUDIT_ARCH_I386, 195, NONE, 0, NONE, SIZES}, /* stat64 */
    {AUDIT_ARCH_I386, 196, NONE, 0, NONE, SIZES}, /* lstat64 */
    {AUDIT_ARCH_I386, 300, 0, 1, NONE, SIZES},    /* fstatat64 */
    {AUDIT_ARCH_I386, 383, 0, 1, NONE, SIZES},    /* statx */
    {AUDIT_ARCH_X86_64, 76, NONE, 0, 1, CUTS},    /* truncate */
    {AUDIT_ARCH_X86_64, 90, NONE, 0, 1, HIDES},   /* chmod */
    {AUDIT_ARCH_X86_64, 268, 0, 1, 2, HIDES},     /* fchmodat */
    {AUDIT_ARCH_X86_64, 82, NONE, 0, 1, NAMES},   /* rename */
    {AUDIT_ARCH_X86_64, 264, 0, 1, 3, NAMES},     /* renameat */
    {AUDIT_ARCH_X86_64, 316, 0, 1, 3, NAMES},     /* renameat2 */
    {AUDIT_ARCH_X86_64, 86, NONE, 0, 1, NAMES},   /* link */
    {AUDIT_ARCH_X86_64, 265, 0, 1, 3, NAMES},     /* linkat */
    {AUDIT_ARCH_X86_64, 425, NONE, NONE, NONE, RINGS},
    {AUDIT_ARCH_I386, 193, NONE, 0, 1, CUTS}, /* truncate64 */
    {AUDIT_ARCH_I386, 15, NONE, 0, 1, HIDES}, /* chmod */
    {AUDIT_ARCH_I386, 306, 0, 1, 2, HIDES},   /* fchmodat */
    {AUDIT_ARCH_I386, 38, NONE, 0, 1, NAMES}, /* rename */
    {AUDIT_ARCH_I386, 302, 0, 1, 3, NAMES},   /* renameat */
    {AUDIT_ARCH_I386, 353, 0, 1, 3, NAMES},   /* renameat2 */
    {AUDIT_ARCH_I386, 9, NONE, 0, 1, NAMES},  /* link */
    {AUDIT_ARCH_I386, 303, 0, 1, 3, NAMES},   /* linkat */
    {AUDIT_ARCH_I386, 425, NONE, NONE, NONE, RINGS},
#elif defined(__aarch64__)
    {AUDIT_ARCH_AARCH64, 56, 0, 1, 2, OPENS},     /* openat */
    {AUDIT_ARCH_AARCH64, 437, 0, 1, HOW, OPENS},  /* openat2 */
    {AUDIT_ARCH_AARCH64, 79, 0, 1, NONE, SIZES},  /* newfstatat */
    {AUDIT_ARCH_AARCH64, 291, 0, 1, NONE, SIZES}, /* statx */
    {AUDIT_ARCH_ARM, 5, NONE, 0, 1, OPENS},       /* open */
    {AUDIT_ARCH_ARM, 322, 0, 1, 2, OPENS},        /* openat */
    {AUDIT_ARCH_ARM, 437, 0, 1, HOW, OPENS},      /* openat2 */
    {AUDIT_ARCH_ARM, 195, NONE, 0, NONE, SIZES},  /* stat64 */
    {AUDIT_ARCH_ARM, 196, NONE, 0, NONE, SIZES},  /* lstat64 */
    {AUDIT_ARCH_ARM, 327, 0, 1, NONE, SIZES},     /* fstatat64 */
    {AUDIT_ARCH_ARM, 397, 0, 1, NONE, SIZES},     /* statx */
    {AUDIT_ARCH_AARCH64, 45, NONE, 0, 1, CUTS},   /* truncate */
    {AUDIT_ARCH_AARCH64, 53, 0, 1, 2, HIDES},     /* fchmodat */
    {AUDIT_ARCH_AARCH64, 38, 0, 1, 3, NAMES},     /* renameat */
    {AUDIT_ARCH_AARCH64, 276, 0, 1, 3, NAMES},    /* renameat2 */
    {AUDIT_ARCH_AARCH64, 37, 0, 1, 3, NAMES},     /* linkat */
    {AUDIT_ARCH_AARCH64, 425, NONE, NONE, NONE, RINGS},
    {AUDIT_ARCH_ARM, 193, NONE, 0, 2, CUTS}, /* truncate64 */
    {AUDIT_ARCH_ARM, 15, NONE, 0, 1, HIDES}, /* chmod */
    {AUDIT_ARCH_ARM, 333, 0, 1, 2, HIDES},   /* fchmodat */
    {AUDIT_ARCH_ARM, 38, NONE, 0, 1, NAMES}, /* rename */
    {AUDIT_ARCH_ARM, 329, 0, 1, 3, NAMES},   /* renameat */
    {AUDIT_ARCH_ARM, 382, 0, 1, 3, NAMES},   /* renameat2 */
    {AUDIT_ARCH_ARM, 9, NONE, 0, 1, NAMES},  /* link */
    {AUDIT_ARCH_ARM, 330, 0, 1, 3, NAMES},   /* linkat */
    {AUDIT_ARCH_ARM, 425, NONE, NONE, NONE, RINGS},
#endif
    {0, 0, 0, 0, 0, 0}};

#endif
