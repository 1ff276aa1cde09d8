/* The system calls that look at paths or change them. Each is met when it is entered. The tracer itself looks at the path: unless
 * a traced process has changed it, the tracer sees the state from before the command. */
#define _GNU_SOURCE
#include "../common/filter.h"
#include "../common/peek.h"
#include "../common/program.h"
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <linux/audit.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "tracing is for x86-64 and arm64"
#endif

enum what {
    OPEN,   /* a: path, b: flags */
    LOOK,   /* a: path */
    LOOK_L, /* a: path, its own link not followed */
    FLAGS,  /* a: path, b: flags with AT_SYMLINK_NOFOLLOW; an empty path is a descriptor that is open already */
    RUN,    /* a: path */
    LIST,   /* a: descriptor */
    CHANGE, /* a: path, links not followed */
    BOTH,   /* a and b: paths; d and e their directories */
    MODIFY, /* a: path, followed */
    BY_FD,  /* a: descriptor of what is changed */
    CREAT,  /* a: path */
    REACH,  /* connect, bind: b an address */
    UNSEEN  /* cannot be observed */
};

#define NONE (-1)

struct call {
    long number;
    const char *name;
    enum what what;
    signed char dir, a, b, e; /* the arguments' places; dir: that of the path's directory */
};

static const struct call calls[] = {
    {SYS_openat, "openat", OPEN, 0, 1, 2, NONE},
#ifdef SYS_open
    {SYS_open, "open", OPEN, NONE, 0, 1, NONE},
    {SYS_creat, "creat", CREAT, NONE, 0, NONE, NONE},
    {SYS_stat, "stat", LOOK, NONE, 0, NONE, NONE},
    {SYS_lstat, "lstat", LOOK_L, NONE, 0, NONE, NONE},
    {SYS_access, "access", LOOK, NONE, 0, NONE, NONE},
    {SYS_readlink, "readlink", LOOK_L, NONE, 0, NONE, NONE},
    {SYS_getdents, "getdents", LIST, NONE, 0, NONE, NONE},
    {SYS_mkdir, "mkdir", CHANGE, NONE, 0, NONE, NONE},
    {SYS_rmdir, "rmdir", CHANGE, NONE, 0, NONE, NONE},
    {SYS_unlink, "unlink", CHANGE, NONE, 0, NONE, NONE},
    {SYS_rename, "rename", BOTH, NONE, 0, 1, NONE},
    {SYS_link, "link", BOTH, NONE, 0, 1, NONE},
    {SYS_symlink, "symlink", CHANGE, NONE, 1, NONE, NONE},
    {SYS_mknod, "mknod", CHANGE, NONE, 0, NONE, NONE},
    {SYS_chmod, "chmod", MODIFY, NONE, 0, NONE, NONE},
    {SYS_chown, "chown", MODIFY, NONE, 0, NONE, NONE},
    {SYS_lchown, "lchown", CHANGE, NONE, 0, NONE, NONE},
    {SYS_utime, "utime", MODIFY, NONE, 0, NONE, NONE},
    {SYS_utimes, "utimes", MODIFY, NONE, 0, NONE, NONE},
    {SYS_futimesat, "futimesat", MODIFY, 0, 1, NONE, NONE},
#endif
    {SYS_newfstatat, "newfstatat", FLAGS, 0, 1, 3, NONE},
    {SYS_statx, "statx", FLAGS, 0, 1, 2, NONE},
    {SYS_faccessat, "faccessat", LOOK, 0, 1, NONE, NONE},
#ifdef SYS_faccessat2
    {SYS_faccessat2, "faccessat2", FLAGS, 0, 1, 3, NONE},
#endif
    {SYS_readlinkat, "readlinkat", LOOK_L, 0, 1, NONE, NONE},
    {SYS_statfs, "statfs", LOOK, NONE, 0, NONE, NONE},
    {SYS_chdir, "chdir", LOOK, NONE, 0, NONE, NONE},
    {SYS_getxattr, "getxattr", LOOK, NONE, 0, NONE, NONE},
    {SYS_lgetxattr, "lgetxattr", LOOK_L, NONE, 0, NONE, NONE},
    {SYS_execve, "execve", RUN, NONE, 0, NONE, NONE},
    {SYS_execveat, "execveat", RUN, 0, 1, NONE, NONE},
    {SYS_getdents64, "getdents64", LIST, NONE, 0, NONE, NONE},
    {SYS_mkdirat, "mkdirat", CHANGE, 0, 1, NONE, NONE},
    {SYS_unlinkat, "unlinkat", CHANGE, 0, 1, NONE, NONE},
    {SYS_renameat, "renameat", BOTH, 0, 1, 3, 2},
    {SYS_renameat2, "renameat2", BOTH, 0, 1, 3, 2},
    {SYS_linkat, "linkat", BOTH, 0, 1, 3, 2},
    {SYS_symlinkat, "symlinkat", CHANGE, 1, 2, NONE, NONE},
    {SYS_mknodat, "mknodat", CHANGE, 0, 1, NONE, NONE},
    {SYS_fchmodat, "fchmodat", MODIFY, 0, 1, NONE, NONE},
    {SYS_fchownat, "fchownat", MODIFY, 0, 1, NONE, NONE},
    {SYS_utimensat, "utimensat", MODIFY, 0, 1, NONE, NONE},
    {SYS_truncate, "truncate", MODIFY, NONE, 0, NONE, NONE},
    {SYS_setxattr, "setxattr", MODIFY, NONE, 0, NONE, NONE},
    {SYS_fchmod, "fchmod", BY_FD, NONE, 0, NONE, NONE},
    {SYS_fchown, "fchown", BY_FD, NONE, 0, NONE, NONE},
    {SYS_connect, "connect", REACH, NONE, 0, 1, NONE},
    {SYS_bind, "bind", REACH, NONE, 0, 1, NONE},
    {SYS_shmget, "shmget", UNSEEN, NONE, NONE, NONE, NONE},
    {SYS_msgget, "msgget", UNSEEN, NONE, NONE, NONE, NONE},
    {SYS_semget, "semget", UNSEEN, NONE, NONE, NONE, NONE},
    {SYS_mq_open, "mq_open", UNSEEN, NONE, NONE, NONE, NONE},
    {SYS_mount, "mount", UNSEEN, NONE, NONE, NONE, NONE},
    {SYS_chroot, "chroot", UNSEEN, NONE, NONE, NONE, NONE},
    {SYS_unshare, "unshare", UNSEEN, NONE, NONE, NONE, NONE},
    {SYS_setns, "setns", UNSEEN, NONE, NONE, NONE, NONE},
    {SYS_io_uring_setup, "io_uring_setup", UNSEEN, NONE, NONE, NONE, NONE},
    {SYS_open_by_handle_at, "open_by_handle_at", UNSEEN, NONE, NONE, NONE, NONE},
    {SYS_swapon, "swapon", UNSEEN, NONE, NONE, NONE, NONE},
#ifdef SYS_openat2
    {SYS_openat2, "openat2", UNSEEN, NONE, NONE, NONE, NONE},
#endif
};

#define COUNT (sizeof calls / sizeof *calls)

/* The filter also stops calls of another architecture (32 bits); they are reported as what cannot be observed. */
int gg_install_filter(void)
{
    struct sock_filter filter[COUNT + 8];
    unsigned n = 0;
    filter[n++] = GG_LOAD(arch);
    filter[n++] = GG_IF(ARCHITECTURE, 1, 0);
    filter[n++] = GG_END(SECCOMP_RET_TRACE);
    filter[n++] = GG_LOAD(nr);
    for (unsigned i = 0; i < COUNT; i++)
        filter[n++] = GG_IF((uint32_t)calls[i].number, (uint8_t)(COUNT - i), 0);
    filter[n++] = GG_END(SECCOMP_RET_ALLOW);
    filter[n++] = GG_END(SECCOMP_RET_TRACE);
    struct sock_fprog program = {(unsigned short)n, filter};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
        return 0;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) : -1;
}

/* Where the process is, or what its descriptor `fd` has open. */
static int place_of(pid_t pid, int fd, char path[PATH_MAX])
{
    char link[64];
    if (fd == AT_FDCWD)
        snprintf(link, sizeof link, "/proc/%d/cwd", (int)pid);
    else
        snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)pid, fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    path[n > 0 ? n : 0] = '\0';
    return n > 0 && path[0] == '/' ? 0 : -1;
}

/* The path in an argument made absolute; 1 when it is empty, as of a call that is about its descriptor. */
static int path_of(pid_t pid, const uint64_t args[6], int at, int dir, char full[PATH_MAX])
{
    char text[PATH_MAX];
    if (args[at] == 0)
        return 1;
    if (gg_peek_string(pid, args[at], text) != 0)
        return -1;
    if (text[0] == '/') {
        strcpy(full, text);
        return 0;
    }
    if (text[0] == '\0')
        return 1;
    if (place_of(pid, dir == NONE ? AT_FDCWD : (int)args[dir], full) != 0) {
        gg_taint("a directory that cannot be told");
        return -1;
    }
    size_t n = strlen(full);
    if (n + strlen(text) + 2 > PATH_MAX)
        return -1;
    full[n] = '/';
    strcpy(full + n + 1, strncmp(text, "./", 2) == 0 ? text + 2 : text);
    return 0;
}

/* Report a path whose links are followed: by the name that was used, and by the name that it leads to. */
static void touch(char kind, const char *path)
{
    char real[PATH_MAX];
    if (gg_touch(kind, path) && strncmp(path, "/proc/", 6) != 0 && realpath(path, real) != NULL &&
        strcmp(real, path) != 0)
        gg_touch(kind, real);
}

/* Report an executed file, and the files that the kernel opens by itself: a script's interpreter and the dynamic loader. */
static void saw_run(const char *path)
{
    char head[512], name[PATH_MAX];
    strcpy(name, path);
    for (int depth = 0; depth < 6 && name[0] == '/'; depth++) {
        touch('R', name);
        int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof head - 1, 0);
        name[0] = '\0';
        const char *interpreter = n > 0 ? gg_script_interpreter(head, (size_t)n, NULL) : NULL;
        if (interpreter != NULL)
            strcpy(name, interpreter);
        else if (n <= 0 || gg_elf_loader(fd, head, (size_t)n, name, sizeof name) != GG_HAS_LOADER)
            name[0] = '\0';
        if (fd >= 0)
            close(fd);
    }
}

static void saw_open(const char *path, uint64_t flags)
{
    int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
    if (!(flags & O_TRUNC) && (flags & O_ACCMODE) != O_WRONLY)
        touch('R', path);
    if (writes && (flags & O_TMPFILE) != O_TMPFILE)
        gg_change(path, !(flags & (O_NOFOLLOW | O_EXCL)));
    if (writes)
        gg_touch('S', path);
}

static void saw_address(pid_t pid, uint64_t address, int binds)
{
    struct sockaddr_un to = {0};
    struct iovec here = {&to, sizeof to - 1}, there = {(void *)(uintptr_t)address, sizeof to - 1};
    int known = process_vm_readv(pid, &here, 1, &there, 1, 0) >= (ssize_t)sizeof to.sun_family;
    if (known && to.sun_family == AF_NETLINK) { /* getaddrinfo asks the kernel for this machine's own addresses */
        gg_touch('R', "/proc/net/fib_trie");
        gg_touch('R', "/proc/net/if_inet6");
    } else if (!binds && known && to.sun_family == AF_UNIX && to.sun_path[0] == '/' &&
               strncmp(to.sun_path, "/proc/", 6) != 0 && access(to.sun_path, F_OK) != 0) {
        gg_touch('S', to.sun_path);
    } else {
        gg_taint("talks to another process through a socket");
    }
}

static void saw_rename(const char *from, const char *to)
{
    struct stat st;
    if (lstat(from, &st) == 0 && S_ISDIR(st.st_mode))
        gg_taint("moves a directory");
    gg_touch('R', from); /* its bytes come to be elsewhere */
    gg_change(from, 0);
    gg_change(to, 0);
}

void gg_saw_call(pid_t pid, uint32_t arch, uint64_t number, const uint64_t args[6])
{
    const struct call *call = NULL;
    for (unsigned i = 0; i < COUNT && call == NULL; i++)
        if ((uint64_t)calls[i].number == number)
            call = &calls[i];
    if (arch != ARCHITECTURE || call == NULL) {
        gg_taint("a program of another architecture");
        return;
    }
    char path[PATH_MAX], other[PATH_MAX];
    if (call->what == UNSEEN) {
        snprintf(path, sizeof path, "it calls %s, which is not followed", call->name);
        gg_taint(path);
        return;
    }
    if (call->what == REACH) {
        saw_address(pid, args[call->b], call->number == SYS_bind);
        return;
    }
    if (call->what == LIST || call->what == BY_FD) {
        if (place_of(pid, (int)args[call->a], path) == 0) {
            if (call->what == LIST)
                gg_touch('D', path);
            else
                gg_change(path, 1);
        }
        return;
    }
    int empty = path_of(pid, args, call->a, call->dir, path);
    if (empty != 0) {
        if (empty > 0 && call->dir != NONE && call->what == MODIFY && place_of(pid, (int)args[call->dir], path) == 0)
            gg_change(path, 1); /* utimensat of a descriptor */
        else if (empty > 0 && call->what == RUN && call->dir != NONE && place_of(pid, (int)args[call->dir], path) == 0)
            saw_run(path);
        return; /* what has no readable name fails, or is open already */
    }
    switch (call->what) {
    case OPEN:
        saw_open(path, args[call->b]);
        break;
    case CREAT:
        saw_open(path, O_WRONLY | O_CREAT | O_TRUNC);
        break;
    case LOOK:
        touch('S', path);
        break;
    case LOOK_L:
        gg_touch('L', path);
        break;
    case FLAGS:
        if (args[call->b] & AT_SYMLINK_NOFOLLOW)
            gg_touch('L', path);
        else
            touch('S', path);
        break;
    case RUN:
        saw_run(path);
        break;
    case CHANGE:
        gg_touch('L', path);
        gg_change(path, 0);
        break;
    case MODIFY:
        gg_touch('S', path);
        gg_change(path, 1);
        break;
    case BOTH:
        if (path_of(pid, args, call->b, call->e, other) == 0)
            saw_rename(path, other);
        break;
    default:
        break;
    }
}
