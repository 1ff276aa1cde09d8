/* Files that are carried out of the workspace. gg does not look for placeholders there, so nobody would force them. So a program
 * that may see placeholders gets the real file when it carries the file elsewhere: to another directory or mount, or into
 * something that is no file.
 */
#define _GNU_SOURCE
#include "record.h"

#include "../common/placeholder.h"
#include "../common/raw.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SOURCES = 4 };

static int carried
    [SOURCES]; /* descriptors of placeholders that this program has opened, the last ones; plus one, so 0 is none */
static unsigned next_source;

void gg_carry(int fd)
{
    carried[next_source++ % SOURCES] = fd + 1;
}

void gg_carry_to(int fd)
{
    struct stat st;
    int any = 0, saved = errno;
    for (int i = 0; i < SOURCES; i++)
        any |= carried[i];
    if (any && gg_session()->root != NULL && fstat(fd, &st) == 0 &&
        (!S_ISREG(st.st_mode) || gg_is_outside(gg_session()->root, fd)))
        for (int i = 0; i < SOURCES; i++) {
            if (carried[i] != 0 && carried[i] - 1 != fd)
                gg_force_held(carried[i] - 1);
            carried[i] = 0;
        }
    errno = saved;
}

/* Force all placeholders below a directory. */
static int force_below(int dir, const char *path)
{
    int fd = gg_raw_open(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), failed = 0;
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (entries == NULL && fd >= 0)
        close(fd);
    for (struct dirent *e; entries != NULL && failed == 0 && (e = readdir(entries)) != NULL;) {
        if (e->d_type == DT_REG || e->d_type == DT_UNKNOWN)
            failed = gg_force_path(fd, e->d_name);
        if ((e->d_type == DT_DIR || e->d_type == DT_UNKNOWN) && strcmp(e->d_name, ".") != 0 &&
            strcmp(e->d_name, "..") != 0)
            failed |= force_below(fd, e->d_name);
    }
    if (entries != NULL)
        closedir(entries);
    return failed;
}

/* About to give `from` the name `to`. 0, or -1 with errno EIO. */
static int before(int from_dir, const char *from, int to_dir, const char *to)
{
    struct stat st;
    int saved = errno, failed = 0;
    if (gg_session()->socket == NULL || gg_session()->root == NULL || from == NULL || to == NULL ||
        gg_raw_lstat(from_dir, from, &st) != 0) {
        errno = saved;
        return 0;
    }
    if (S_ISREG(st.st_mode) && st.st_size == GG_PLACEHOLDER_SIZE)
        gg_look(from_dir, from);
    if (S_ISREG(st.st_mode) && st.st_size == GG_PLACEHOLDER_SIZE && gg_leads_out(gg_session()->root, to_dir, to))
        failed = gg_force_path(from_dir, from);
    else if (S_ISDIR(st.st_mode) && gg_leads_out(gg_session()->root, to_dir, to))
        failed = force_below(from_dir, from);
    errno = failed != 0 ? EIO : saved;
    return failed != 0 ? -1 : 0;
}

GG_EXPORT int rename(const char *from, const char *to)
{
    typedef int (*function)(const char *, const char *);
    NEXT(function, "rename");
    return before(AT_FDCWD, from, AT_FDCWD, to) != 0 ? -1 : next(from, to);
}

GG_EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    typedef int (*function)(int, const char *, int, const char *);
    NEXT(function, "renameat");
    return before(from_dir, from, to_dir, to) != 0 ? -1 : next(from_dir, from, to_dir, to);
}

GG_EXPORT int link(const char *from, const char *to)
{
    typedef int (*function)(const char *, const char *);
    NEXT(function, "link");
    return before(AT_FDCWD, from, AT_FDCWD, to) != 0 ? -1 : next(from, to);
}

GG_EXPORT int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    typedef int (*function)(int, const char *, int, const char *, int);
    NEXT(function, "linkat");
    return before(from_dir, from, to_dir, to) != 0 ? -1 : next(from_dir, from, to_dir, to, flags);
}

#ifdef __GLIBC__
GG_EXPORT int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    typedef int (*function)(int, const char *, int, const char *, unsigned);
    NEXT(function, "renameat2");
    return before(from_dir, from, to_dir, to) != 0 ? -1 : next(from_dir, from, to_dir, to, flags);
}
#endif
