/* What gg-lay does to single files and directories. */
#define _GNU_SOURCE
#include "lay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define WRONG 125

void fail(const char *format, ...)
{
    int saved = errno;
    va_list list;
    va_start(list, format);
    fputs("gg-lay: ", stderr);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, ": %s\n", strerror(saved));
    exit(WRONG);
}

char *joined(const char *above, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", above, name) < 0)
        fail("%s", name);
    return path;
}

char *copied(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        fail("%s", text);
    return copy;
}

void make_above(const char *path)
{
    char *copy = copied(path);
    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        struct stat st;
        if (mkdir(copy, 0777) != 0 && errno != EEXIST && stat(copy, &st) != 0)
            fail("cannot make %s", copy);
        *slash = '/';
    }
    free(copy);
}

void copy_file(const char *from, const char *to, mode_t mode)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct stat st;
    if (in < 0 || out < 0 || fstat(in, &st) != 0)
        fail("cannot copy %s to %s", from, to);
    for (off_t left = st.st_size; left > 0;) {
        ssize_t n = sendfile(out, in, NULL, (size_t)left);
        if (n <= 0)
            fail("cannot copy %s to %s", from, to);
        left -= n;
    }
    if (fchmod(out, mode) != 0 || close(out) != 0)
        fail("%s", to);
    close(in);
}

int is_listed(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}
