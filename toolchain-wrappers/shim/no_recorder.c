#define _GNU_SOURCE
#include "no_recorder.h"

#include "../common/placeholder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char library[] = "/libgg-record.so";

int gg_placeholder_at(const char *path)
{
    char bytes[GG_PLACEHOLDER_SIZE + 1];
    struct stat st;
    if (stat(path, &st) != 0 || st.st_size != GG_PLACEHOLDER_SIZE || !S_ISREG(st.st_mode))
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = pread(fd, bytes, sizeof bytes, 0);
    close(fd);
    return n == GG_PLACEHOLDER_SIZE && gg_is_placeholder(bytes);
}

/* directory-of-the-shim + tail, if that can be executed. */
static const char *beside(const char *tail, char *buffer, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", buffer, size - 1);
    if (n <= 0)
        return NULL;
    buffer[n] = '\0';
    char *slash = strrchr(buffer, '/');
    if (slash == NULL || (size_t)(slash - buffer) + strlen(tail) + 1 > size)
        return NULL;
    strcpy(slash, tail);
    return access(buffer, X_OK) == 0 ? buffer : NULL;
}

/* Remove the entries for which `drop` is true from a list with colons between, in place. */
static void thin_out(char *list, int (*drop)(char *entry))
{
    char *to = list;
    int kept = 0;
    for (char *at = list, *next; at != NULL; at = next) {
        next = strchr(at, ':');
        if (next != NULL)
            *next++ = '\0';
        size_t size = strlen(at);
        if (drop(at))
            continue;
        if (kept++ > 0)
            *to++ = ':';
        memmove(to, at, size);
        to += size;
    }
    *to = '\0';
}

static int is_our_library(char *entry)
{
    size_t n = strlen(entry), m = sizeof library - 1;
    return n >= m && strcmp(entry + n - m, library) == 0;
}

static const char *called; /* the name by which is_shims_directory looks */

static int is_shim(const char *path)
{
    struct stat own, other;
    return stat("/proc/self/exe", &own) == 0 && stat(path, &other) == 0 && own.st_ino == other.st_ino &&
           own.st_dev == other.st_dev;
}

static int is_shims_directory(char *entry)
{
    const char *shims = getenv("GG_SHIMS");
    if (shims != NULL && strcmp(entry, shims) == 0)
        return 1;
    char *full = malloc(strlen(entry) + strlen(called) + 2);
    if (full == NULL)
        return 0;
    stpcpy(stpcpy(stpcpy(full, entry), "/"), called);
    int is = is_shim(entry[0] != '\0' ? full : called);
    free(full);
    return is;
}

/* Set the variable to what is left of it. */
static void thin_out_variable(const char *name, int (*drop)(char *entry))
{
    const char *value = getenv(name);
    char *copy = value != NULL ? strdup(value) : NULL;
    if (copy == NULL)
        return;
    thin_out(copy, drop);
    if (copy[0] == '\0' && value[0] != '\0')
        unsetenv(name);
    else
        setenv(name, copy, 1);
    free(copy);
}

/* gg-force is started as if it had been called outside of any recording. */
static void forget_recording(void)
{
    static const char *const ours[] = {"GG_SOCKET",  "GG_SHIM",      "GG_SHIMS",
                                       "GG_TOOLS",   "GG_DECLARED",  "GG_BYPASS",
                                       "GG_WATCHED", "GG_EXEC_PATH", "GG_PLACEHOLDER_TRIED",
                                       NULL};
    called = "gcc";
    thin_out_variable("PATH", is_shims_directory);
    thin_out_variable("LD_PRELOAD", is_our_library);
    for (int i = 0; ours[i] != NULL; i++)
        unsetenv(ours[i]);
}

static _Noreturn void become_gg_force(char *const paths[])
{
    char buffer[8192], directory[8192];
    size_t count = 0;
    while (paths[count] != NULL)
        count++;
    char **argv = malloc((count + 3) * sizeof *argv);
    const char *program = beside("/gg-force", buffer, sizeof buffer);
    if (program == NULL) /* installed in gg/_native: the environment's bin is five directories up */
        program = beside("/../../../../../bin/gg-force", buffer, sizeof buffer);
    const char *slash = strrchr(paths[0], '/');
    if (argv == NULL || slash == NULL || (size_t)(slash - paths[0]) >= sizeof directory)
        _exit(126);
    memcpy(directory, paths[0], (size_t)(slash - paths[0]));
    strcpy(directory + (slash - paths[0]), slash == paths[0] ? "/" : "");
    argv[0] = (char *)"gg-force";
    argv[1] = (char *)"--";
    memcpy(argv + 2, paths, (count + 1) * sizeof *argv);
    forget_recording();
    dup2(STDERR_FILENO, STDOUT_FILENO); /* standard output belongs to who reads the file */
    if (chdir(directory) != 0)
        _exit(126);
    if (program != NULL)
        execv(program, argv);
    execvp("gg-force", argv);
    _exit(127);
}

int gg_run_gg_force(char *const paths[])
{
    void (*before)(int) = signal(SIGCHLD, SIG_DFL); /* who ignores it is not told how children end */
    pid_t child = fork();
    if (child == 0)
        become_gg_force(paths);
    int status = 0, gone = -1;
    while (child > 0 && (gone = waitpid(child, &status, 0)) < 0 && errno == EINTR)
        continue;
    signal(SIGCHLD, before);
    return gone < 0 || !WIFEXITED(status) ? 126 : WEXITSTATUS(status);
}

/* Force the placeholders among the arguments, but not the tool's own output: it is made anew, and may be the very file that could
 * not be made. */
static void force_arguments(char *const argv[], const char *directory)
{
    size_t room = 1, n = 0;
    for (char *const *a = argv; *a != NULL; a++)
        for (room++, n = 0; (*a)[n] != '\0'; n++)
            room += (*a)[n] == ',' || (*a)[n] == '=';
    char **found = calloc(room, sizeof *found);
    n = 0;
    for (char *const *a = argv; found != NULL && *a != NULL && a[1] != NULL; a++) {
        char *arg = strcmp(a[0], "-o") != 0 || a == argv ? strdup(a[1]) : NULL;
        for (char *at = arg, *next; at != NULL && n + 1 < room; at = next) {
            next = strpbrk(at, ",=");
            int whole = at == arg && gg_placeholder_at(at);
            if (next != NULL && !whole)
                *next++ = '\0';
            char *full = whole || gg_placeholder_at(at) ? malloc(strlen(directory) + strlen(at) + 2) : NULL;
            if (full != NULL)
                stpcpy(at[0] == '/' ? full : stpcpy(stpcpy(full, directory), "/"), at);
            if (full != NULL)
                found[n++] = full;
            if (whole)
                break;
        }
    }
    if (n > 0)
        gg_run_gg_force(found); /* what cannot be made is told; who then reads it finds a placeholder */
}

/* The first program of that name along PATH, which has no shims on it any more; in a buffer of its own. */
static const char *found_on_path(const char *name)
{
    const char *list = getenv("PATH");
    for (list = list != NULL ? list : "/bin:/usr/bin"; list != NULL;) {
        size_t n = strcspn(list, ":");
        char *full = malloc(n + strlen(name) + 2);
        struct stat st;
        if (full == NULL)
            return NULL;
        memcpy(full, list, n);
        stpcpy(stpcpy(full + n, n > 0 ? "/" : ""), name);
        if (access(full, X_OK) == 0 && stat(full, &st) == 0 && S_ISREG(st.st_mode) && !is_shim(full))
            return full;
        free(full);
        list = list[n] == ':' ? list + n + 1 : NULL;
    }
    return NULL;
}

const char *gg_real_program(const char *path, char *const argv[], const char *directory)
{
    const char *slash = strrchr(argv[0], '/');
    called = slash != NULL ? slash + 1 : argv[0];
    thin_out_variable("PATH", is_shims_directory);
    const char *program = path[0] != '\0'                      ? path
                          : slash != NULL && !is_shim(argv[0]) ? argv[0]
                                                               : found_on_path(called);
    errno = ENOENT;
    if (program == NULL || is_shim(program))
        return NULL;
    force_arguments(argv, directory);
    setenv("GG_BYPASS", "1", 1); /* what it starts is as little to be recorded */
    return program;
}
