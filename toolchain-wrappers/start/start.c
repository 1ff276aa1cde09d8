/* A command of gg: starts `gg-python`, the script beside it, with SIGINT blocked.
 *
 * Python shows a traceback of its own loading where Ctrl-C comes while it starts, before a line of ours is read. A signal that
 * is blocked waits, and gg/cli/main.py lets it come as soon as it can answer. It does so if it is told "hold"; whoever has
 * SIGINT blocked already keeps it so.
 *
 * Python looks for modules wherever its variables say, before it reads a line of ours. A relative place, or an empty one, is in the
 * directory at hand, which may be a stranger's tree: this Python is given the absolute ones. Nor is a relative HOME one, where
 * libraries look for settings: the user's is that of the system then. What a recorded build is given is put back
 * (`given_environment` in gg/workspace/settings.py).
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCRIPT "gg-python"
#define KEPT "GG_GIVEN_"

static const char *const PLACES[] = {"PYTHONHOME", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONUSERBASE"};

/* Takes what is not absolute out of a variable, and keeps what it was. Nonzero when there is no memory for that. */
static int keep_absolute(const char *name)
{
    char kept_as[sizeof KEPT + 32];
    const char *given = getenv(name);
    if (!given || !*given)
        return 0;
    char *places = malloc(strlen(given) + 1), *end = places;
    if (!places)
        return 1;
    for (const char *at = given;;) {
        size_t length = strcspn(at, ":");
        if (*at == '/') {
            if (end != places)
                *end++ = ':';
            memcpy(end, at, length);
            end += length;
        }
        if (!at[length])
            break;
        at += length + 1;
    }
    *end = '\0';
    int failed = 0;
    if (strcmp(places, given) != 0) {
        snprintf(kept_as, sizeof kept_as, KEPT "%s", name);
        failed = setenv(kept_as, given, 1) || (*places ? setenv(name, places, 1) : unsetenv(name));
    }
    free(places);
    return failed != 0;
}

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

    const char *home = getenv("HOME");
    if (home && *home && *home != '/' && (setenv(KEPT "HOME", home, 1) || unsetenv("HOME")))
        return 70;
    for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++)
        if (keep_absolute(PLACES[i]))
            return 70;
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
