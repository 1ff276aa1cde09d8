/* Answers questions about names: readlink, realpath, the working directory. stat.c answers those about files. */
#define _GNU_SOURCE
#include "pathmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A program that asks for its own file means the name it was executed by, not the place its bytes are kept. */
static ssize_t own_name(char *name, ssize_t size)
{
    const struct gg_map *map = gg_the_map();
    const char *told = getenv("GG_EXE"); /* started through the dynamic loader, see exec.c */
    for (uint32_t i = 0; map->active && i < map->used; i++) {
        const struct gg_record *r = &map->records[i];
        if (r->kind != 'F' || strlen(r->target) != (size_t)size || memcmp(r->target, name, (size_t)size) != 0)
            continue;
        char path[PATH_MAX];
        memcpy(path, r->path, r->size);
        path[r->size] = '\0';
        const char *is = told != NULL && gg_is_interpreter(name, (size_t)size) ? told : path;
        size = (ssize_t)strlen(is);
        memcpy(name, is, (size_t)size);
        break;
    }
    return size;
}

static ssize_t copied(const char *from, size_t size, char *buffer, size_t room)
{
    if (size > room)
        size = room;
    memcpy(buffer, from, size);
    return (ssize_t)size;
}

static ssize_t read_link(int dir, const char *path, char *buffer, size_t size)
{
    struct gg_place p;
    struct stat st;
    if (gg_resolve(dir, path, GG_NOFOLLOW, &p) != 0)
        return -1;
    gg_watch(&p);
    switch (p.where) {
    case GG_LINK:
        gg_mark(p.record, GG_READ);
        return copied(p.record->target, strlen(p.record->target), buffer, size);
    case GG_FILE:
    case GG_DIR:
    case GG_ABSENT:
        gg_mark(p.record, GG_ASKED);
        return gg_refuse(p.where == GG_ABSENT ? ENOENT : EINVAL);
    case GG_UNDECLARED:
        if (sys_lstat(p.path, &st) != 0) {
            gg_missed(&p);
            return -1;
        }
        if (!S_ISDIR(st.st_mode) && gg_undeclared(&p) != 0)
            return -1;
        return sys_readlink(p.path, buffer, size);
    case GG_OVERLAY:
    case GG_OUTSIDE:
        break;
    }
    char name[PATH_MAX];
    if (strcmp(p.path, "/proc/self/exe") != 0)
        return syscall(SYS_readlinkat, dir, p.real, buffer, size);
    ssize_t n = sys_readlink(p.real, name, sizeof name);
    return n < 0 ? -1 : copied(name, (size_t)own_name(name, n), buffer, size);
}

/* The canonical name, in place->path. Undeclared paths, and those below a P record, are the kernel's to resolve. */
static int canonical(const char *path, struct gg_place *p)
{
    struct stat st;
    if (path == NULL || path[0] == '\0')
        return gg_refuse(path == NULL ? EINVAL : ENOENT);
    if (gg_resolve(AT_FDCWD, path, GG_FOLLOW, p) != 0)
        return -1;
    gg_mark(p->record, GG_ASKED);
    if (p->where == GG_ABSENT)
        return gg_refuse_absent(p);
    if (p->where == GG_FILE)
        return p->must_be_directory ? gg_refuse(ENOTDIR) : 0;
    if (p->where == GG_DIR)
        return 0;
    if (p->where == GG_OVERLAY)
        return sys_lstat(p->real, &st);
    int own = strcmp(p->path, "/proc/self/exe") == 0;
    int fd = sys_openat(AT_FDCWD, p->real, O_PATH | O_CLOEXEC | (p->must_be_directory ? O_DIRECTORY : 0), 0);
    if (fd < 0) {
        gg_missed(p);
        return -1;
    }
    if (p->where == GG_UNDECLARED && sys_fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && gg_undeclared(p) != 0) {
        syscall(SYS_close, fd);
        return gg_refuse(ENOENT);
    }
    char name[PATH_MAX];
    ssize_t n = gg_name_of(fd, name, sizeof name);
    syscall(SYS_close, fd);
    if (n < 0)
        return -1;
    if (own)
        n = own_name(name, n);
    memcpy(p->path, name, (size_t)n);
    p->path[n] = '\0';
    return 0;
}

GG_EXPORT char *realpath(const char *restrict path, char *restrict resolved)
{
    struct gg_place p;
    if (canonical(path, &p) != 0)
        return NULL;
    return resolved == NULL ? strdup(p.path) : strcpy(resolved, p.path);
}

GG_EXPORT char *__realpath_chk(const char *path, char *resolved, size_t size)
{
    (void)size;
    return realpath(path, resolved);
}

GG_EXPORT char *canonicalize_file_name(const char *path)
{
    return realpath(path, NULL);
}

GG_EXPORT ssize_t readlink(const char *restrict path, char *restrict buffer, size_t size)
{
    return read_link(AT_FDCWD, path, buffer, size);
}

GG_EXPORT ssize_t readlinkat(int dir, const char *restrict path, char *restrict buffer, size_t size)
{
    return read_link(dir, path, buffer, size);
}

GG_EXPORT ssize_t __readlink_chk(const char *restrict path, char *restrict buffer, size_t size, size_t room)
{
    return read_link(AT_FDCWD, path, buffer, size < room ? size : room);
}

GG_EXPORT ssize_t __readlinkat_chk(int dir, const char *restrict path, char *restrict buffer, size_t size, size_t room)
{
    return read_link(dir, path, buffer, size < room ? size : room);
}

GG_EXPORT char *getcwd(char *buffer, size_t size)
{
    char name[PATH_MAX];
    ssize_t n = gg_cwd(name, sizeof name);
    if (n < 0)
        return NULL;
    if (buffer == NULL)
        buffer = malloc(size > 0 ? size : (size_t)n + 1);
    else if (size == 0)
        return errno = EINVAL, NULL;
    if (size > 0 && (size_t)n >= size)
        return errno = ERANGE, NULL;
    return buffer == NULL ? NULL : memcpy(buffer, name, (size_t)n + 1);
}

GG_EXPORT char *__getcwd_chk(char *buffer, size_t size, size_t room)
{
    return getcwd(buffer, size < room ? size : room);
}

/* $PWD, if it names the directory, as in the C library: debug information prefers that name. */
GG_EXPORT char *get_current_dir_name(void)
{
    const char *pwd = getenv("PWD");
    struct stat a, b;
    if (pwd != NULL && gg_stat(AT_FDCWD, pwd, &a, 0) == 0 && gg_stat(AT_FDCWD, ".", &b, 0) == 0 &&
        a.st_ino == b.st_ino && a.st_dev == b.st_dev)
        return strdup(pwd);
    return getcwd(NULL, 0);
}

GG_EXPORT int chdir(const char *path)
{
    struct gg_place p;
    if (gg_resolve(AT_FDCWD, path, GG_FOLLOW, &p) != 0)
        return -1;
    gg_cwd_changes();
    gg_mark(p.record, GG_ASKED);
    if (p.where == GG_ABSENT)
        return gg_refuse_absent(&p);
    if (p.where == GG_FILE)
        return gg_refuse(ENOTDIR);
    if (p.where == GG_DIR && gg_real_directory(&p) != 0)
        return -1;
    int failed = (int)syscall(SYS_chdir, p.real);
    if (failed)
        gg_missed(&p);
    return failed;
}

GG_EXPORT int fchdir(int fd)
{
    gg_cwd_changes();
    return (int)syscall(SYS_fchdir, fd);
}
