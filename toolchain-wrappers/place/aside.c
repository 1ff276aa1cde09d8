/* A file appears whole or not at all: it is written where it has no name, or one that nobody looks for, and exchanged
 * with what stands at its path, in one step of the kernel. What stood there is looked at once more: if it is not what
 * was read before, somebody has just replaced it, and the two are exchanged back.
 *
 * What a new file has from its directory (group, access list, label, quota's project) it has only if it begins there. So
 * it is made in the directory that it is for, without a name (O_TMPFILE), and named `aside`; where that is on another
 * mount or project, it is named `.gg-…` beside its path for the moment of the exchange.
 *
 * What came out, a placeholder, is then at `aside`, and its inode is written over for the next file where that makes no
 * difference to anybody: it has one name, nobody has it open, which a lease tells, and owner, group, project, flags and
 * attributes are those of the placeholder that the next file is for. On ext4 a new inode costs ten times as much as one
 * that is used again where many were freed a moment ago, for it passes over those one by one.
 *
 * Each file is cut to nothing before it is written, for then ext4, XFS and btrfs write its bytes out before its name, as
 * they do for a file that replaces one: after a power cut no path holds a stranger's placeholder, or nothing.
 */
#define _GNU_SOURCE
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

enum { SMALL = 1 << 16, NEAR_SIZE = 256, NOTE_SIZE = 4352, NAMES_SIZE = 1024, VALUE_SIZE = 4096 };

static const char *aside;
static char near[NEAR_SIZE]; /* the name beside a path */

void gg_aside_begin(const char *path)
{
    aside = path;
    snprintf(near, sizeof near, ".gg-%s", gg_name(path));
}

void gg_aside_drop(void)
{
    unlink(aside);
}

void gg_aside_end(void)
{
    char file[NOTE_SIZE];
    snprintf(file, sizeof file, "%s.in", aside);
    unlink(file);
    unlink(aside);
}

/* What a file has beside its bytes, mode and times */

/* The names of its attributes, one after the other; how many bytes they are. */
static size_t attributes(int fd, char names[NAMES_SIZE])
{
    ssize_t size = flistxattr(fd, names, NAMES_SIZE);
    return size > 0 ? (size_t)size : 0;
}

static int has(const char *names, size_t size, const char *name)
{
    for (const char *at = names; at < names + size; at += strlen(at) + 1)
        if (strcmp(at, name) == 0)
            return 1;
    return 0;
}

static int same_attribute(int one, int other, const char *name)
{
    char a[VALUE_SIZE], b[VALUE_SIZE];
    ssize_t n = fgetxattr(one, name, a, sizeof a), m = fgetxattr(other, name, b, sizeof b);
    return n == m && (n <= 0 || memcmp(a, b, (size_t)n) == 0);
}

static int same_attributes(int one, int other)
{
    char names[NAMES_SIZE], others[NAMES_SIZE];
    size_t size = attributes(one, names);
    if (size != attributes(other, others))
        return 0;
    for (const char *name = names; name < names + size; name += strlen(name) + 1)
        if (!has(others, size, name) || !same_attribute(one, other, name))
            return 0;
    return 1;
}

/* Project and flags, which a file has from the directory in which it begins. */
static int same_flags(int one, int other)
{
    struct fsxattr a = {0}, b = {0};
    if (ioctl(one, FS_IOC_FSGETXATTR, &a) != 0)
        return 1; /* there are none */
    return ioctl(other, FS_IOC_FSGETXATTR, &b) == 0 && a.fsx_projid == b.fsx_projid &&
           ((a.fsx_xflags ^ b.fsx_xflags) & ~(unsigned)FS_XFLAG_HASATTR) == 0;
}

/* May this file be written over for one that is to have all that `like` has? `st` is of `like`. */
static int may_be_used(int fd, int like, const struct stat *st)
{
    struct stat own;
    if (fstat(fd, &own) != 0 || !S_ISREG(own.st_mode) || own.st_nlink != 1)
        return 0;
    if (own.st_uid != st->st_uid || own.st_gid != st->st_gid || own.st_dev != st->st_dev || own.st_uid != geteuid())
        return 0;
    if (!same_attributes(fd, like) || !same_flags(fd, like))
        return 0;
    fcntl(fd, F_SETSIG, SIGURG); /* should somebody open it just now: not SIGIO, which ends the process */
    return fcntl(fd, F_SETLEASE, F_WRLCK) == 0 && fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
}

/* Give the file what others were given: `chown`, `setfacl` and `setcap` do not read what they are about. */
static void take_over(int fd, int like, const struct stat *from)
{
    struct stat st;
    char wanted[NAMES_SIZE], names[NAMES_SIZE], value[VALUE_SIZE];
    if (fstat(fd, &st) != 0 || ((st.st_uid != from->st_uid || st.st_gid != from->st_gid) &&
                                fchown(fd, from->st_uid, from->st_gid) != 0 && errno != EPERM))
        return;
    size_t many = attributes(like, wanted), size = attributes(fd, names);
    for (const char *name = names; name < names + size; name += strlen(name) + 1)
        if (!has(wanted, many, name))
            fremovexattr(fd, name);
    for (const char *name = wanted; name < wanted + many; name += strlen(name) + 1) {
        ssize_t n = same_attribute(fd, like, name) ? -1 : fgetxattr(like, name, value, sizeof value);
        if (n >= 0)
            fsetxattr(fd, name, value, (size_t)n, 0);
    }
}

/* A file to write to */

struct fresh {
    int fd;
    int at; /* the directory in which `name` is; no name: NULL */
    const char *name;
};

static void fail(const struct fresh *fresh)
{
    int error = errno;
    if (fresh->fd >= 0)
        close(fresh->fd);
    if (fresh->name != NULL)
        unlinkat(fresh->at, fresh->name, 0);
    errno = error;
}

/* What is at `aside`, emptied, if that may be used for what is to be as `old`; else -1, and nothing is there. */
static int used_again(const struct old *old)
{
    int fd = open(aside, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -1;
    if (old->fd >= 0 && may_be_used(fd, old->fd, &old->st) && ftruncate(fd, 0) == 0)
        return fd;
    close(fd);
    unlink(aside);
    return -1;
}

/* Where our names beside a path were last, for whoever tidies up when we are killed: `aside` with `.in` behind it. */
static void note_near(int dir)
{
    static dev_t device;
    static ino_t inode;
    char file[NOTE_SIZE], link[40], path[4096];
    struct stat st;
    if (fstat(dir, &st) != 0 || (st.st_dev == device && st.st_ino == inode))
        return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    ssize_t n = readlink(link, path, sizeof path);
    snprintf(file, sizeof file, "%s.in", aside);
    int fd = n > 0 ? open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    if (fd < 0)
        return;
    if (write(fd, path, (size_t)n) == n) {
        device = st.st_dev;
        inode = st.st_ino;
    }
    close(fd);
}

/* A new file that begins in the directory `dir`, without a name where there can be such. */
static int make(int dir, mode_t mode, struct fresh *fresh)
{
    *fresh = (struct fresh){.fd = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, mode)};
    if (fresh->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOENT)) {
        note_near(dir);
        unlinkat(dir, near, 0);
        *fresh = (struct fresh){openat(dir, near, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode), dir, near};
    }
    if (fresh->fd < 0)
        return -1;
    return write(fresh->fd, "", 1) == 1 && ftruncate(fresh->fd, 0) == 0 && lseek(fresh->fd, 0, SEEK_SET) == 0 ? 0 : -1;
}

/* Have a name for what `fd` is open on: at `aside`, else beside the path. */
static int give_name(int fd, int dir, struct fresh *fresh)
{
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    fresh->at = AT_FDCWD;
    fresh->name = aside;
    unlink(aside);
    if (linkat(AT_FDCWD, link, AT_FDCWD, aside, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    note_near(dir);
    unlinkat(dir, near, 0);
    if (linkat(AT_FDCWD, link, dir, near, AT_SYMLINK_FOLLOW) != 0) {
        fresh->name = NULL;
        return -1;
    }
    fresh->at = dir;
    fresh->name = near;
    return 0;
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
                if ((part = write(to, buffer + done, (size_t)(moved - done))) < 0)
                    return -1;
        }
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0) {
            errno = moved < 0 ? errno : EIO; /* shorter than its name says */
            return -1;
        }
        size -= (uint64_t)moved;
    }
    return 0;
}

static struct timespec moment(int64_t ns)
{
    int64_t seconds = ns / 1000000000 - (ns % 1000000000 < 0);
    return (struct timespec){.tv_sec = seconds, .tv_nsec = ns - seconds * 1000000000};
}

static mode_t mode_of(const struct item *item, const struct answer *as)
{
    mode_t readable = as->mode & 0111 ? 0 : as->mode & 0444;
    if ((item->flags & PLACEHOLDER) && !(as->mode & 0111) != !(item->flags & EXPECTED))
        return as->mode; /* someone has changed it */
    return item->flags & EXECUTABLE ? as->mode | readable >> 2 : as->mode & ~0111u;
}

static int fill(int fd, const struct item *item, const struct answer *as, const struct old *old)
{
    struct timespec times[2] = {moment(as->atime), moment(as->mtime)};
    int bytes = open(item->bytes, O_RDONLY | O_CLOEXEC);
    if (bytes < 0)
        return -1;
    int failed = copy(bytes, fd, item->size) != 0;
    if (!failed && old->fd >= 0)
        take_over(fd, old->fd, &old->st);
    failed = failed || fchmod(fd, mode_of(item, as)) != 0 || futimens(fd, times) != 0;
    int error = errno;
    close(bytes);
    errno = error;
    return failed ? -1 : 0;
}

/* Into its place */

static int exchange(const struct fresh *one, int dir, const char *other)
{
    return (int)syscall(SYS_renameat2, one->at, one->name, dir, other, RENAME_EXCHANGE);
}

static int same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* 1 done, and what stood there has the other name; 0 `old` no longer stands there; -1 and errno. NULL: nothing did. */
static int swap_in(const struct fresh *fresh, int dir, const char *name, const struct stat *old)
{
    struct stat out;
    if (old != NULL && exchange(fresh, dir, name) == 0) {
        if (fstatat(fresh->at, fresh->name, &out, AT_SYMLINK_NOFOLLOW) == 0 && same(&out, old))
            return 1;
        return exchange(fresh, dir, name) == 0 ? 0 : -1;
    }
    if (old != NULL && errno == ENOENT)
        return 0;
    if (old != NULL && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
        return -1;
    if (old != NULL && (fstatat(dir, name, &out, AT_SYMLINK_NOFOLLOW) != 0 || !same(&out, old)))
        return 0;
    return renameat(fresh->at, fresh->name, dir, name) == 0 ? 1 : -1;
}

/* `keep`: what came out may be used again. */
static int swap(struct fresh *fresh, int dir, const char *name, const struct stat *old, int keep)
{
    int done = close(fresh->fd) == 0 ? swap_in(fresh, dir, name, old) : -1;
    fresh->fd = -1;
    if (done == 1)
        gg_have_changed();
    if (done != 1 || !keep || fresh->name != aside)
        fail(fresh);
    return done;
}

static int put_in(struct fresh *fresh, const struct item *item, const struct answer *as, const struct old *old,
                  struct stat *made)
{
    int dir = gg_enter(item->path), alone = old->fd < 0 || old->st.st_nlink == 1;
    if (dir < 0 || (fresh->fd < 0 && make(dir, item->flags & EXECUTABLE ? 0777 : 0666, fresh) != 0) ||
        fill(fresh->fd, item, as, old) != 0 || fstat(fresh->fd, made) != 0 ||
        (fresh->name == NULL && give_name(fresh->fd, dir, fresh) != 0)) {
        fail(fresh);
        return -1;
    }
    return swap(fresh, dir, gg_name(item->path), old->there ? &old->st : NULL, alone);
}

int gg_put_file(const struct item *item, const struct answer *as, const struct old *old, struct stat *made)
{
    struct fresh fresh = {.fd = used_again(old), .at = AT_FDCWD, .name = aside};
    int used = fresh.fd >= 0, done = put_in(&fresh, item, as, old, made);
    if (done >= 0 || !used || errno != EXDEV)
        return done;
    fresh.fd = -1; /* the same device, and another mount */
    return put_in(&fresh, item, as, old, made);
}

int gg_put_name(const char *path, int fd, const struct stat *old)
{
    int dir = gg_enter(path);
    struct fresh fresh = {.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)};
    if (dir < 0 || fresh.fd < 0 || give_name(fresh.fd, dir, &fresh) != 0) {
        fail(&fresh);
        return -1;
    }
    return swap(&fresh, dir, gg_name(path), old, 0);
}
