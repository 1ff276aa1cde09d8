/* A command of gg: starts `gg-python`, the script beside it, with SIGINT blocked.
 *
 * Python shows a traceback of its own loading where Ctrl-C comes while it starts, before a line of ours is read. A signal that
 * is blocked waits, and gg/cli/main.py lets it come as soon as it can answer. It does so if it is told "hold"; whoever has
 * SIGINT blocked already keeps it so.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCRIPT "gg-python"

int main(int argc, char **argv)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof SCRIPT);
    char *slash;
    if (length > 0)
        path[length] = '\0';
    else if (argc < 1 || !realpath(argv[0], path))
        path[0] = '\0'; /* without /proc, by the name that it was called by */
    slash = strrchr(path, '/');
    if (!slash || (size_t)(slash - path) + 1 + sizeof SCRIPT > sizeof path) {
        fprintf(stderr, NAME ": cannot tell where it is installed\n");
        return 70;
    }
    strcpy(slash + 1, SCRIPT);

    sigset_t interrupt, before;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, &before);

    char **words = calloc((size_t)argc + 4, sizeof *words);
    if (!words)
        return 70;
    words[0] = path;
    words[1] = (char *)NAME;
    words[2] = (char *)(sigismember(&before, SIGINT) ? "held" : "hold");
    for (int i = 1; i < argc; i++)
        words[i + 2] = argv[i];
    execv(path, words);
    fprintf(stderr, NAME ": cannot start %s: %s\n", path, strerror(errno));
    return 70;
}
