/* The traced processes. They are followed with PTRACE_SEIZE, so that stops for job control stay what they are. */
#define _GNU_SOURCE
#include "trace.h"

#include "../wire.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <linux/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPTIONS                                                                                                     \
    (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACESECCOMP | \
     PTRACE_O_EXITKILL)

/* Pass on what the command writes to its standard output and error, and keep it. Its own process: it lives until all
 * that have the pipes are gone. */
static void pass_on(int out, int err, const char *log)
{
    struct pollfd from[2] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
    int file = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), open_ends = 2;
    signal(SIGINT, SIG_IGN);
    while (open_ends > 0) {
        if (poll(from, 2, -1) < 0)
            continue;
        for (int i = 0; i < 2; i++) {
            char bytes[65536];
            if (from[i].fd < 0 || from[i].revents == 0)
                continue;
            ssize_t n = read(from[i].fd, bytes, sizeof bytes);
            if (n <= 0) {
                from[i].fd = -1;
                open_ends--;
                continue;
            }
            unsigned char head[5] = {(unsigned char)(i + 1)};
            uint32_t size = (uint32_t)n;
            memcpy(head + 1, &size, sizeof size);
            gg_write_all(file, head, sizeof head);
            gg_write_all(file, bytes, (size_t)n);
            gg_write_all(i + 1, bytes, (size_t)n);
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
    if (event == PTRACE_EVENT_SECCOMP)
        stopped_at_call(pid);
    if (event == PTRACE_EVENT_STOP && (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU)) {
        ptrace(PTRACE_LISTEN, pid, 0, 0);
        return;
    }
    ptrace(PTRACE_CONT, pid, 0, event != 0 ? 0 : (long)signal);
}

/* Follow all until none is left; the wait status of the first. */
static int follow(pid_t first)
{
    int result = 0;
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid < 0)
            return result;
        if (WIFSTOPPED(status))
            go_on(pid, status);
        else if (pid == first)
            result = status;
    }
}

static void tell(const char *report, int status)
{
    char number[16], name[] = "gg-trace", cwd[PATH_MAX];
    char *argv[] = {name, (char *)(uintptr_t)report, number, NULL};
    struct gg_reply reply;
    const char *socket_path = getenv("GG_SOCKET");
    snprintf(number, sizeof number, "%d", status);
    if (socket_path != NULL && gg_ask(socket_path, GG_CALL, 0, "/gg-trace", getcwd(cwd, sizeof cwd) ? cwd : "/", argv,
                                      NULL, &reply) == NULL)
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

int main(int argc, char *argv[])
{
    char log[PATH_MAX];
    int out[2], err[2], gate[2];
    if (argc < 4)
        return 64;
    if (mkdir(argv[1], 0700) != 0 || gg_report_open(argv[1]) != 0 || gg_report_path("output", log) != 0 ||
        pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0 || pipe2(gate, O_CLOEXEC) != 0)
        run(argv);
    pid_t child = fork();
    if (child == 0) {
        char go = 0;
        close(gate[1]);
        if (read(gate[0], &go, 1) == 1 && go == 1 && gg_install_filter() == 0) {
            dup2(out[1], STDOUT_FILENO);
            dup2(err[1], STDERR_FILENO);
        }
        run(argv);
    }
    char go = child > 0 && ptrace(PTRACE_SEIZE, child, 0, OPTIONS) == 0;
    pid_t passing = go ? fork() : -1;
    if (passing == 0) {
        close(out[1]);
        close(err[1]);
        close(gate[1]);
        pass_on(out[0], err[0], log);
    }
    close(out[1]);
    close(err[1]);
    signal(SIGINT, SIG_IGN); /* the terminal sends it to the command too */
    signal(SIGQUIT, SIG_IGN);
    gg_write_all(gate[1], &go, 1);
    close(gate[1]);
    int status = follow(child);
    if (gg_report_close() == 0 && go && stops)
        tell(argv[1], status);
    end_as(status);
}
