/* Looks at many files in one call: for each recorded call the recorder checks that its files are unchanged. Called by
 * `gg/record/many_looks.py` through ctypes.
 *
 * Paths are one text, each ended by NUL, with the places where they start. A signature is 44 bytes, as `gg.host.files`
 * packs it: device, inode, size, modification and change time in nanoseconds (8 bytes each), mode (4); zeros where there
 * is nothing. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PACKED = 44 };

static void pack(const struct stat *st, unsigned char to[PACKED])
{
    uint64_t wide[5] = {st->st_dev, st->st_ino, (uint64_t)st->st_size,
                        (uint64_t)(st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec),
                        (uint64_t)(st->st_ctim.tv_sec * INT64_C(1000000000) + st->st_ctim.tv_nsec)};
    uint32_t mode = st->st_mode;
    memcpy(to, wide, sizeof wide);
    memcpy(to + sizeof wide, &mode, sizeof mode);
}

/* Puts the paths of `which` whose signature differs from the one in `known` into `other`, and returns their number. */
__attribute__((visibility("default"))) int gg_differ(const char *text, const uint64_t *starts,
                                                     const unsigned char *known, const uint32_t *which, int count,
                                                     int follow, uint32_t *other)
{
    int found = 0;
    for (int i = 0; i < count; i++) {
        struct stat st;
        unsigned char packed[PACKED] = {0};
        if (fstatat(AT_FDCWD, text + starts[which[i]], &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) == 0)
            pack(&st, packed);
        if (memcmp(packed, known + (size_t)PACKED * which[i], PACKED) != 0)
            other[found++] = which[i];
    }
    return found;
}

/* Puts the signatures of all `count` paths, links followed, into `known`. */
__attribute__((visibility("default"))) void gg_look(const char *text, const uint64_t *starts, unsigned char *known,
                                                    int count)
{
    memset(known, 0, (size_t)PACKED * count);
    for (int i = 0; i < count; i++) {
        struct stat st;
        if (fstatat(AT_FDCWD, text + starts[i], &st, 0) == 0)
            pack(&st, known + (size_t)PACKED * i);
    }
}

/* Whether one of the paths in `which` exists; a link that leads nowhere counts. */
__attribute__((visibility("default"))) int gg_any(const char *text, const uint64_t *starts, const uint32_t *which,
                                                  int count)
{
    struct stat st;
    for (int i = 0; i < count; i++)
        if (fstatat(AT_FDCWD, text + starts[which[i]], &st, AT_SYMLINK_NOFOLLOW) == 0)
            return 1;
    return 0;
}

/* Whether a path leads where it led. `was`: its link's target, empty if it was no link, "//" if it was not there. */
static int leads(const char *path, const char *was)
{
    char target[PATH_MAX];
    size_t length = strlen(was);
    ssize_t now = readlink(path, target, sizeof target);
    if (length == 0)
        return now < 0 && errno == EINVAL;
    if (strcmp(was, "//") == 0)
        return now < 0 && (errno == ENOENT || errno == ENOTDIR);
    return now == (ssize_t)length && memcmp(target, was, length) == 0;
}

/* Whether each of `count` paths leads where it led. Each is followed by its target. */
__attribute__((visibility("default"))) int gg_leads(const char *text, int count)
{
    for (int i = 0; i < count; i++) {
        const char *was = text + strlen(text) + 1;
        if (!leads(text, was))
            return 0;
        text = was + strlen(was) + 1;
    }
    return 1;
}
