/* What a process was called before it executed another program in its place: a script that ends with `exec gcc "$@"`, bash with the
 * last command of its text, nohup. Whoever has started it knows it by its own words, and acts on its status by those. The kernel
 * forgets them, so they are written into a file beside the recorder's socket, which reads it (gg/record/hearers/called.py).
 */
#define _GNU_SOURCE
#include "record.h"

#include "../common/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MOST = 16384 }; /* bytes of words; of more the first ones count */

struct record {
    uint64_t when; /* nanoseconds since the machine was started */
    uint32_t size;
    char words[MOST];
} __attribute__((packed));

static pid_t
    began; /* the process that this library was loaded into, and no child of its own without another program */

__attribute__((constructor)) static void begin(void)
{
    began = getpid();
}

/* These start no compilers, and scripts execute them by the thousand. */
static int is_mere(const char *path)
{
    static const char *const names[] = {"awk",   "basename", "cat",   "chmod", "cmp",   "cp",    "cut",  "date",
                                        "diff",  "dirname",  "echo",  "egrep", "expr",  "fgrep", "grep", "head",
                                        "id",    "ln",       "ls",    "mawk",  "mkdir", "mv",    "pwd",  "rm",
                                        "rmdir", "sed",      "sleep", "sort",  "stat",  "tail",  "test", "touch",
                                        "tr",    "true",     "uname", "uniq",  "wc",    "which"};
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return 1;
    return 0;
}

static void note(const char *socket)
{
    struct record record;
    struct timespec now;
    char path[PATH_MAX];
    const char *slash = strrchr(socket, '/');
    int n =
        slash == NULL ? -1 : snprintf(path, sizeof path, "%.*s/called%d", (int)(slash - socket), socket, (int)began);
    int from = n > 0 && n < (int)sizeof path ? gg_raw_open(AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC) : -1;
    if (from < 0)
        return;
    long size = gg_raw(SYS_read, from, (long)(intptr_t)record.words, MOST, 0, 0, 0);
    gg_raw(SYS_close, from, 0, 0, 0, 0, 0);
    if (size <= 0 || clock_gettime(CLOCK_BOOTTIME, &now) != 0)
        return;
    record.when = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    record.size = (uint32_t)size;
    int to =
        (int)gg_raw(SYS_openat, AT_FDCWD, (long)(intptr_t)path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600, 0, 0);
    if (to < 0)
        return; /* another user's process, or one that does not reach the directory: its calls run for real */
    gg_raw(SYS_write, to, (long)(intptr_t)&record, offsetof(struct record, words) + size, 0, 0, 0);
    gg_raw(SYS_close, to, 0, 0, 0, 0, 0);
}

void gg_becomes(int dir, const char *path)
{
    const struct gg_session *s = gg_session();
    int saved = errno;
    if (s->socket != NULL && !s->bypass && getpid() == began && !is_mere(path) &&
        (path[0] == '\0' || gg_raw(SYS_faccessat, dir, (long)(intptr_t)path, X_OK, 0, 0, 0) == 0))
        note(s->socket);
    errno = saved;
}
