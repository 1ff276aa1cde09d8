/* The directory in which files are being placed.
 *
 * make compares directories' times too. To put a file in a placeholder's place changes those of its directory, which a
 * plain build would not have done at that moment: so they are set back, unless somebody else has changed it since.
 */
#define _GNU_SOURCE
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4352 };

static struct {
    char path[PATH_SIZE]; /* with its last slash; empty: none */
    int fd;
    int changed;
    struct timespec before, after; /* when it was last changed: by others; by us */
} here = {.fd = -1};

const char *gg_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

int gg_enter(const char *path)
{
    size_t size = (size_t)(gg_name(path) - path);
    struct stat st;
    if (here.fd >= 0 && strncmp(here.path, path, size) == 0 && here.path[size] == '\0')
        return here.fd;
    gg_leave();
    if (size >= PATH_SIZE) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(here.path, path, size);
    here.path[size] = '\0';
    here.fd = open(size > 0 ? here.path : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (here.fd >= 0 && fstat(here.fd, &st) == 0)
        here.before = st.st_mtim;
    return here.fd;
}

void gg_have_changed(void)
{
    struct stat st;
    if (fstat(here.fd, &st) != 0)
        return;
    here.after = st.st_mtim;
    here.changed = 1;
}

void gg_leave(void)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, here.before};
    char name[40];
    struct stat st;
    snprintf(name, sizeof name, "/proc/self/fd/%d", here.fd); /* futimens takes no such descriptor */
    if (here.changed && fstat(here.fd, &st) == 0 && st.st_mtim.tv_sec == here.after.tv_sec &&
        st.st_mtim.tv_nsec == here.after.tv_nsec)
        utimensat(AT_FDCWD, name, times, 0);
    if (here.fd >= 0)
        close(here.fd);
    here.fd = -1;
    here.changed = 0;
}
