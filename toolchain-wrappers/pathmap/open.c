/* open and its kin. */
#define _GNU_SOURCE
#include "pathmap.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int open_undeclared(struct gg_place *p, int flags)
{
    struct stat st;
    int fd = sys_openat(AT_FDCWD, p->path, flags | (p->must_be_directory ? O_DIRECTORY : 0), 0);
    if (fd < 0 || sys_fstat(fd, &st) != 0) {
        gg_missed(p);
        return -1;
    }
    int lists = S_ISDIR(st.st_mode) && (flags & O_DIRECTORY) && !(flags & O_PATH);
    int refused = 0;
    if (lists || S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
        refused = gg_undeclared(p) != 0;
    if (!refused && !lists)
        return fd;
    syscall(SYS_close, fd);
    if (!lists)
        return gg_refuse(ENOENT);
    return gg_listed_directory(p) != 0 ? -1 : sys_openat(AT_FDCWD, p->real, flags, 0);
}

static int open_to_read(int dir, struct gg_place *p, int flags)
{
    int lists = (flags & O_DIRECTORY) && !(flags & O_PATH);
    int fd;
    switch (p->where) {
    case GG_ABSENT:
        return gg_refuse_absent(p);
    case GG_LINK:
        gg_mark(p->record, GG_READ);
        return flags & O_PATH ? sys_openat(AT_FDCWD, p->path, flags, 0) : gg_refuse(ELOOP);
    case GG_FILE:
        gg_mark(p->record, GG_READ);
        if (p->must_be_directory)
            return gg_refuse(ENOTDIR);
        fd = sys_openat(AT_FDCWD, p->real, flags & ~O_NOFOLLOW, 0);
        gg_opened(fd, p);
        return fd;
    case GG_DIR:
        gg_mark(p->record, GG_READ);
        if (lists && (gg_the_map()->flags & GG_OBSERVE))
            gg_report('D', p->hash, p->path);
        if ((lists ? gg_listed_directory(p) : gg_real_directory(p)) != 0)
            return -1;
        return sys_openat(AT_FDCWD, p->real, flags, 0);
    case GG_OVERLAY:
        if (lists && gg_is_directory(p) && gg_listed_directory(p) != 0)
            return -1;
        return sys_openat(AT_FDCWD, p->real, flags | (p->must_be_directory ? O_DIRECTORY : 0), 0);
    case GG_UNDECLARED:
        return open_undeclared(p, flags);
    case GG_OUTSIDE:
        break;
    }
    return sys_openat(dir, p->real, flags, 0);
}

static int create(struct gg_place *p, int flags, mode_t mode)
{
    if (gg_make_room(p) != 0)
        return -1;
    return sys_openat(AT_FDCWD, p->real, flags | O_CREAT, mode);
}

static int rewrite_declared(struct gg_place *p, int flags)
{
    struct stat st;
    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
        return gg_refuse(EEXIST);
    if (!(flags & O_TRUNC))
        return gg_copy_up(p) != 0 ? -1 : sys_openat(AT_FDCWD, p->real, flags & ~O_CREAT, 0);
    if (sys_fstatat(AT_FDCWD, p->real, &st, 0) != 0)
        return -1;
    int fd = create(p, flags, 0600);
    if (fd >= 0) /* a file that is overwritten keeps its mode */
        syscall(SYS_fchmod, fd, (st.st_mode & 07777) | S_IWUSR);
    return fd;
}

/* A file at an undeclared path counts as missing when it is overwritten: it is an old output, or its placeholder.
 */
static int write_undeclared(struct gg_place *p, int flags, mode_t mode)
{
    struct stat st;
    int creates = flags & O_CREAT;
    if (sys_lstat(p->path, &st) != 0) {
        if (!creates) {
            gg_missed(p);
            return -1;
        }
        return create(p, flags, mode);
    }
    if (S_ISDIR(st.st_mode))
        return gg_refuse(EISDIR);
    if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return sys_openat(AT_FDCWD, p->path, flags, mode);
    if (creates && (flags & (O_TRUNC | O_EXCL)) == O_TRUNC)
        return create(p, flags, mode);
    if (gg_undeclared(p) != 0)
        return creates ? create(p, flags, mode) : -1;
    if (creates && (flags & O_EXCL))
        return gg_refuse(EEXIST);
    if (flags & O_TRUNC)
        return create(p, flags, st.st_mode & 07777);
    return gg_copy_up(p) != 0 ? -1 : sys_openat(AT_FDCWD, p->real, flags & ~O_CREAT, 0);
}

static int open_to_write(int dir, struct gg_place *p, int flags, mode_t mode)
{
    if (p->must_be_directory && p->where != GG_OUTSIDE)
        return gg_refuse(EISDIR);
    switch (p->where) {
    case GG_ABSENT:
        return flags & O_CREAT ? create(p, flags, mode) : gg_refuse_absent(p);
    case GG_LINK:
        return gg_refuse((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) ? EEXIST : ELOOP);
    case GG_FILE:
        return rewrite_declared(p, flags);
    case GG_DIR:
        return gg_refuse((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) ? EEXIST : EISDIR);
    case GG_OVERLAY:
        return sys_openat(AT_FDCWD, p->real, flags, mode);
    case GG_UNDECLARED:
        return write_undeclared(p, flags, mode);
    case GG_OUTSIDE:
        break;
    }
    return sys_openat(dir, p->real, flags, mode);
}

int gg_open(int dir, const char *path, int flags, mode_t mode)
{
    struct gg_place p;
    int exclusive = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
    if (gg_resolve(dir, path, (flags & O_NOFOLLOW) || exclusive ? GG_NOFOLLOW : GG_FOLLOW, &p) != 0)
        return -1;
    if (p.where == GG_OUTSIDE && (flags & (O_CREAT | O_TRUNC | O_EXCL)) != (O_CREAT | O_TRUNC)) {
        gg_mark(p.record, GG_READ);
        gg_watch(&p);
    }
    if ((flags & O_TMPFILE) == O_TMPFILE) {
        return sys_openat(dir, p.where == GG_OUTSIDE ? p.real : gg_the_map()->scratch, flags, mode);
    }
    if ((flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)))
        return open_to_write(dir, &p, flags, mode);
    return open_to_read(dir, &p, flags);
}

GG_EXPORT int open(const char *path, int flags, ...)
{
    GG_MODE_ARGUMENT(flags, mode)
    return gg_open(AT_FDCWD, path, flags, mode);
}

GG_EXPORT int openat(int dir, const char *path, int flags, ...)
{
    GG_MODE_ARGUMENT(flags, mode)
    return gg_open(dir, path, flags, mode);
}

GG_EXPORT int creat(const char *path, mode_t mode)
{
    return gg_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

/* The functions that fortified programs call. */
GG_EXPORT int __open_2(const char *path, int flags)
{
    return gg_open(AT_FDCWD, path, flags, 0);
}

GG_EXPORT int __openat_2(int dir, const char *path, int flags)
{
    return gg_open(dir, path, flags, 0);
}

static int stdio_flags(const char *mode)
{
    int flags = mode[0] == 'r' ? 0 : mode[0] == 'w' ? O_CREAT | O_TRUNC : O_CREAT | O_APPEND;
    int access = mode[0] == 'r' ? O_RDONLY : O_WRONLY;
    for (const char *p = mode + 1; *p != '\0' && *p != ','; p++) {
        if (*p == '+')
            access = O_RDWR;
        else if (*p == 'x')
            flags |= O_EXCL;
        else if (*p == 'e')
            flags |= O_CLOEXEC;
    }
    return flags | access;
}

GG_EXPORT FILE *fopen(const char *restrict path, const char *restrict mode)
{
    if (strchr("rwa", mode[0]) == NULL || mode[0] == '\0') {
        errno = EINVAL;
        return NULL;
    }
    int fd = gg_open(AT_FDCWD, path, stdio_flags(mode), 0666);
    FILE *file = fd < 0 ? NULL : fdopen(fd, mode);
    if (fd >= 0 && file == NULL) {
        int saved = errno;
        syscall(SYS_close, fd);
        errno = saved;
    }
    return file;
}

/* Opens by our own means, then has the stream reopened through the descriptor's name, so that it keeps its identity.
 */
GG_EXPORT FILE *freopen(const char *restrict path, const char *restrict mode, FILE *restrict stream)
{
    static FILE *(*next)(const char *, const char *, FILE *);
    if (next == NULL)
        next = (FILE * (*)(const char *, const char *, FILE *)) gg_next("freopen");
    if (path == NULL)
        return next(path, mode, stream);
    char name[40];
    int fd = gg_open(AT_FDCWD, path, stdio_flags(mode), 0666);
    if (fd < 0) {
        int saved = errno;
        fclose(stream);
        errno = saved;
        return NULL;
    }
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    FILE *file = next(name, strchr(mode, 'x') != NULL ? "w" : mode, stream);
    syscall(SYS_close, fd);
    return file;
}

GG_EXPORT DIR *opendir(const char *path)
{
    int fd = gg_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    return fd < 0 ? NULL : fdopendir(fd);
}

static int scan(int fd, struct dirent ***names, int (*chosen)(const struct dirent *),
                int (*order)(const struct dirent **, const struct dirent **))
{
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (stream == NULL)
        return -1;
    struct dirent **list = NULL, *e;
    size_t count = 0;
    while ((e = readdir(stream)) != NULL) {
        if (chosen != NULL && !chosen(e))
            continue;
        struct dirent **longer = realloc(list, (count + 1) * sizeof *list);
        if (longer != NULL)
            list = longer;
        struct dirent *copy = longer == NULL ? NULL : malloc(e->d_reclen);
        if (copy == NULL)
            break;
        memcpy(copy, e, e->d_reclen);
        list[count++] = copy;
    }
    closedir(stream);
    if (order != NULL && count > 0)
        qsort(list, count, sizeof *list, (int (*)(const void *, const void *))order);
    *names = list;
    return (int)count;
}

GG_EXPORT int scandirat(int dir, const char *restrict path, struct dirent ***restrict names,
                        int (*chosen)(const struct dirent *),
                        int (*order)(const struct dirent **, const struct dirent **))
{
    return scan(gg_open(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), names, chosen, order);
}

GG_EXPORT int scandir(const char *restrict path, struct dirent ***restrict names, int (*chosen)(const struct dirent *),
                      int (*order)(const struct dirent **, const struct dirent **))
{
    return scandirat(AT_FDCWD, path, names, chosen, order);
}

/* Make something under a name that ends in random letters; `length` letters of X stand before `after` others. */
static int make_random(char *template, int after, int flags, int directory)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t size = strlen(template);
    if (after < 0 || size < 6 + (size_t)after || memcmp(template + size - 6 - (size_t)after, "XXXXXX", 6) != 0)
        return gg_refuse(EINVAL);
    char *at = template + size - 6 - (size_t)after;
    for (int i = 0; i < 1000; i++) {
        unsigned char random[6];
        if (syscall(SYS_getrandom, random, sizeof random, 0) != sizeof random)
            return -1;
        for (int j = 0; j < 6; j++)
            at[j] = letters[random[j] % 62];
        int made = directory ? mkdir(template, 0700)
                             : gg_open(AT_FDCWD, template, (flags & ~O_ACCMODE) | O_RDWR | O_CREAT | O_EXCL, 0600);
        if (made >= 0 || errno != EEXIST)
            return made;
    }
    return gg_refuse(EEXIST);
}

GG_EXPORT int mkstemp(char *template)
{
    return make_random(template, 0, 0, 0);
}

GG_EXPORT int mkostemp(char *template, int flags)
{
    return make_random(template, 0, flags, 0);
}

GG_EXPORT int mkstemps(char *template, int after)
{
    return make_random(template, after, 0, 0);
}

GG_EXPORT int mkostemps(char *template, int after, int flags)
{
    return make_random(template, after, flags, 0);
}

GG_EXPORT char *mkdtemp(char *template)
{
    return make_random(template, 0, 0, 1) < 0 ? NULL : template;
}

#ifdef __GLIBC__
GG_ALIAS("open") int open64(const char *path, int flags, ...);
GG_ALIAS("openat") int openat64(int dir, const char *path, int flags, ...);
GG_ALIAS("creat") int creat64(const char *path, mode_t mode);
GG_ALIAS("__open_2") int __open64_2(const char *path, int flags);
GG_ALIAS("__openat_2") int __openat64_2(int dir, const char *path, int flags);
GG_ALIAS("fopen") FILE *fopen64(const char *restrict path, const char *restrict mode);
GG_ALIAS("freopen") FILE *freopen64(const char *restrict path, const char *restrict mode, FILE *restrict stream);
GG_ALIAS("mkstemp") int mkstemp64(char *template);
GG_ALIAS("mkostemp") int mkostemp64(char *template, int flags);
GG_ALIAS("mkstemps") int mkstemps64(char *template, int after);
GG_ALIAS("mkostemps") int mkostemps64(char *template, int after, int flags);

GG_EXPORT int scandir64(const char *restrict path, struct dirent64 ***restrict names,
                        int (*chosen)(const struct dirent64 *),
                        int (*order)(const struct dirent64 **, const struct dirent64 **))
{
    return scandir(path, (struct dirent ***)names, (int (*)(const struct dirent *))chosen,
                   (int (*)(const struct dirent **, const struct dirent **))order);
}

GG_EXPORT int scandirat64(int dir, const char *restrict path, struct dirent64 ***restrict names,
                          int (*chosen)(const struct dirent64 *),
                          int (*order)(const struct dirent64 **, const struct dirent64 **))
{
    return scandirat(dir, path, (struct dirent ***)names, (int (*)(const struct dirent *))chosen,
                     (int (*)(const struct dirent **, const struct dirent **))order);
}
#endif
