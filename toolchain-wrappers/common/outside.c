/* Is a path outside of the workspace, where nobody looks for placeholders: in another directory, or on another mount? */
#define _GNU_SOURCE
#include "programs.h"

#include "raw.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int gg_is_outside(const char *root, int fd)
{
    char link[40], path[PATH_MAX];
    struct stat top, st;
    if (gg_raw_stat(AT_FDCWD, root, &top) != 0 || fstat(fd, &st) != 0)
        return 0;
    if (st.st_dev != top.st_dev)
        return 1;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    size_t size = strcmp(root, "/") == 0 ? 0 : strlen(root);
    return n > 0 && (strncmp(path, root, size) != 0 || (path[size] != '/' && path[size] != '\0'));
}

static int is_directory_outside(const char *root, int dir, const char *path)
{
    int fd = gg_raw_open(dir, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int out = fd >= 0 && gg_is_outside(root, fd);
    if (fd >= 0)
        close(fd);
    return out;
}

int gg_leads_out(const char *root, int dir, const char *path)
{
    char above[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (size >= sizeof above)
        return 0;
    memcpy(above, path, size);
    strcpy(above + size, size == 0 ? "." : "");
    return is_directory_outside(root, dir, above) || is_directory_outside(root, dir, path);
}
