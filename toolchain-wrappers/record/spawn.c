/* What posix_spawn does in the child before the program starts happens within the C library, past our functions: files are
 * opened there, and the directory is changed, from which a program is then named. So the list is gone through beforehand.
 *
 * It is the C library's own, but is laid out the same in all versions of glibc since 2.2; later ones have added kinds. A list
 * that does not look like that is left alone. */
#define _GNU_SOURCE
#include "record.h"

#include "../common/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <unistd.h>

#ifdef __GLIBC__

enum kind { CLOSE, DUP2, OPEN, CHDIR, FCHDIR };

struct action {
    enum kind kind;
    union {
        struct {
            int fd;
            char *path;
            int flags;
            mode_t mode;
        } open;
        struct {
            char *path;
        } chdir;
        struct {
            int fd;
        } fchdir;
    } of;
};

static const struct action *list_of(const posix_spawn_file_actions_t *actions, int *count)
{
    *count = actions->__used;
    return actions->__used > 0 && actions->__used <= actions->__allocated ? (const void *)actions->__actions : NULL;
}

static void move(int *dir, int next)
{
    if (next < 0)
        return;
    if (*dir != AT_FDCWD)
        close(*dir);
    *dir = next;
}

int gg_before_spawn(const posix_spawn_file_actions_t *actions, int *dir)
{
    int count = 0, failed = 0, saved = errno;
    *dir = AT_FDCWD;
    const struct action *a = actions != NULL ? list_of(actions, &count) : NULL;
    for (const struct action *end = a + (a != NULL ? count : 0); a < end && !failed; a++) {
        int flags = a->of.open.flags;
        if (a->kind == OPEN && !(flags & (O_TRUNC | O_DIRECTORY | O_PATH)) &&
            (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL))
            failed = gg_force_path(*dir, a->of.open.path);
        else if (a->kind == CHDIR)
            move(dir, gg_raw_open(*dir, a->of.chdir.path, O_PATH | O_DIRECTORY | O_CLOEXEC));
        else if (a->kind == FCHDIR)
            move(dir, fcntl(a->of.fchdir.fd, F_DUPFD_CLOEXEC, 3));
    }
    errno = failed ? EIO : saved;
    return failed;
}

#else

int gg_before_spawn(const posix_spawn_file_actions_t *actions, int *dir)
{
    (void)actions;
    *dir = AT_FDCWD;
    return 0;
}

#endif
