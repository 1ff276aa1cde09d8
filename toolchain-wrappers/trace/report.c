/* Reports what was touched: each kind of touch of each path once. The first touch tells what was there before the command. */
#define _GNU_SOURCE
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_MAX (64L << 20) /* bytes of a file that is about to be changed */

static char top[PATH_MAX];
static FILE *records;
static unsigned copies;
static char **table; /* open addressing: kind and path */
static size_t capacity, used;
static int lost; /* something was not written down: the report is of no use */

int gg_report_path(const char *name, char path[PATH_MAX])
{
    return snprintf(path, PATH_MAX, "%s/%s", top, name) < PATH_MAX ? 0 : -1;
}

int gg_report_open(const char *directory)
{
    char path[PATH_MAX];
    if (strlen(directory) >= sizeof top - 32)
        return -1;
    strcpy(top, directory);
    capacity = 1 << 14;
    table = calloc(capacity, sizeof *table);
    records = gg_report_path("touched", path) == 0 ? fopen(path, "we") : NULL;
    return table != NULL && records != NULL ? 0 : -1;
}

static size_t slot_of(char *const *in, size_t size, const char *key)
{
    uint64_t hash = 1469598103934665603ull; /* FNV-1a */
    for (const char *c = key; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 1099511628211ull;
    size_t at = hash & (size - 1);
    while (in[at] != NULL && strcmp(in[at], key) != 0)
        at = (at + 1) & (size - 1);
    return at;
}

static int grow(void)
{
    char **larger = calloc(capacity * 2, sizeof *larger);
    if (larger == NULL)
        return -1;
    for (size_t i = 0; i < capacity; i++)
        if (table[i] != NULL)
            larger[slot_of(larger, capacity * 2, table[i])] = table[i];
    free(table);
    table = larger;
    capacity *= 2;
    return 0;
}

/* 1 the first time that this kind of touch of this path is met. */
static int is_new(char kind, const char *path)
{
    char key[PATH_MAX + 2];
    if (strlen(path) > PATH_MAX || (used * 2 > capacity && grow() != 0)) {
        lost = 1;
        return 0;
    }
    key[0] = kind;
    strcpy(key + 1, path);
    size_t at = slot_of(table, capacity, key);
    if (table[at] != NULL)
        return 0;
    table[at] = strdup(key);
    used++;
    lost = lost || table[at] == NULL;
    return 1;
}

static void record(char kind, char state, const char *path)
{
    putc(kind, records);
    putc(state, records);
    fputs(path, records);
    putc('\0', records);
}

void gg_taint(const char *why)
{
    if (is_new('T', why))
        record('T', '-', why);
}

int gg_touch(char kind, const char *path)
{
    int fresh = is_new(kind, path);
    if (fresh)
        record(kind, '-', path);
    return fresh;
}

static int copy(const char *path)
{
    char name[24], to[PATH_MAX];
    struct stat st;
    snprintf(name, sizeof name, "%u", copies++);
    int in = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int out = gg_report_path(name, to) == 0 ? open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    int failed = in < 0 || out < 0 || fstat(in, &st) != 0 || st.st_size > COPY_MAX;
    for (off_t left = failed ? 0 : st.st_size; left > 0 && !failed;) {
        ssize_t n = sendfile(out, in, NULL, (size_t)left);
        failed = n <= 0;
        left -= n;
    }
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return failed ? -1 : 0;
}

void gg_change(const char *path, int follow)
{
    char full[PATH_MAX], head[PATH_MAX];
    struct stat st;
    if (strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/dev/", 5) == 0)
        return;
    if (!follow || realpath(path, full) == NULL) {
        const char *slash = strrchr(path, '/');
        if (slash == NULL || strlen(path) >= PATH_MAX)
            return;
        memcpy(head, path, (size_t)(slash - path));
        head[slash - path] = '\0';
        if (realpath(head[0] != '\0' ? head : "/", full) == NULL)
            return; /* there is no such directory: nothing can be changed */
        size_t n = strlen(full);
        if (strcmp(slash + 1, "..") == 0 || strcmp(slash + 1, ".") == 0 || n + strlen(slash) >= PATH_MAX)
            return;
        if (slash[1] != '\0')
            strcpy(full + (n > 1 ? n : 0), slash);
    }
    if (!is_new('W', full))
        return;
    char state = lstat(full, &st) != 0 ? 'a'
                 : S_ISREG(st.st_mode) ? 'f'
                 : S_ISDIR(st.st_mode) ? 'd'
                 : S_ISLNK(st.st_mode) ? 'l'
                                       : 'o';
    if (state == 'f' && copy(full) != 0)
        gg_taint("a file that was there is changed and cannot be copied");
    record('W', state, full);
}

int gg_report_close(void)
{
    return fclose(records) == 0 && !lost ? 0 : -1;
}
