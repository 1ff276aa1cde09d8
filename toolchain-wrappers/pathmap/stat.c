/* Answers questions about files: stat, access. names.c answers those about names. */
#define _GNU_SOURCE
#include "pathmap.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#define OPENED 1024

/* Open declared files whose bytes are elsewhere, by descriptor. Two files of equal content are one file there, and a compiler that
 * tells files apart by inode would take them for one: so stat and fstat tell an inode made of the path. An entry
 * counts only while the descriptor has the inode it was opened with, so closing need not be watched. */
static struct opened {
    ino_t real, told;
    dev_t device;
    int elsewhere;
} opened[OPENED];

void gg_opened(int fd, const struct gg_place *place)
{
    struct stat st;
    if (fd < 0 || fd >= OPENED || sys_fstat(fd, &st) != 0)
        return;
    opened[fd] = (struct opened){st.st_ino, (ino_t)place->hash, st.st_dev, place->real != place->path};
}

static struct opened *opened_as(int fd, const struct stat *st)
{
    if (fd < 0 || fd >= OPENED || opened[fd].real != st->st_ino || opened[fd].device != st->st_dev)
        return NULL;
    return &opened[fd];
}

/* Would a change through this descriptor reach an input? */
int gg_is_input(int fd)
{
    struct stat st;
    return sys_fstat(fd, &st) == 0 && opened_as(fd, &st) != NULL;
}

void gg_dress(const struct gg_place *place, struct stat *st)
{
    if (place->where == GG_FILE && place->real != place->path) {
        st->st_ino = (ino_t)place->hash;
        st->st_nlink = 1;
        st->st_mode |= S_IWUSR; /* where bytes are kept, nobody may write; the file itself was an ordinary one */
    }
}

static int stat_fd(int fd, struct stat *st)
{
    if (sys_fstat(fd, st) != 0)
        return -1;
    struct opened *o = opened_as(fd, st);
    if (o != NULL && o->elsewhere) {
        st->st_ino = o->told;
        st->st_nlink = 1;
        st->st_mode |= S_IWUSR;
    }
    return 0;
}

static int stat_link(const struct gg_place *p, struct stat *st)
{
    if (sys_lstat(p->path, st) == 0 && S_ISLNK(st->st_mode))
        return 0;
    if (sys_fstatat(AT_FDCWD, gg_the_map()->scratch, st, 0) != 0)
        return -1;
    st->st_mode = S_IFLNK | 0777;
    st->st_size = (off_t)strlen(p->record->target);
    st->st_ino = (ino_t)p->hash;
    return 0;
}

static int stat_directory(struct gg_place *p, struct stat *st)
{
    if (sys_fstatat(AT_FDCWD, p->path, st, 0) == 0 && S_ISDIR(st->st_mode))
        return 0;
    return gg_real_directory(p) != 0 ? -1 : sys_fstatat(AT_FDCWD, p->real, st, 0);
}

static void saw_directory(const struct gg_place *p)
{
    if ((gg_the_map()->flags & (GG_OBSERVE | GG_WATCH)) == GG_OBSERVE)
        gg_report('D', p->hash, p->path);
}

static int stat_undeclared(const struct gg_place *p, struct stat *st, int flags)
{
    if (sys_fstatat(AT_FDCWD, p->path, st, flags) != 0) {
        gg_missed(p);
        return -1;
    }
    if ((S_ISREG(st->st_mode) || S_ISLNK(st->st_mode)) && gg_undeclared(p) != 0)
        return -1;
    if (S_ISDIR(st->st_mode))
        saw_directory(p);
    return p->must_be_directory && !S_ISDIR(st->st_mode) ? gg_refuse(ENOTDIR) : 0;
}

/* The place that `path` leads to, which is marked as asked for. */
static int ask_for(int dir, const char *path, int flags, struct gg_place *p)
{
    if (gg_resolve(dir, path, flags & AT_SYMLINK_NOFOLLOW ? GG_NOFOLLOW : GG_FOLLOW, p) != 0)
        return -1;
    gg_mark(p->record, GG_ASKED);
    gg_watch(p);
    return 0;
}

/*
 * What is to be at the place `p`, as the runner says, cannot be looked at: somebody has taken it away since. It counts as read, so
 * that the runner compares it after the run; as absent it would decide unseen, for nobody opens what is not there. Returns -1.
 */
static int taken_away(const struct gg_place *p)
{
    if (p->where == GG_FILE)
        gg_mark(p->record, GG_READ);
    return -1;
}

int gg_stat(int dir, const char *path, struct stat *st, int flags)
{
    struct gg_place p;
    if (path == NULL || (path[0] == '\0' && (flags & AT_EMPTY_PATH) && dir != AT_FDCWD))
        return stat_fd(dir, st);
    if (ask_for(dir, path, flags, &p) != 0)
        return -1;
    switch (p.where) {
    case GG_ABSENT:
        return gg_refuse(ENOENT);
    case GG_LINK:
        return stat_link(&p, st);
    case GG_DIR:
        return stat_directory(&p, st);
    case GG_UNDECLARED:
        return stat_undeclared(&p, st, flags & AT_SYMLINK_NOFOLLOW);
    case GG_FILE:
    case GG_OVERLAY:
        if (sys_fstatat(AT_FDCWD, p.real, st, p.where == GG_FILE ? 0 : flags & AT_SYMLINK_NOFOLLOW) != 0)
            return taken_away(&p);
        gg_dress(&p, st);
        return p.must_be_directory && !S_ISDIR(st->st_mode) ? gg_refuse(ENOTDIR) : 0;
    case GG_OUTSIDE:
        break;
    }
    return sys_fstatat(dir, p.real, st, flags);
}

static int access_undeclared(const struct gg_place *p, int mode)
{
    struct stat st;
    int failed = sys_access(p->path, mode) != 0;
    int why = errno;
    if (failed && why != EACCES && why != EROFS) {
        gg_missed(p);
        return -1;
    }
    int there = sys_fstatat(AT_FDCWD, p->path, &st, 0) == 0;
    if (there && S_ISDIR(st.st_mode))
        saw_directory(p);
    if (there && !S_ISDIR(st.st_mode)) {
        if (S_ISREG(st.st_mode) && gg_undeclared(p) != 0)
            return -1;
        if (p->must_be_directory)
            return gg_refuse(ENOTDIR);
    }
    return failed ? gg_refuse(why) : 0;
}

int gg_access(int dir, const char *path, int mode, int flags)
{
    struct gg_place p;
    if (ask_for(dir, path, flags, &p) != 0)
        return -1;
    switch (p.where) {
    case GG_ABSENT:
        return gg_refuse(ENOENT);
    case GG_DIR:
    case GG_LINK:
        return 0;
    case GG_FILE:
        if (p.must_be_directory)
            return gg_refuse(ENOTDIR);
        if (p.real == p.path)
            return sys_access(p.real, mode) == 0 ? 0 : taken_away(&p);
        return mode & X_OK ? sys_access(p.real, X_OK) : 0; /* the runner vouches for what it put there */
    case GG_UNDECLARED:
        return access_undeclared(&p, mode);
    case GG_OVERLAY:
    case GG_OUTSIDE:
        break;
    }
    return (int)syscall(SYS_faccessat, dir, p.real, mode);
}

GG_EXPORT int access(const char *path, int mode)
{
    return gg_access(AT_FDCWD, path, mode, 0);
}

GG_EXPORT int faccessat(int dir, const char *path, int mode, int flags)
{
    return gg_access(dir, path, mode, flags);
}

/* Nothing that a thunk runs is set-user-id: the effective user is the real one. */
GG_EXPORT int euidaccess(const char *path, int mode)
{
    return gg_access(AT_FDCWD, path, mode, 0);
}

GG_EXPORT int eaccess(const char *path, int mode)
{
    return gg_access(AT_FDCWD, path, mode, 0);
}

GG_EXPORT int stat(const char *restrict path, struct stat *restrict st)
{
    return gg_stat(AT_FDCWD, path, st, 0);
}

GG_EXPORT int lstat(const char *restrict path, struct stat *restrict st)
{
    return gg_stat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

GG_EXPORT int fstat(int fd, struct stat *st)
{
    return stat_fd(fd, st);
}

GG_EXPORT int fstatat(int dir, const char *restrict path, struct stat *restrict st, int flags)
{
    return gg_stat(dir, path, st, flags);
}

#ifdef STATX_BASIC_STATS /* an older musl has no such function */
static void put_time(struct statx_timestamp *to, struct timespec from)
{
    *to = (struct statx_timestamp){.tv_sec = from.tv_sec, .tv_nsec = (uint32_t)from.tv_nsec};
}

GG_EXPORT int statx(int dir, const char *restrict path, int flags, unsigned mask, struct statx *restrict to)
{
    struct stat st;
    (void)mask; /* everything but the birth time is told always */
    if (gg_stat(dir, path, &st, flags & (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
        return -1;
    memset(to, 0, sizeof *to);
    to->stx_mask = STATX_BASIC_STATS;
    to->stx_blksize = (uint32_t)st.st_blksize;
    to->stx_nlink = (uint32_t)st.st_nlink;
    to->stx_uid = st.st_uid;
    to->stx_gid = st.st_gid;
    to->stx_mode = (uint16_t)st.st_mode;
    to->stx_ino = st.st_ino;
    to->stx_size = (uint64_t)st.st_size;
    to->stx_blocks = (uint64_t)st.st_blocks;
    put_time(&to->stx_atime, st.st_atim);
    put_time(&to->stx_mtime, st.st_mtim);
    put_time(&to->stx_ctime, st.st_ctim);
    to->stx_dev_major = major(st.st_dev);
    to->stx_dev_minor = minor(st.st_dev);
    to->stx_rdev_major = major(st.st_rdev);
    to->stx_rdev_minor = minor(st.st_rdev);
    return 0;
}
#endif

#ifdef __GLIBC__
GG_EXPORT int stat64(const char *restrict path, struct stat64 *restrict st)
{
    return gg_stat(AT_FDCWD, path, (struct stat *)st, 0);
}

GG_EXPORT int lstat64(const char *restrict path, struct stat64 *restrict st)
{
    return gg_stat(AT_FDCWD, path, (struct stat *)st, AT_SYMLINK_NOFOLLOW);
}

GG_EXPORT int fstat64(int fd, struct stat64 *st)
{
    return stat_fd(fd, (struct stat *)st);
}

GG_EXPORT int fstatat64(int dir, const char *restrict path, struct stat64 *restrict st, int flags)
{
    return gg_stat(dir, path, (struct stat *)st, flags);
}

/* The functions that programs linked before glibc 2.33 call. */
int __xstat(int version, const char *path, struct stat *st);
int __lxstat(int version, const char *path, struct stat *st);
int __fxstat(int version, int fd, struct stat *st);
int __fxstatat(int version, int dir, const char *path, struct stat *st, int flags);

GG_EXPORT int __xstat(int version, const char *path, struct stat *st)
{
    (void)version;
    return gg_stat(AT_FDCWD, path, st, 0);
}

GG_EXPORT int __lxstat(int version, const char *path, struct stat *st)
{
    (void)version;
    return gg_stat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

GG_EXPORT int __fxstat(int version, int fd, struct stat *st)
{
    (void)version;
    return stat_fd(fd, st);
}

GG_EXPORT int __fxstatat(int version, int dir, const char *path, struct stat *st, int flags)
{
    (void)version;
    return gg_stat(dir, path, st, flags);
}

GG_ALIAS("__xstat") int __xstat64(int version, const char *path, struct stat *st);
GG_ALIAS("__lxstat") int __lxstat64(int version, const char *path, struct stat *st);
GG_ALIAS("__fxstat") int __fxstat64(int version, int fd, struct stat *st);
GG_ALIAS("__fxstatat") int __fxstatat64(int version, int dir, const char *path, struct stat *st, int flags);
#endif
