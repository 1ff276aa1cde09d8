#define _GNU_SOURCE
#include "called.h"

#include "raw.h"

#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 16384 }; /* bytes of words; of more the first ones count */

struct record {
    uint64_t when; /* nanoseconds since the machine was started */
    uint32_t size;
    char words[MOST];
} __attribute__((packed));

/* Where the words begin that are left when the first `skip` are left out. */
static char *behind(char *at, const char *end, int skip)
{
    for (; skip > 0 && at < end; skip--)
        at += strnlen(at, (size_t)(end - at)) + 1;
    return at < end ? at : NULL;
}

void gg_note_called(const char *socket, pid_t pid, int skip)
{
    struct record record;
    struct timespec now;
    char path[PATH_MAX];
    const char *slash = strrchr(socket, '/');
    int n = slash == NULL ? -1 : snprintf(path, sizeof path, "%.*s/called%d", (int)(slash - socket), socket, (int)pid);
    int from = n > 0 && n < (int)sizeof path ? gg_raw_open(AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC) : -1;
    if (from < 0)
        return;
    long size = gg_raw(SYS_read, from, (long)(intptr_t)record.words, MOST, 0, 0, 0);
    gg_raw(SYS_close, from, 0, 0, 0, 0, 0);
    char *words = size > 0 ? behind(record.words, record.words + size, skip) : NULL;
    if (words == NULL || clock_gettime(CLOCK_BOOTTIME, &now) != 0)
        return;
    size -= words - record.words;
    memmove(record.words, words, (size_t)size);
    record.when = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    record.size = (uint32_t)size;
    int to =
        (int)gg_raw(SYS_openat, AT_FDCWD, (long)(intptr_t)path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600, 0, 0);
    if (to < 0)
        return; /* another user's process, or one that does not reach the directory: its calls run for real */
    gg_raw(SYS_write, to, (long)(intptr_t)&record, offsetof(struct record, words) + size, 0, 0, 0);
    gg_raw(SYS_close, to, 0, 0, 0, 0, 0);
}
