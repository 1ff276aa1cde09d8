/* gg-warden FD PROGRAM ARGV...: runs one command, and ends every process that it leaves.
 *
 * The command has a process group of its own. When it has ended, whatever still runs of what it began is killed: also what
 * has a session or a group of its own, or whose parents are gone, for that has become ours (PR_SET_CHILD_SUBREAPER). SIGTERM,
 * which also comes when our parent dies, has us kill the command first.
 *
 * Exit status: the command's own, and its signal. When it cannot be executed: 127, and errno as four bytes at the start of FD,
 * which is not passed on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 5000

extern char **environ;

static volatile sig_atomic_t command;

static void on_term(int number)
{
    (void)number;
    if (command > 0)
        kill((pid_t)command, SIGKILL);
}

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000L + now.tv_nsec / 1000000L;
}

/* Kill all our children. Until one is reaped nobody else has its number. 0 when nobody can tell which there are. */
static int kill_children(void)
{
    char path[64], list[4096];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t size = read(fd, list, sizeof list - 1);
    close(fd);
    if (size <= 0)
        return size == 0;
    list[size] = '\0';
    if (list[size - 1] != ' ') { /* the last number may be cut short */
        char *last = strrchr(list, ' ');
        if (last != NULL)
            *last = '\0';
    }
    for (char *at = list, *end; *at != '\0'; at = end) {
        long pid = strtol(at, &end, 10);
        if (end == at)
            break;
        if (pid > 1)
            kill((pid_t)pid, SIGKILL);
    }
    return 1;
}

static void end_all(void)
{
    const struct timespec pause = {0, 500000};
    long until = now_ms() + PATIENCE_MS;
    for (;;) {
        pid_t who = waitpid(-1, NULL, WNOHANG);
        if (who < 0 && errno != EINTR)
            return;
        if (who > 0 && now_ms() <= until)
            continue;
        if (now_ms() > until || !kill_children())
            return;
        nanosleep(&pause, NULL);
    }
}

/* Execute the program. One that was written a moment ago is busy while a child that was just forked holds it open for writing. */
static int execute(const char *program, char *argv[])
{
    for (long wait_us = 1000;; wait_us *= 10) {
        execve(program, argv, environ);
        if (errno != ETXTBSY || wait_us > 1000000)
            return errno;
        usleep((useconds_t)wait_us);
    }
}

static _Noreturn void end_as(int status)
{
    if (WIFSIGNALED(status)) {
        struct rlimit none = {0, 0};
        sigset_t all;
        setrlimit(RLIMIT_CORE, &none); /* the command's own is there already */
        signal(WTERMSIG(status), SIG_DFL);
        sigfillset(&all);
        sigprocmask(SIG_UNBLOCK, &all, NULL);
        kill(getpid(), WTERMSIG(status));
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int argc, char *argv[])
{
    struct sigaction action = {.sa_handler = on_term};
    struct sigaction before;
    sigset_t term, mask;
    if (argc < 4)
        return 125;
    int trouble = atoi(argv[1]);
    fcntl(trouble, F_SETFD, FD_CLOEXEC);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &mask);
    sigaction(SIGTERM, &action, &before);
    pid_t parent = getppid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (getppid() != parent) /* it was killed before the line above */
        return 125;
    pid_t child = fork();
    if (child < 0)
        return 125;
    if (child == 0) {
        setpgid(0, 0);
        sigaction(SIGTERM, &before, NULL);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        int error = execute(argv[2], argv + 3);
        _exit(pwrite(trouble, &error, sizeof error, 0) == (ssize_t)sizeof error ? 127 : 126);
    }
    command = child;
    sigprocmask(SIG_UNBLOCK, &term, NULL);
    siginfo_t info;
    while (waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR)
        ;
    command = 0; /* and only now may its number be anybody's */
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    end_all();
    end_as(status);
}
