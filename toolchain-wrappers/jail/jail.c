/* gg-jail SPEC: runs one command in a root directory that holds only what SPEC says.
 *
 * SPEC is a file of operations, each a word and its arguments, each ended by NUL; they are done in order:
 *
 *   root DIR              an empty directory, to be the root; a tmpfs is mounted on it, and it is empty again afterwards
 *   keep DIR              instead of `root`: DIR itself becomes the root, and keeps what is written to it
 *   dir PATH              a directory (and those above it, as for all that follow)
 *   copy SRC DST MODE     a file with the bytes of SRC and MODE, octal
 *   bind SRC DST          SRC, a file or a tree, seen at DST, to be read only
 *   open SRC DST          the same, and it may be written to: how results come out
 *   link TARGET PATH      a symbolic link
 *   dev                   /dev with null, zero, full, urandom, random, tty, fd, stdin, stdout, stderr
 *   proc                  /proc of the command's own processes; left out where the host refuses it
 *   cwd PATH              where the command starts
 *   exec PROGRAM ARGV...  the rest: program and arguments. The environment is ours.
 *
 * The command is in user, mount, process, IPC, host name and network namespaces of its own; it keeps its user and
 * group number, has no rights outside, and is killed with all its children when this program is.
 *
 * Exit status: the command's, 128 + N when signal N killed it. 124: the host does not allow namespaces, and nothing
 * has been run. 125: SPEC is wrong or cannot be done. 126, 127: the command cannot be executed, or is not there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define REFUSED 124
#define WRONG 125

extern char **environ;

static const char *root = "";
static size_t root_size;

static _Noreturn void fail(int status, const char *format, ...)
{
    char line[4608];
    int saved = errno;
    va_list list;
    va_start(list, format);
    int n = vsnprintf(line, sizeof line - 256, format, list);
    va_end(list);
    n = n < (int)sizeof line - 256 ? n : (int)sizeof line - 257;
    n += snprintf(line + n, sizeof line - (size_t)n, ": %s\n", strerror(saved));
    if (write(STDERR_FILENO, line, (size_t)n) < 0)
        _exit(status);
    _exit(status);
}

/* The operations, one string after the other. */
static const char *spec, *spec_end;

static const char *next(void)
{
    errno = EINVAL;
    if (spec >= spec_end)
        fail(WRONG, "gg-jail: the specification is cut short");
    const char *s = spec;
    spec += strlen(s) + 1;
    return s;
}

static void read_spec(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        fail(WRONG, "gg-jail: %s", path);
    const char *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0); /* of no bytes: MAP_FAILED */
    errno = EINVAL;
    if (bytes == MAP_FAILED || bytes[st.st_size - 1] != '\0')
        fail(WRONG, "gg-jail: %s is not a specification", path);
    spec = bytes;
    spec_end = bytes + st.st_size;
    close(fd);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        fail(REFUSED, "gg-jail: user namespaces are refused here: %s", path);
    close(fd);
}

/* User and group keep their numbers, and nobody else has one. */
static void enter_namespaces(void)
{
    uid_t user = getuid();
    gid_t group = getgid();
    char map[64];
    int kinds = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
    /* Try again without a new network namespace: some hosts limit their number. */
    if (unshare(kinds) != 0 && unshare(kinds & ~CLONE_NEWNET) != 0)
        fail(REFUSED, "gg-jail: namespaces are refused here");
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "%lu %lu 1", (unsigned long)user, (unsigned long)user);
    write_file("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "%lu %lu 1", (unsigned long)group, (unsigned long)group);
    write_file("/proc/self/gid_map", map);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        fail(REFUSED, "gg-jail: mounting is refused here");
}

/* The path inside the new root, with the directories above it. */
static const char *inside(const char *path)
{
    static char full[8192], made[8192];
    size_t size = strlen(path);
    errno = ENAMETOOLONG;
    if (path[0] != '/' || root_size == 0 || root_size + size >= sizeof full)
        fail(WRONG, "gg-jail: %s", path);
    memcpy(full, root, root_size);
    memcpy(full + root_size, path, size + 1);
    char *slash = strrchr(full, '/');
    size_t above = (size_t)(slash - full);
    if (above <= root_size || (strncmp(made, full, above) == 0 && made[above] == '\0'))
        return full; /* neighbours share their directory */
    for (char *at = full + root_size + 1; at <= slash; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(full, 0755) != 0 && errno != EEXIST)
            fail(WRONG, "gg-jail: %s", full);
        *at = '/';
    }
    memcpy(made, full, above);
    made[above] = '\0';
    return full;
}

static void make_directory(const char *path)
{
    const char *full = inside(path);
    if (mkdir(full, 0755) != 0 && errno != EEXIST)
        fail(WRONG, "gg-jail: %s", full);
}

static void copy(const char *from, const char *to, const char *mode)
{
    static char buffer[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        fail(WRONG, "gg-jail: %s", from);
    int out = open(inside(to), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, (mode_t)strtoul(mode, NULL, 8));
    if (out < 0)
        fail(WRONG, "gg-jail: %s", inside(to));
    ssize_t n;
    while ((n = read(in, buffer, sizeof buffer)) > 0)
        for (ssize_t done = 0; done < n;) {
            ssize_t m = write(out, buffer + done, (size_t)(n - done));
            if (m < 0)
                fail(WRONG, "gg-jail: %s", inside(to));
            done += m;
        }
    if (n < 0)
        fail(WRONG, "gg-jail: %s", from);
    close(out);
    close(in);
}

/* A bind is made first and restricted afterwards, keeping the flags that a user namespace may not lift. */
static void bind(const char *from, const char *to, int writable)
{
    struct stat st;
    if (stat(from, &st) != 0)
        fail(WRONG, "gg-jail: %s", from);
    const char *full = inside(to);
    if (S_ISDIR(st.st_mode)) {
        if (mkdir(full, 0755) != 0 && errno != EEXIST)
            fail(WRONG, "gg-jail: %s", full);
    } else {
        int fd = open(full, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0)
            fail(WRONG, "gg-jail: %s", full);
        close(fd);
    }
    if (mount(from, full, NULL, MS_BIND | MS_REC, NULL) != 0)
        fail(WRONG, "gg-jail: bind %s", from);
    struct statvfs fs;
    if (writable || statvfs(full, &fs) != 0)
        return;
    unsigned long flags = (fs.f_flag & ST_NOSUID ? MS_NOSUID : 0) | (fs.f_flag & ST_NODEV ? MS_NODEV : 0) |
                          (fs.f_flag & ST_NOEXEC ? MS_NOEXEC : 0) | (fs.f_flag & ST_NOATIME ? MS_NOATIME : 0) |
                          (fs.f_flag & ST_NODIRATIME ? MS_NODIRATIME : 0) |
                          (fs.f_flag & ST_RELATIME ? MS_RELATIME : 0);
    if (mount(NULL, full, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL) != 0)
        fail(WRONG, "gg-jail: bind %s", from);
}

static void make_link(const char *target, const char *path)
{
    if (symlink(target, inside(path)) != 0 && errno != EEXIST)
        fail(WRONG, "gg-jail: %s", inside(path));
}

static void make_dev(void)
{
    static const char *const devices[] = {"/dev/null",   "/dev/zero",    "/dev/full",
                                          "/dev/random", "/dev/urandom", "/dev/tty"};
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        if (access(devices[i], F_OK) == 0)
            bind(devices[i], devices[i], 1);
    make_link("/proc/self/fd", "/dev/fd");
    make_link("/proc/self/fd/0", "/dev/stdin");
    make_link("/proc/self/fd/1", "/dev/stdout");
    make_link("/proc/self/fd/2", "/dev/stderr");
}

static void make_root(const char *path, int keep)
{
    static char real[4096];
    if (realpath(path, real) == NULL)
        fail(WRONG, "gg-jail: %s", path);
    if (keep ? mount(real, real, NULL, MS_BIND | MS_REC, NULL) != 0
             : mount("tmpfs", real, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0)
        fail(REFUSED, "gg-jail: mounting is refused here: %s", real);
    root = real;
    root_size = strlen(real);
}

static void make_proc(void)
{
    make_directory("/proc");
    /* Refused in many containers; a compiler can do without. */
    if (mount("proc", inside("/proc"), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
        errno = 0;
}

/* All operations up to exec. Returns where the command starts. */
static const char *build(void)
{
    const char *cwd = "/";
    for (;;) {
        const char *op = next();
        if (strcmp(op, "exec") == 0)
            return cwd;
        const char *a = strcmp(op, "dev") == 0 || strcmp(op, "proc") == 0 ? NULL : next();
        if (strcmp(op, "root") == 0 || strcmp(op, "keep") == 0) {
            make_root(a, op[0] == 'k');
        } else if (strcmp(op, "dir") == 0) {
            make_directory(a);
        } else if (strcmp(op, "copy") == 0) {
            const char *to = next();
            copy(a, to, next());
        } else if (strcmp(op, "bind") == 0 || strcmp(op, "open") == 0) {
            bind(a, next(), op[0] == 'o');
        } else if (strcmp(op, "link") == 0) {
            make_link(a, next());
        } else if (strcmp(op, "dev") == 0) {
            make_dev();
        } else if (strcmp(op, "proc") == 0) {
            make_proc();
        } else if (strcmp(op, "cwd") == 0) {
            cwd = a;
        } else {
            errno = EINVAL;
            fail(WRONG, "gg-jail: unknown operation %s", op);
        }
    }
}

static void change_root(const char *cwd)
{
    errno = EINVAL;
    if (root_size == 0)
        fail(WRONG, "gg-jail: no root");
    if (chdir(root) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
        fail(REFUSED, "gg-jail: the root cannot be changed here");
    if (chdir(cwd) != 0)
        fail(WRONG, "gg-jail: %s", cwd);
}

static _Noreturn void run(void)
{
    mode_t mask = umask(0);
    const char *cwd = build();
    umask(mask);
    const char *program = next();
    size_t argc = 0;
    for (const char *p = spec; p < spec_end; p += strlen(p) + 1)
        argc++;
    char **argv = calloc(argc + 1, sizeof *argv);
    errno = EINVAL;
    if (argv == NULL || argc == 0)
        fail(WRONG, "gg-jail: no command");
    for (size_t i = 0; i < argc; i++)
        argv[i] = (char *)(size_t)next();
    change_root(cwd);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    execve(program, argv, environ);
    fail(errno == ENOENT ? 127 : 126, "gg-jail: %s", program);
}

/* Wait for `child`, and reap others that have become ours. Returns the exit status as a shell gives it. */
static int wait_for(pid_t child)
{
    int status;
    for (;;) {
        pid_t who = wait(&status);
        if (who == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (who < 0 && errno != EINTR)
            fail(WRONG, "gg-jail: wait");
    }
}

int main(int argc, char *argv[])
{
    errno = EINVAL;
    if (argc != 2)
        fail(WRONG, "usage: gg-jail SPEC");
    read_spec(argv[1]);
    pid_t parent = getppid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it was killed before the line above */
        _exit(WRONG);
    enter_namespaces();
    pid_t init = fork(); /* the first process of the new process namespace: when it ends the kernel kills the others */
    if (init < 0)
        fail(REFUSED, "gg-jail: fork");
    if (init == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pid_t child = fork(); /* the kernel ignores signals that a first process sends itself: abort() must work */
        if (child < 0)
            fail(REFUSED, "gg-jail: fork");
        if (child == 0)
            run();
        _exit(wait_for(child));
    }
    signal(SIGINT, SIG_IGN); /* the terminal sends it to the command too */
    return wait_for(init);
}
