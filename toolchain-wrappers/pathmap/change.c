/* Makes, removes and renames files, all in the overlay. attributes.c changes a file itself. */
#define _GNU_SOURCE
#include "pathmap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

/* Is there something below the overlay that a removal must hide? */
static int covers(const struct gg_place *p)
{
    struct stat st;
    if (p->record != NULL)
        return p->record->kind == 'F' || p->record->kind == 'L';
    return sys_lstat(p->path, &st) == 0;
}

static int make_directory(int dir, const char *path, mode_t mode)
{
    struct gg_place p;
    struct stat st;
    if (gg_resolve(dir, path, GG_NOFOLLOW, &p) != 0)
        return -1;
    if (p.where == GG_OUTSIDE)
        return (int)syscall(SYS_mkdirat, dir, p.real, mode);
    if (p.where == GG_FILE || p.where == GG_LINK || p.where == GG_DIR || p.where == GG_OVERLAY)
        return gg_refuse(EEXIST);
    if (p.where == GG_UNDECLARED && sys_lstat(p.path, &st) == 0 && (S_ISDIR(st.st_mode) || gg_undeclared(&p) == 0))
        return gg_refuse(EEXIST);
    if (gg_make_room(&p) != 0)
        return -1;
    if (sys_mkdir(p.real, mode) == 0)
        return 0;
    /* The overlay may hold empty directories of an earlier thunk, which do not exist for this one. */
    return errno == EEXIST ? (int)syscall(SYS_fchmodat, AT_FDCWD, p.real, mode & 0755) : -1;
}

static int remove_undeclared(const struct gg_place *p, int flags)
{
    struct stat st;
    if (sys_lstat(p->path, &st) != 0) {
        gg_missed(p);
        return -1;
    }
    if (S_ISDIR(st.st_mode))
        return gg_refuse(flags & AT_REMOVEDIR ? ENOTEMPTY : EISDIR);
    if (flags & AT_REMOVEDIR)
        return gg_refuse(ENOTDIR);
    return gg_undeclared(p) != 0 ? -1 : gg_hide(p);
}

static int remove_at(int dir, const char *path, int flags)
{
    struct gg_place p;
    if (gg_resolve(dir, path, GG_NOFOLLOW, &p) != 0)
        return -1;
    switch (p.where) {
    case GG_ABSENT:
        return gg_refuse_absent(&p);
    case GG_FILE:
    case GG_LINK:
        gg_mark(p.record, GG_ASKED);
        return flags & AT_REMOVEDIR ? gg_refuse(ENOTDIR) : gg_hide(&p);
    case GG_DIR:
        return gg_refuse(flags & AT_REMOVEDIR ? ENOTEMPTY : EISDIR);
    case GG_UNDECLARED:
        return remove_undeclared(&p, flags);
    case GG_OVERLAY:
        if (!(flags & AT_REMOVEDIR) && covers(&p) && gg_hide(&p) != 0)
            return -1;
        return sys_unlink(p.real, flags);
    case GG_OUTSIDE:
        break;
    }
    return (int)syscall(SYS_unlinkat, dir, p.real, flags);
}

static int exists(const struct gg_place *p)
{
    struct stat st;
    switch (p->where) {
    case GG_ABSENT:
        gg_watch(p);
        return 0;
    case GG_UNDECLARED:
        return sys_lstat(p->path, &st) == 0 && gg_undeclared(p) == 0;
    case GG_OUTSIDE:
    case GG_OVERLAY:
        return sys_lstat(p->real, &st) == 0;
    default:
        return 1;
    }
}

/* When a directory moves, its children change their names too: every path may be in the overlay now. */
static void touch_everything(void)
{
    for (uint64_t i = 0; i < 2048; i++)
        gg_touch(i);
}

static int rename_at(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    struct gg_place a, b;
    struct stat st;
    if (gg_resolve(from_dir, from, GG_NOFOLLOW, &a) != 0 || gg_resolve(to_dir, to, GG_NOFOLLOW, &b) != 0)
        return -1;
    if (a.where == GG_OUTSIDE && b.where == GG_OUTSIDE && gg_copy_up(&a) == 0)
        return (int)syscall(SYS_renameat2, from_dir, a.real, to_dir, b.real, flags);
    if (flags & ~(unsigned)RENAME_NOREPLACE)
        return gg_refuse(EINVAL);
    if ((flags & RENAME_NOREPLACE) && exists(&b))
        return gg_refuse(EEXIST);
    if (a.where == GG_DIR || b.where == GG_DIR)
        return gg_refuse(EBUSY);
    if (gg_copy_up(&a) != 0 || gg_make_room(&b) != 0)
        return -1;
    if (sys_lstat(a.real, &st) == 0 && S_ISDIR(st.st_mode))
        touch_everything();
    int hides = a.where != GG_OUTSIDE && covers(&a);
    gg_touch(b.hash);
    if (syscall(SYS_renameat2, AT_FDCWD, a.real, AT_FDCWD, b.real, 0) != 0)
        return -1;
    return hides ? gg_hide(&a) : 0;
}

static int link_at(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    struct gg_place a, b;
    if (gg_resolve(from_dir, from, flags & AT_SYMLINK_FOLLOW ? GG_FOLLOW : GG_NOFOLLOW, &a) != 0 ||
        gg_resolve(to_dir, to, GG_NOFOLLOW, &b) != 0)
        return -1;
    if (a.where == GG_OUTSIDE && b.where == GG_OUTSIDE && gg_copy_up(&a) == 0)
        return (int)syscall(SYS_linkat, from_dir, a.real, to_dir, b.real, flags);
    if (exists(&b))
        return gg_refuse(EEXIST);
    if (gg_copy_up(&a) != 0 || gg_make_room(&b) != 0)
        return -1;
    return (int)syscall(SYS_linkat, AT_FDCWD, a.real, AT_FDCWD, b.real, flags);
}

static int symlink_at(const char *target, int dir, const char *path)
{
    struct gg_place p;
    if (gg_resolve(dir, path, GG_NOFOLLOW, &p) != 0)
        return -1;
    if (p.where == GG_OUTSIDE)
        return (int)syscall(SYS_symlinkat, target, dir, p.real);
    if (exists(&p))
        return gg_refuse(EEXIST);
    return gg_make_room(&p) != 0 ? -1 : (int)syscall(SYS_symlinkat, target, AT_FDCWD, p.real);
}

static int make_node(int dir, const char *path, mode_t mode, dev_t device)
{
    struct gg_place p;
    if (gg_resolve(dir, path, GG_NOFOLLOW, &p) != 0)
        return -1;
    if (p.where == GG_OUTSIDE)
        return (int)syscall(SYS_mknodat, dir, p.real, mode, device);
    if (exists(&p))
        return gg_refuse(EEXIST);
    return gg_make_room(&p) != 0 ? -1 : (int)syscall(SYS_mknodat, AT_FDCWD, p.real, mode, device);
}

GG_EXPORT int mkdir(const char *path, mode_t mode)
{
    return make_directory(AT_FDCWD, path, mode);
}

GG_EXPORT int mkdirat(int dir, const char *path, mode_t mode)
{
    return make_directory(dir, path, mode);
}

GG_EXPORT int unlink(const char *path)
{
    return remove_at(AT_FDCWD, path, 0);
}

GG_EXPORT int unlinkat(int dir, const char *path, int flags)
{
    return remove_at(dir, path, flags);
}

GG_EXPORT int rmdir(const char *path)
{
    return remove_at(AT_FDCWD, path, AT_REMOVEDIR);
}

GG_EXPORT int remove(const char *path)
{
    int r = remove_at(AT_FDCWD, path, 0);
    return r != 0 && errno == EISDIR ? remove_at(AT_FDCWD, path, AT_REMOVEDIR) : r;
}

GG_EXPORT int rename(const char *from, const char *to)
{
    return rename_at(AT_FDCWD, from, AT_FDCWD, to, 0);
}

GG_EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return rename_at(from_dir, from, to_dir, to, 0);
}

GG_EXPORT int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    return rename_at(from_dir, from, to_dir, to, flags);
}

GG_EXPORT int link(const char *from, const char *to)
{
    return link_at(AT_FDCWD, from, AT_FDCWD, to, 0);
}

GG_EXPORT int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    return link_at(from_dir, from, to_dir, to, flags);
}

GG_EXPORT int symlink(const char *target, const char *path)
{
    return symlink_at(target, AT_FDCWD, path);
}

GG_EXPORT int symlinkat(const char *target, int dir, const char *path)
{
    return symlink_at(target, dir, path);
}

GG_EXPORT int mknod(const char *path, mode_t mode, dev_t device)
{
    return make_node(AT_FDCWD, path, mode, device);
}

GG_EXPORT int mknodat(int dir, const char *path, mode_t mode, dev_t device)
{
    return make_node(dir, path, mode, device);
}

GG_EXPORT int mkfifo(const char *path, mode_t mode)
{
    return make_node(AT_FDCWD, path, mode | S_IFIFO, 0);
}

GG_EXPORT int mkfifoat(int dir, const char *path, mode_t mode)
{
    return make_node(dir, path, mode | S_IFIFO, 0);
}

#ifdef __GLIBC__
int __xmknod(int version, const char *path, mode_t mode, dev_t *device);
int __xmknodat(int version, int dir, const char *path, mode_t mode, dev_t *device);

GG_EXPORT int __xmknod(int version, const char *path, mode_t mode, dev_t *device)
{
    (void)version;
    return make_node(AT_FDCWD, path, mode, *device);
}

GG_EXPORT int __xmknodat(int version, int dir, const char *path, mode_t mode, dev_t *device)
{
    (void)version;
    return make_node(dir, path, mode, *device);
}
#endif
