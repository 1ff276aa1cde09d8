/* gg-place ASIDE: puts made files where their placeholders stand. `gg/place.py` starts it, tells it which on standard input,
 * and reads on standard output what came of them. A process and not a library, for it then works while Python does.
 *
 * A file appears whole or not at all: it is written aside and exchanged with what stands at its path, in one step of the
 * kernel. What stood there is then aside, and is looked at once more: if it is not the placeholder that was read before,
 * somebody has just replaced it, and the two are exchanged back.
 *
 * The old placeholder's inode is written over for the next file. Making and removing an inode for each would cost ten
 * times as much: ext4 passes over inodes that were freed a moment ago, one by one, whenever it looks for a free one. It
 * is written over only when it is ours alone: one name, our user and group, no attributes, and nobody has it open, which
 * a lease tells. It is cut to nothing first, for then ext4, XFS and btrfs write the new bytes out before the new name, as
 * they do for a new file that replaces one: after a power cut no path holds a stranger's placeholder.
 *
 * A request is u32 how many items, u32 how many bytes they have, and the items; all is little-endian, not aligned:
 *
 *    0  u32  flags: 1 PLACEHOLDER  only where the named placeholder stands, whose times and mode are kept; its owner
 *                                  and its attributes (capabilities, access lists) as far as we have the right to
 *                   2 EXECUTABLE   who may read it may execute it, or who already might (else: nobody may)
 *                   4 GONE         there is no file: the placeholder is removed
 *                   8 EXPECTED     the placeholder was made executable: if it is not so now, or is so without this flag,
 *                                  someone has changed its mode, which then is the file's, whatever EXECUTABLE says
 *    4  u32  index of the output, of the placeholder
 *    8  u64  size in bytes
 *   16  i64  access time, nanoseconds since the epoch      | without PLACEHOLDER
 *   24  i64  modification time                             |
 *   32  u32  permissions                                   |
 *   36  32 bytes: the thunk, of the placeholder
 *   68  the path, NUL, the file that has the bytes, NUL
 *
 * The answer: u32 how many were tried, and a `struct answer` for each. It stops at the first that fails.
 */
#define _GNU_SOURCE
#include "placeholder.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

enum { PLACEHOLDER = 1, EXECUTABLE = 2, GONE = 4, EXPECTED = 8 };
enum { FIXED = 68, THUNK_SIZE = 32, SMALL = 1 << 16, NEAR_SIZE = 4352 };

struct item {
    uint32_t flags, index;
    uint64_t size;
    int64_t atime, mtime;
    uint32_t mode;
    const unsigned char *thunk;
    const char *path, *bytes;
};

/* What came of an item. status: 1 done, 0 the placeholder is not there, else a negative errno. */
struct answer {
    int32_t status;
    uint32_t mode;
    int64_t atime, mtime;
    uint64_t device, inode; /* of the placeholder, when it had more names than this one; else 0 */
};

static const char *take_item(const char *at, struct item *item)
{
    memcpy(&item->flags, at, 4);
    memcpy(&item->index, at + 4, 4);
    memcpy(&item->size, at + 8, 8);
    memcpy(&item->atime, at + 16, 8);
    memcpy(&item->mtime, at + 24, 8);
    memcpy(&item->mode, at + 32, 4);
    item->thunk = (const unsigned char *)at + 36;
    item->path = at + FIXED;
    item->bytes = item->path + strlen(item->path) + 1;
    return item->bytes + strlen(item->bytes) + 1;
}

/* What stands at the path */

static int names(const char *placeholder, const struct item *item)
{
    static const char digits[] = "0123456789abcdef";
    char number[16];
    for (int i = 0; i < THUNK_SIZE; i++) {
        const char *pair = placeholder + GG_PLACEHOLDER_THUNK_AT + 2 * i;
        if (pair[0] != digits[item->thunk[i] >> 4] || pair[1] != digits[item->thunk[i] & 15])
            return 0;
    }
    snprintf(number, sizeof number, "%05u", item->index);
    return memcmp(placeholder + GG_PLACEHOLDER_INDEX_AT, number, 5) == 0;
}

/* 1 when the item's placeholder stands at its path; `st` is of the file, `own` of the path itself. */
static int stands(const struct item *item, struct stat *st, struct stat *own)
{
    char bytes[GG_PLACEHOLDER_SIZE + 1];
    if (lstat(item->path, own) != 0)
        return 0;
    *st = *own;
    if (S_ISLNK(own->st_mode) && stat(item->path, st) != 0)
        return 0;
    if (!S_ISREG(st->st_mode) || st->st_size != GG_PLACEHOLDER_SIZE)
        return 0;
    int fd = open(item->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, bytes, sizeof bytes);
    close(fd);
    return got == GG_PLACEHOLDER_SIZE && gg_is_placeholder(bytes) && names(bytes, item);
}

/* Writing aside */

static const char label[] = "security.selinux"; /* all files have it where any has */

/* Whether nobody would miss, or see, what this file is written over with. */
static int ours_alone(int fd)
{
    struct stat st;
    char list[64];
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1)
        return 0;
    if (st.st_uid != geteuid() || st.st_gid != getegid())
        return 0;
    ssize_t size = flistxattr(fd, list, sizeof list);
    if (size > 0 && (size != sizeof label || memcmp(list, label, sizeof label) != 0))
        return 0;
    if (size < 0 && errno != ENOTSUP)
        return 0;
    fcntl(fd, F_SETSIG, SIGURG); /* should somebody open it just now: not SIGIO, which ends the process */
    return fcntl(fd, F_SETLEASE, F_WRLCK) == 0 && fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
}

/* A descriptor of an empty file at `aside`: what is there already if that may be used, else a new one. */
static int empty_file(const char *aside)
{
    int fd = open(aside, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0) {
        if (ours_alone(fd) && ftruncate(fd, 0) == 0)
            return fd;
        close(fd);
    }
    if (unlink(aside) != 0 && errno != ENOENT)
        return -1;
    return open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

static int copy(int from, int to, uint64_t size)
{
    char buffer[SMALL];
    while (size > 0) {
        ssize_t moved;
        if (size > SMALL) {
            moved = sendfile(to, from, NULL, size < 1u << 30 ? size : 1u << 30);
        } else {
            moved = read(from, buffer, size);
            for (ssize_t done = 0, part; done < moved; done += part)
                if ((part = write(to, buffer + done, moved - done)) < 0)
                    return -1;
        }
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0) {
            errno = moved < 0 ? errno : EIO; /* shorter than its name says */
            return -1;
        }
        size -= moved;
    }
    return 0;
}

static struct timespec moment(int64_t ns)
{
    int64_t seconds = ns / 1000000000 - (ns % 1000000000 < 0);
    return (struct timespec){.tv_sec = seconds, .tv_nsec = ns - seconds * 1000000000};
}

/* Give the file what was given to the placeholder: `chown` and `setcap` do not read what they are about. */
static void take_over(int fd, const char *path, const struct stat *from)
{
    struct stat st;
    char names[1024], value[4096];
    if (fstat(fd, &st) != 0 || ((st.st_uid != from->st_uid || st.st_gid != from->st_gid) &&
                                fchown(fd, from->st_uid, from->st_gid) != 0 && errno != EPERM))
        return;
    ssize_t size = listxattr(path, names, sizeof names);
    for (const char *name = names; name < names + size; name += strlen(name) + 1) {
        ssize_t n = strcmp(name, label) != 0 ? getxattr(path, name, value, sizeof value) : -1;
        if (n >= 0)
            fsetxattr(fd, name, value, n, 0);
    }
}

static int fill(int fd, const struct item *item, const struct answer *as, const struct stat *from)
{
    mode_t readable = as->mode & 0111 ? 0 : as->mode & 0444;
    int changed = (item->flags & PLACEHOLDER) && !(as->mode & 0111) != !(item->flags & EXPECTED);
    mode_t mode = item->flags & EXECUTABLE ? as->mode | readable >> 2 : as->mode & ~0111u;
    if (changed)
        mode = as->mode;
    struct timespec times[2] = {moment(as->atime), moment(as->mtime)};
    int bytes = open(item->bytes, O_RDONLY | O_CLOEXEC);
    if (bytes < 0)
        return -1;
    int failed = copy(bytes, fd, item->size) != 0;
    if (!failed && from != NULL)
        take_over(fd, item->path, from);
    failed = failed || fchmod(fd, mode) != 0 || futimens(fd, times) != 0;
    int error = errno;
    close(bytes);
    errno = error;
    return failed ? -1 : 0;
}

static int write_aside(const char *aside, const struct item *item, const struct answer *as, const struct stat *from)
{
    int fd = empty_file(aside);
    if (fd < 0)
        return -1;
    int failed = fill(fd, item, as, from);
    int error = errno;
    if (close(fd) != 0 && !failed) {
        failed = -1;
        error = errno;
    }
    errno = error;
    return failed;
}

/* Into its place */

static int exchange(const char *one, const char *other)
{
    return syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE);
}

static int same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* 1 done, 0 `own` is no longer what stands there, -1 and errno. `own` is NULL when nothing stood there. */
static int swap_in(const char *aside, const char *path, const struct stat *own)
{
    struct stat out;
    if (!own || exchange(aside, path) != 0) {
        if (own && errno == ENOENT)
            return 0;
        return (own && errno == EXDEV) || rename(aside, path) != 0 ? -1 : 1;
    }
    if (lstat(aside, &out) != 0 || !same(&out, own))
        return exchange(aside, path) == 0 ? 0 : -1;
    return 1;
}

/* The same from a name beside the path, which is on another file system than `aside`. */
static int put_beside(const char *aside, const struct item *item, const struct answer *as, const struct stat *from,
                      const struct stat *own)
{
    char near[NEAR_SIZE];
    const char *slash = strrchr(item->path, '/'), *name = strrchr(aside, '/');
    int above = slash ? (int)(slash - item->path) + 1 : 0;
    unlink(aside);
    if (snprintf(near, sizeof near, "%.*s.gg-%s", above, item->path, name ? name + 1 : aside) >= NEAR_SIZE) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int done = write_aside(near, item, as, from) == 0 ? swap_in(near, item->path, own) : -1;
    int error = errno;
    unlink(near);
    errno = error;
    return done;
}

static int put(const char *aside, const struct item *item, struct answer *as)
{
    struct stat st, found;
    const struct stat *own = &found, *from = NULL;
    *as = (struct answer){.mode = item->mode, .atime = item->atime, .mtime = item->mtime};
    if (item->flags & PLACEHOLDER) {
        if (!stands(item, &st, &found))
            return 0;
        from = &st;
        as->mode = st.st_mode & 07777;
        as->atime = st.st_atim.tv_sec * INT64_C(1000000000) + st.st_atim.tv_nsec;
        as->mtime = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
        if (found.st_nlink > 1) {
            as->device = found.st_dev;
            as->inode = found.st_ino;
        }
    } else if (lstat(item->path, &found) != 0 || S_ISDIR(found.st_mode)) {
        own = NULL; /* rename refuses a directory */
    }
    if (item->flags & GONE)
        return unlink(item->path) == 0 || errno == ENOENT ? 1 : -1;
    int done = write_aside(aside, item, as, from) == 0 ? swap_in(aside, item->path, own) : -1;
    if (done < 0 && errno == EXDEV)
        done = put_beside(aside, item, as, from, own);
    return done;
}

/* Do `count` items. `aside` is a path that nobody else uses, on the file system of most of them; what is left there is
 * no longer needed by anybody. Stops at the first that fails; gives how many were tried. */
static uint32_t place(const char *aside, const char *items, uint32_t count, struct answer *answers)
{
    for (uint32_t i = 0; i < count; i++) {
        struct item item;
        items = take_item(items, &item);
        int done = put(aside, &item, &answers[i]);
        answers[i].status = done < 0 ? -errno : done;
        if (done < 0) {
            unlink(aside);
            return i + 1;
        }
    }
    return count;
}

/* Requests */

static int take(void *to, size_t size)
{
    for (char *at = to; size > 0;) {
        ssize_t n = read(STDIN_FILENO, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

/* One request; -1 when there is no further one, or nobody to answer. */
static int serve(const char *aside)
{
    uint32_t head[2];
    if (take(head, sizeof head) != 0)
        return -1;
    char *items = malloc(head[1] + 1);
    struct answer *answers = malloc((head[0] + 1) * sizeof *answers);
    int failed = items == NULL || answers == NULL || take(items, head[1]) != 0;
    if (!failed) {
        uint32_t tried = place(aside, items, head[0], answers);
        failed = gg_write_all(STDOUT_FILENO, &tried, sizeof tried) != 0 || gg_write_all(STDOUT_FILENO, answers, tried * sizeof *answers) != 0;
    }
    free(items);
    free(answers);
    return failed ? -1 : 0;
}

/* It ends when its input does: whoever started it decides what a signal from the terminal means. */
int main(int argc, char **argv)
{
    if (argc != 2)
        return 64;
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    while (serve(argv[1]) == 0)
        ;
    unlink(argv[1]);
    return 0;
}
