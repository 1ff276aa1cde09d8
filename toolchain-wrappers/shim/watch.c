/* Statically linked programs, and all of Go's, make their system calls themselves. For these the kernel is asked to tell
 * (seccomp's user notification): a filter on the program and all that it starts stops the calls that open a file or
 * ask for its size. A process of ours, the watcher, looks whether a call is about a placeholder, has it forced, and lets
 * the call go on, which then meets the real file. It is no sandbox: a call that the watcher cannot understand goes on.
 *
 * The watcher is nobody's child and in no one's process group, holds no descriptor but the filter's, and ends when the
 * last process under the filter has. A force is waited for in a process of its own, so that other calls go on; the
 * reader may be killed meanwhile, then nobody is there to be answered.
 */
#define _GNU_SOURCE
#include "watch.h"
#include "watched_calls.h"

#include "no_recorder.h"
#include "../common/filter.h"
#include "../common/go.h"
#include "../common/peek.h"
#include "../common/placeholder.h"
#include "../common/program.h"
#include "../common/programs.h"
#include "../common/wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS (sizeof calls / sizeof calls[0] - 1)

/* What is unreached */

static int unreached(const char *path, int scripts)
{
    char head[GG_HEAD], loader[1];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, head, sizeof head - 1);
    size_t size = n > 0 ? (size_t)n : 0;
    enum gg_elf elf = gg_elf_loader(fd, head, size, loader, sizeof loader);
    if (fd >= 0)
        close(fd);
    if (elf != GG_NO_ELF)
        return elf != GG_HAS_LOADER || gg_is_go(head, size);
    const char *interpreter = scripts ? gg_script_interpreter(head, size, NULL) : NULL;
    return interpreter != NULL && unreached(interpreter, 0);
}

int gg_is_unreached(const char *path)
{
    return unreached(path, 1);
}

/* The filter */

static int install(void)
{
    struct sock_filter code[CALLS * 4 + 2];
    unsigned n = 0;
    for (const struct call *c = calls; c->arch != 0; c++) {
        code[n++] = GG_LOAD(arch);
        code[n++] = GG_IF(c->arch, 0, 2);
        code[n++] = GG_LOAD(nr);
        code[n] = GG_IF(c->number, (unsigned char)((CALLS * 4 + 1) - n - 1), 0); /* to the last one, below */
        n++;
    }
    code[n++] = GG_END(SECCOMP_RET_ALLOW);
    code[n++] = GG_END(SECCOMP_RET_USER_NOTIF);
    struct sock_fprog program = {(unsigned short)n, code};
    long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (listener < 0 && errno == EACCES && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    return (int)listener;
}

/* The watcher */

static int same_root(pid_t pid)
{
    char file[48];
    struct stat ours, theirs;
    snprintf(file, sizeof file, "/proc/%d/root/.", (int)pid);
    return stat("/", &ours) == 0 && stat(file, &theirs) == 0 && ours.st_ino == theirs.st_ino &&
           ours.st_dev == theirs.st_dev;
}

/* The file that a call names by two of its arguments, as a path of ours. */
static int path_in(const struct seccomp_notif *asked, int at_dir, int at_path, char full[2 * PATH_MAX])
{
    char path[PATH_MAX];
    pid_t pid = (pid_t)asked->pid;
    int dir = at_dir == NONE ? AT_FDCWD : (int)asked->data.args[at_dir];
    if (gg_peek_string(pid, asked->data.args[at_path], path) != 0 || path[0] == '\0')
        return -1;
    int n = path[0] == '/'    ? same_root(pid) ? 0 : snprintf(full, PATH_MAX, "/proc/%d/root", (int)pid)
               : dir == AT_FDCWD ? snprintf(full, PATH_MAX, "/proc/%d/cwd/", (int)pid)
                              : snprintf(full, PATH_MAX, "/proc/%d/fd/%d/", (int)pid, dir);
    strcpy(full + n, path);
    return 0;
}

static int path_of(const struct seccomp_notif *asked, const struct call *c, char full[2 * PATH_MAX])
{
    return path_in(asked, c->dir, c->path, full);
}

/* Does the call carry the file that it names out of the workspace? Another gg below us, in its own workspace, does not count. */
static int leads_out(const struct seccomp_notif *asked, const struct call *c)
{
    char from[2 * PATH_MAX], to[2 * PATH_MAX];
    const char *root = getenv("GG_ROOT");
    return root != NULL && path_in(asked, c->dir == NONE ? NONE : c->flags - 1, c->flags, to) == 0 &&
           gg_leads_out(root, AT_FDCWD, to) && path_of(asked, c, from) == 0 && !gg_leads_out(root, AT_FDCWD, from);
}

static uint64_t flags_of(const struct seccomp_notif *asked, const struct call *c)
{
    uint64_t flags = 0;
    if (c->flags == HOW)
        return gg_peek((pid_t)asked->pid, asked->data.args[2], &flags, sizeof flags) == 0 ? flags : O_PATH;
    return c->flags == NONE ? 0 : asked->data.args[(int)c->flags];
}

/* Does the call need the real file behind a placeholder? Then the placeholder's name is put into `name`. */
static int must_be_real(const struct seccomp_notif *asked, const struct call *c, char name[PATH_MAX])
{
    char full[2 * PATH_MAX], bytes[GG_PLACEHOLDER_SIZE], link[40];
    struct stat st;
    uint64_t flags = flags_of(asked, c);
    if ((c->what == CUTS && flags == 0) || (c->what == HIDES && (flags & S_IRUSR)))
        return 0;
    if (c->what >= CUTS)
        flags = 0;
    if ((flags & (O_TRUNC | O_PATH | O_DIRECTORY)) || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) ||
        path_of(asked, c, full) != 0 ||
        fstatat(AT_FDCWD, full, &st, c->what == SIZES || c->what == NAMES ? AT_SYMLINK_NOFOLLOW : 0) != 0 ||
        (st.st_size != GG_PLACEHOLDER_SIZE && !gg_may_be_rule(st.st_size)) || !S_ISREG(st.st_mode))
        return 0;
    int fd = open(full, O_RDONLY | O_CLOEXEC), rule = gg_may_be_rule(st.st_size);
    int is = rule ? fd >= 0 && pread(fd, bytes, GG_RULE_NEWLINES, st.st_size - GG_RULE_NEWLINES) == GG_RULE_NEWLINES &&
                        gg_ends_rule(bytes) && !gg_reads_rules((pid_t)asked->pid)
                  : fd >= 0 && read(fd, bytes, sizeof bytes) == sizeof bytes && gg_is_placeholder(bytes);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = is ? readlink(link, name, PATH_MAX - 1) : 0;
    if (fd >= 0)
        close(fd);
    name[n > 0 ? n : 0] = '\0';
    pid_t pid = (pid_t)asked->pid;
    return n > 0 && (c->what > SIZES || (rule && c->what != SIZES) ||
                     gg_sight_of(pid) < (c->what == SIZES ? GG_LOOKS : GG_COPIES));
}

static int is_directory(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The reader's own standard error. */
static int errors_of(pid_t pid)
{
    char file[48];
    snprintf(file, sizeof file, "/proc/%d/fd/2", (int)pid);
    return open(file, O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC);
}

static void complain(pid_t pid, const char *said, size_t size)
{
    int fd = errors_of(pid);
    if (fd < 0)
        return;
    gg_write_all(fd, said, size);
    close(fd);
}

static int force_alone(pid_t pid, const char *name)
{
    char *paths[] = {(char *)(size_t)name, NULL};
    int fd = errors_of(pid);
    if (fd >= 0)
        dup2(fd, STDERR_FILENO);
    return gg_run_gg_force(paths) == 0 ? 0 : -EIO;
}

/* Force a file; runs in a process of its own. 0, or the error with which the call must end. */
static int force(const char *socket_path, pid_t pid, const char *name)
{
    char *argv[] = {(char *)"a static program", NULL};
    struct gg_reply reply;
    if (gg_ask(socket_path, GG_FORCE, 0, name, "/", argv, NULL, &reply) != NULL)
        return force_alone(pid, name);
    if (reply.kind == GG_READY)
        return 0;
    if (reply.kind == GG_FAILED)
        complain(pid, reply.err, reply.err_size);
    return reply.kind == GG_FAILED && reply.status == GG_UNMADE ? -ENOENT : -EIO;
}

/* Force what is below a directory that is carried away. */
static int force_below(const char *socket_path, pid_t pid, const char *directory)
{
    char path[2 * PATH_MAX], bytes[GG_PLACEHOLDER_SIZE];
    DIR *entries = opendir(directory);
    int failed = 0;
    for (struct dirent *e; entries != NULL && !failed && (e = readdir(entries)) != NULL;) {
        int n = snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
        int fd = n < (int)sizeof path ? open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
        struct stat st;
        if (fd < 0 || fstat(fd, &st) != 0)
            st.st_mode = 0;
        if (S_ISDIR(st.st_mode) && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            failed = force_below(socket_path, pid, path);
        else if (S_ISREG(st.st_mode) && st.st_size == GG_PLACEHOLDER_SIZE &&
                 read(fd, bytes, sizeof bytes) == sizeof bytes && gg_is_placeholder(bytes))
            failed = force(socket_path, pid, path);
        if (fd >= 0)
            close(fd);
    }
    if (entries != NULL)
        closedir(entries);
    return failed;
}

/* From here on nobody sees what the process reads: force all placeholders first, and tell the recorder. */
static void before_rings(const char *socket_path, pid_t pid)
{
    char link[40], program[PATH_MAX], *argv[] = {program, NULL};
    struct gg_reply reply;
    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    ssize_t n = readlink(link, program, sizeof program - 1);
    program[n > 0 ? n : 0] = '\0';
    if (gg_ask(socket_path, GG_FORCE, 0, "", "/", argv, NULL, &reply) == NULL)
        gg_reply_free(&reply);
    if (gg_ask(socket_path, GG_UNWATCHED, 0, program, "/", argv, NULL, &reply) == NULL)
        gg_reply_free(&reply);
}

static void answer(int listener, const struct seccomp_notif *asked, int error)
{
    struct seccomp_notif_resp reply = {.id = asked->id, .error = error};
    reply.flags = error == 0 ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0;
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply); /* whoever asked may be gone */
}

/* Do what the call must wait for; runs in a process of its own. `name`: the placeholder's. Returns what `force` does. */
static int prepare(const char *socket_path, const struct seccomp_notif *asked, const struct call *c, const char *name)
{
    char top[PATH_MAX];
    pid_t pid = (pid_t)asked->pid;
    if (c->what != RINGS)
        return !is_directory(name)           ? force(socket_path, pid, name)
               : realpath(name, top) != NULL ? force_below(socket_path, pid, top)
                                             : 0;
    before_rings(socket_path, pid);
    return 0;
}

/* Must something be done before the call? Then `name` says to which file. */
static int must_wait(const struct seccomp_notif *asked, const struct call *c, char name[2 * PATH_MAX])
{
    if (c->what == RINGS)
        return 1;
    if (c->what == NAMES && !leads_out(asked, c))
        return 0;
    return (c->what == NAMES && path_of(asked, c, name) == 0 && is_directory(name)) || must_be_real(asked, c, name);
}

static void handle(int listener, const char *socket_path, const struct seccomp_notif *asked)
{
    char name[2 * PATH_MAX];
    const struct call *c = calls;
    while (c->arch != 0 && (c->arch != asked->data.arch || c->number != (uint32_t)asked->data.nr))
        c++;
    if (c->arch == 0 || !must_wait(asked, c, name)) {
        answer(listener, asked, 0);
        return;
    }
    pid_t child = fork();
    if (child > 0)
        return;
    answer(listener, asked, prepare(socket_path, asked, c, name));
    if (child == 0)
        _exit(0);
}

static _Noreturn void watch(int listener, const char *socket_path)
{
    struct pollfd ready = {listener, POLLIN, 0};
    while (poll(&ready, 1, -1) > 0 || errno == EINTR) {
        struct seccomp_notif asked;
        memset(&asked, 0, sizeof asked);
        if ((ready.revents & POLLIN) && ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) == 0)
            handle(listener, socket_path, &asked);
        else if (ready.revents & (POLLHUP | POLLERR | POLLNVAL))
            break;
    }
    _exit(0);
}

/* Starting it */

static void let_go(int keep)
{
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd <= 2 && null >= 0; fd++)
        dup2(null, fd);
    if (dup2(keep, 3) != 3)
        _exit(1);
    if (syscall(SYS_close_range, 4u, ~0u, 0u) != 0)
        for (int fd = 4; fd < 65536; fd++)
            close(fd);
    if (chdir("/") != 0)
        _exit(1);
}

static int receive(int channel)
{
    char byte, room[CMSG_SPACE(sizeof(int))];
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *head;
    int fd = -1;
    if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) == 1 && (head = CMSG_FIRSTHDR(&message)) != NULL)
        memcpy(&fd, CMSG_DATA(head), sizeof fd);
    return fd;
}

static int send_to(int channel, int fd)
{
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {0};
    char byte = 0;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    return sendmsg(channel, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

/* A grandchild that waits for the filter. */
static void start_watcher(int channel, const char *socket_path)
{
    setsid();
    signal(SIGCHLD, SIG_IGN);
    if (fork() != 0)
        _exit(0);
    let_go(channel);
    int listener = receive(3);
    if (listener < 0)
        _exit(1);
    close(3);
    watch(listener, socket_path);
}

/* A tracer, gg-trace or strace, would not see the calls that the filter stops. */
static int is_traced(void)
{
    char text[2048];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *line = strstr(text, "TracerPid:");
    return line != NULL && atoi(line + 10) != 0;
}

int gg_watch(const char *socket_path)
{
    int channel[2];
    if (is_traced() || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0)
        start_watcher(channel[1], socket_path);
    close(channel[1]);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
    int listener = child > 0 ? install() : -1;
    int already = listener < 0 && errno == EBUSY; /* one of our ancestors is watched, and we with it */
    int failed = already ? 0 : listener < 0 ? -1 : send_to(channel[0], listener);
    if (listener >= 0)
        close(listener);
    close(channel[0]);
    return failed;
}
