/* Looks at many files in one call, for a recorder that asks of each call whether what it rests on still stands. Called by
 * `gg/record/look.py` through ctypes.
 *
 * Paths are one text, each ended by NUL, with the places where they start. A signature is 44 bytes, as `gg.store.files`
 * packs it: device, inode, size, modification and change time in nanoseconds (8 bytes each), mode (4); zeros where there
 * is nothing. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

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

/* Of the paths in `which`, those whose signature is not the one in `known` go to `other`; how many that are. */
__attribute__((visibility("default"))) int gg_differ(const char *text, const uint64_t *starts, const unsigned char *known,
                                                     const uint32_t *which, int count, int follow, uint32_t *other)
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

/* Whether one of the paths in `which` is there, a link that leads nowhere among them. */
__attribute__((visibility("default"))) int gg_any(const char *text, const uint64_t *starts, const uint32_t *which, int count)
{
    struct stat st;
    for (int i = 0; i < count; i++)
        if (fstatat(AT_FDCWD, text + starts[which[i]], &st, AT_SYMLINK_NOFOLLOW) == 0)
            return 1;
    return 0;
}
