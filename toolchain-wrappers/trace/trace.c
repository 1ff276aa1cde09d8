/* The traced processes. They are followed with PTRACE_SEIZE, so that stops for job control stay what they are. */
#define _GNU_SOURCE
#include "trace.h"

#include "../common/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <linux/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOTHING_RAN 99 /* the exit status of a tracer that has not started the command */
#define OPTIONS                                                                                                    \
    (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACESECCOMP | \
     PTRACE_O_EXITKILL)

/* Pipes between the processes: what the command writes, when its output is to be complete, and whether it is. */
enum { OUT, ERR, GATE, END, BELL, ACK, PIPES };
static int pipes[PIPES][2];

static int by_value(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Close all descriptors from 3 on but these: a process of ours that outlives the command must hold nothing of its caller's. */
static void close_others(int *kept, size_t count)
{
#ifdef SYS_close_range
    unsigned first = 3;
    if (count > 0) /* qsort takes no null pointer, of no elements either */
        qsort(kept, count, sizeof *kept, by_value);
    for (size_t i = 0; i < count; i++) {
        if (kept[i] > (int)first)
            syscall(SYS_close_range, first, (unsigned)kept[i] - 1, 0);
        if (kept[i] >= (int)first)
            first = (unsigned)kept[i] + 1;
    }
    syscall(SYS_close_range, first, ~0U, 0);
#else
    (void)kept;
    (void)count;
    (void)by_value;
#endif
}

/* Read what one stream has, keep it in the file and write it on. 0: the stream has ended, or nobody takes the output any more. */
static int take(int number, int from, int *file)
{
    char bytes[65536];
    ssize_t n = read(from, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR)
        return 1;
    if (n <= 0)
        return 0;
    unsigned char head[5] = {(unsigned char)number};
    uint32_t size = (uint32_t)n;
    memcpy(head + 1, &size, sizeof size);
    if (*file >= 0 && (gg_write_all(*file, head, sizeof head) != 0 || gg_write_all(*file, bytes, (size_t)n) != 0)) {
        close(*file);
        *file = -1;
    }
    return gg_write_all(number, bytes, (size_t)n) == 0;
}

/* Say whether all that was written so far is in the file. Nobody may be there to hear it. */
static void say_whole(int *file)
{
    char whole = *file >= 0;
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    gg_write_all(pipes[ACK][1], &whole, 1);
    signal(SIGPIPE, before);
    close(pipes[ACK][1]);
    if (*file >= 0)
        close(*file);
    *file = -1;
}

/* Pass on what the command writes to its standard output and error, and keep it. Its own process: it lives until all
 * that have the pipes are gone. When the bell rings, what was written so far is passed on, and that is said. */
static _Noreturn void pass_on(const char *log)
{
    struct pollfd from[3] = {{pipes[OUT][0], POLLIN, 0}, {pipes[ERR][0], POLLIN, 0}, {pipes[BELL][0], POLLIN, 0}};
    int file = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    close(pipes[OUT][1]);
    close(pipes[ERR][1]);
    close(pipes[BELL][1]);
    int kept[] = {pipes[OUT][0], pipes[ERR][0], pipes[BELL][0], pipes[ACK][1], file};
    close_others(kept, sizeof kept / sizeof *kept);
    signal(SIGINT, SIG_IGN);
    while (from[0].fd >= 0 || from[1].fd >= 0 || from[2].fd >= 0) {
        if (poll(from, 3, -1) < 0)
            continue;
        int idle = 1;
        for (int i = 0; i < 2; i++) {
            if (from[i].fd < 0 || from[i].revents == 0)
                continue;
            idle = 0;
            if (!take(i + 1, from[i].fd, &file)) {
                close(from[i].fd);
                from[i].fd = -1;
            }
        }
        if (idle && from[2].revents != 0) {
            say_whole(&file);
            from[2].fd = -1;
        }
    }
    _exit(0);
}

static _Noreturn void run(char *argv[])
{
    execv(argv[2], argv + 3);
    const char *why = strerror(errno);
    gg_write_all(STDERR_FILENO, argv[2], strlen(argv[2]));
    gg_write_all(STDERR_FILENO, ": ", 2);
    gg_write_all(STDERR_FILENO, why, strlen(why));
    gg_write_all(STDERR_FILENO, "\n", 1);
    _exit(errno == ENOENT ? 127 : 126);
}

static int stops; /* none at all: the filter is not there */
static int over;  /* the command has ended: what goes on is followed, and nothing of it is written down */

static void stopped_at_call(pid_t pid)
{
    struct ptrace_syscall_info info;
    stops = 1;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) > 0 && info.op == PTRACE_SYSCALL_INFO_SECCOMP) {
        uint64_t args[6];
        for (int i = 0; i < 6; i++)
            args[i] = info.seccomp.args[i];
        gg_saw_call(pid, info.arch, info.seccomp.nr, args);
    } else {
        gg_taint("a system call that could not be read");
    }
}

/* Let a process that has stopped go on. */
static void go_on(pid_t pid, int status)
{
    int signal = WSTOPSIG(status), event = status >> 16;
    if (event == PTRACE_EVENT_SECCOMP && !over)
        stopped_at_call(pid);
    if (event == PTRACE_EVENT_STOP &&
        (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU)) {
        ptrace(PTRACE_LISTEN, pid, 0, 0);
        return;
    }
    ptrace(PTRACE_CONT, pid, 0, event != 0 ? 0 : (long)signal);
}

/* Wait for one followed process, or only look (WNOHANG), and let it go on. Returns the process that has ended; 0 if none has,
 * -1 if none is left. */
static pid_t follow_one(int *status, int options)
{
    pid_t pid = waitpid(-1, status, __WALL | options);
    if (pid < 0)
        return errno == EINTR ? 0 : -1;
    if (pid > 0 && WIFSTOPPED(*status)) {
        go_on(pid, *status);
        return 0;
    }
    return pid;
}

/* Follow all until `first` has ended; its wait status. */
static int follow(pid_t first)
{
    int status = 0;
    for (;;) {
        pid_t pid = follow_one(&status, 0);
        if (pid < 0 || pid == first)
            return status;
    }
}

/* Whether a followed process is left a moment after the first has ended: processes that end together end one after the other. */
static int some_are_left(void)
{
    int status;
    for (int tries = 0; tries < 40; tries++) {
        pid_t pid;
        struct timespec pause = {0, 5000000};
        while ((pid = follow_one(&status, WNOHANG)) > 0)
            ;
        if (pid < 0)
            return 0;
        nanosleep(&pause, NULL);
    }
    return 1;
}

static void tell(const char *report, int status)
{
    char number[16], name[] = "gg-trace", cwd[PATH_MAX];
    char *argv[] = {name, (char *)(uintptr_t)report, number, NULL};
    struct gg_reply reply;
    const char *socket_path = getenv("GG_SOCKET");
    snprintf(number, sizeof number, "%d", status);
    if (socket_path != NULL &&
        gg_ask(socket_path, GG_CALL, 0, "/gg-trace", getcwd(cwd, sizeof cwd) ? cwd : "/", argv, NULL, &reply) == NULL)
        gg_reply_free(&reply);
}

static void end_as(int status)
{
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* Become the command, once it is followed; it waits at the gate until then. If it is not to be followed, it starts at once. */
static _Noreturn void begin(char *argv[])
{
    char go = 0;
    close(pipes[GATE][1]);
    if (read(pipes[GATE][0], &go, 1) == 1 && go == 1 && gg_install_filter() == 0) {
        dup2(pipes[OUT][1], STDOUT_FILENO);
        dup2(pipes[ERR][1], STDERR_FILENO);
    }
    run(argv);
}

/* Processes of the command that go on in the background must be followed as long as they live: a call that stops at a filter
 * fails without a tracer. No descriptor of the caller's is held meanwhile. */
static _Noreturn void follow_the_rest(void)
{
    static const int ignored[] = {SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU};
    int status, nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3 && nowhere >= 0; fd++)
        dup2(nowhere, fd);
    close_others(NULL, 0);
    setsid();
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    over = 1;
    while (follow_one(&status, 0) >= 0)
        ;
    _exit(0);
}

/* Start the command and follow it, in a process of its own, which may outlive it. What became of it goes into `end`. */
static _Noreturn void trace(char *argv[], pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* and with us all that is followed, as if there were one process of ours */
    if (getppid() != parent)
        _exit(NOTHING_RAN);
    pid_t child = fork();
    if (child == 0)
        begin(argv);
    if (child < 0)
        _exit(NOTHING_RAN);
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    for (int i = OUT; i <= ERR; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    close(pipes[ACK][1]);
    char go = ptrace(PTRACE_SEIZE, child, 0, OPTIONS) == 0, whole = 0;
    gg_write_all(pipes[GATE][1], &go, 1);
    close(pipes[GATE][1]);
    int status = follow(child);
    gg_write_all(pipes[BELL][1], &go, 1);
    if (read(pipes[ACK][0], &whole, 1) != 1 || !whole)
        gg_taint("its output could not be kept");
    int rest = some_are_left();
    if (rest)
        gg_taint("something that it has begun goes on in the background");
    if (gg_report_close() == 0 && go && stops)
        tell(argv[1], status);
    prctl(PR_SET_PDEATHSIG, 0);
    gg_write_all(pipes[END][1], &status, sizeof status);
    close(pipes[END][1]);
    if (rest)
        follow_the_rest();
    _exit(0);
}

int main(int argc, char *argv[])
{
    char log[PATH_MAX];
    int status = 0;
    if (argc < 4)
        return 64;
    int failed = mkdir(argv[1], 0700) != 0 || gg_report_open(argv[1]) != 0 || gg_report_path("output", log) != 0;
    for (int i = 0; i < PIPES && !failed; i++)
        failed = pipe2(pipes[i], O_CLOEXEC) != 0;
    if (failed)
        run(argv);
    pid_t self = getpid(), passing = fork();
    if (passing == 0)
        pass_on(log);
    pid_t tracer = passing > 0 ? fork() : -1;
    if (tracer == 0)
        trace(argv, self);
    for (int i = 0; i < PIPES; i++) {
        close(pipes[i][1]);
        if (i != END)
            close(pipes[i][0]);
    }
    void (*interrupted)(int) = signal(SIGINT, SIG_IGN); /* the terminal sends it to the command too */
    void (*quit)(int) = signal(SIGQUIT, SIG_IGN);
    if (tracer > 0 && read(pipes[END][0], &status, sizeof status) == (ssize_t)sizeof status)
        end_as(status);
    if (tracer > 0 &&
        (waitpid(tracer, &status, 0) != tracer || !WIFEXITED(status) || WEXITSTATUS(status) != NOTHING_RAN))
        end_as(status); /* it was killed, and the command with it */
    if (passing > 0)
        waitpid(passing, NULL, 0);
    signal(SIGINT, interrupted);
    signal(SIGQUIT, quit);
    run(argv);
}
