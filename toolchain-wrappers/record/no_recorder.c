/* For when no recorder answers: gg-infer was killed, or has ended before this program. Then gg-force makes the file. The shim
 * starts gg-force, for this library is not loaded into the shim.
 *
 * We are in somebody else's process, maybe one of its threads, maybe between vfork and exec. The shim is therefore no child
 * of this process but of one between, which nobody here is told of when it ends (its exit signal is none), and a waitpid
 * for any child does not find.
 */
#define _GNU_SOURCE
#include "record.h"

#include "../common/raw.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static long clone_process(int exit_signal)
{
    return gg_raw(SYS_clone, exit_signal, 0, 0, 0, 0, 0);
}

static long wait_for(long child, int *status, int options)
{
    return gg_raw(SYS_wait4, child, (intptr_t)status, options, 0, 0, 0);
}

static _Noreturn void run_and_wait(char *const argv[], const sigset_t *mask)
{
    int status = 0;
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigaction(SIGCHLD, &by_default, NULL);
    long child = clone_process(SIGCHLD);
    if (child == 0) {
        sigprocmask(SIG_SETMASK, mask, NULL);
        gg_raw(SYS_execve, (intptr_t)argv[0], (intptr_t)argv, (intptr_t)environ, 0, 0, 0);
        _exit(127);
    }
    while (child > 0 && wait_for(child, &status, 0) < 0 && errno == EINTR)
        continue;
    _exit(child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 126);
}

int gg_force_alone(const char *path)
{
    const char *shim = gg_session()->shim;
    char *argv[] = {(char *)(uintptr_t)shim, (char *)"--gg-force", (char *)(uintptr_t)path, NULL};
    sigset_t all, mask;
    int status = 0;
    if (shim == NULL)
        return -1;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &mask); /* no handler of the program's runs in the copies of it */
    long child = clone_process(0);
    if (child == 0)
        run_and_wait(argv, &mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    long gone = 0;
    while (child > 0 && (gone = wait_for(child, &status, __WALL)) < 0 && errno == EINTR)
        continue;
    return child > 0 && gone == child && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}
