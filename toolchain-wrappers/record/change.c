/* Calls that change a file by its name, where a placeholder would be spoiled or could not be read afterwards. */
#define _GNU_SOURCE
#include "record.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* A placeholder that is cut or lengthened is none any more, so it is forced first. One that is emptied need not be forced. */
#define TRUNCATE(name, type)                                                                \
    GG_EXPORT int name(const char *path, type length)                                       \
    {                                                                                       \
        typedef int (*function)(const char *, type);                                        \
        NEXT(function, #name);                                                              \
        return length != 0 && gg_force_path(AT_FDCWD, path) != 0 ? -1 : next(path, length); \
    }

TRUNCATE(truncate, off_t)
#ifdef __GLIBC__
TRUNCATE(truncate64, off64_t)
#endif

/* Will a file with this mode be one that its owner cannot read? Then nobody could tell later that it is a placeholder. */
static int hides(mode_t mode)
{
    return !(mode & S_IRUSR) && gg_session()->socket != NULL;
}

GG_EXPORT int chmod(const char *path, mode_t mode)
{
    typedef int (*function)(const char *, mode_t);
    NEXT(function, "chmod");
    return hides(mode) && gg_force_path(AT_FDCWD, path) != 0 ? -1 : next(path, mode);
}

GG_EXPORT int fchmodat(int dir, const char *path, mode_t mode, int flags)
{
    typedef int (*function)(int, const char *, mode_t, int);
    NEXT(function, "fchmodat");
    return hides(mode) && gg_force_path(dir, path) != 0 ? -1 : next(dir, path, mode, flags);
}

GG_EXPORT int fchmod(int fd, mode_t mode)
{
    typedef int (*function)(int, mode_t);
    NEXT(function, "fchmod");
    if (hides(mode))
        gg_force_held(fd);
    return next(fd, mode);
}
