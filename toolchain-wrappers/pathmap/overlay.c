/* The overlay, where changes go. What a thunk makes is at SCRATCH/w + its path; what it removes is marked at SCRATCH/gone + its
 * path.
 *
 * A path's bit in the map's filter is set before anything of it appears there, so a reader that finds the bit clear
 * need not look. Directories are never hidden: no tool of a build removes one that it did not make.
 */
#define _GNU_SOURCE
#include "pathmap.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

void gg_watch(const struct gg_place *place)
{
    struct stat st;
    int saved = errno;
    if (place->watched && (gg_the_map()->flags & GG_MISSES) &&
        (place->where == GG_ABSENT || (sys_lstat(place->path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR))))
        gg_report('M', place->hash, place->path);
    errno = saved;
}

int gg_refuse_absent(const struct gg_place *place)
{
    gg_mark(place->record, GG_ASKED);
    gg_watch(place);
    errno = ENOENT;
    return -1;
}

int gg_undeclared(const struct gg_place *place)
{
    if (gg_the_map()->flags & GG_WATCH)
        return 0;
    gg_report('U', place->hash, place->path);
    if (gg_the_map()->flags & GG_OBSERVE)
        return 0;
    errno = ENOENT;
    return -1;
}

void gg_missed(const struct gg_place *place)
{
    if ((gg_the_map()->flags & GG_MISSES) && place->where == GG_UNDECLARED && (errno == ENOENT || errno == ENOTDIR))
        gg_report('M', place->hash, place->path);
}

int gg_is_directory(const struct gg_place *place)
{
    struct stat st;
    if (place->where == GG_DIR)
        return 1;
    if (place->where == GG_FILE || place->where == GG_LINK || place->where == GG_ABSENT)
        return 0;
    return sys_fstatat(AT_FDCWD, place->real, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

/* mkdir -p for what is above the last component of `path`, in the overlay. */
static int make_above(char *path)
{
    size_t fixed = gg_the_map()->scratch_size;
    char *slash = strrchr(path, '/');
    int failed = 0;
    *slash = '\0';
    if (sys_mkdir(path, 0777) != 0 && errno != EEXIST) {
        for (char *at = path + fixed + 1; errno == ENOENT && !failed; at++) {
            at = strchr(at, '/');
            if (at != NULL)
                *at = '\0';
            failed = sys_mkdir(path, 0777) != 0 && errno != EEXIST;
            if (at == NULL)
                break;
            *at = '/';
            errno = ENOENT;
        }
    }
    *slash = '/';
    return failed ? -1 : 0;
}

/* The directory above must be one for the program. Its own resolution has followed every link on the way. */
static int check_above(const struct gg_place *place)
{
    struct gg_place above;
    size_t size = place->size;
    while (size > 0 && place->path[size - 1] != '/')
        size--;
    char path[PATH_MAX];
    memcpy(path, place->path, size);
    path[size] = '\0';
    if (size <= 1)
        return 0;
    if (gg_resolve(AT_FDCWD, path, GG_FOLLOW, &above) != 0)
        return -1;
    if (gg_is_directory(&above))
        return 0;
    errno = above.where == GG_FILE ? ENOTDIR : ENOENT;
    return -1;
}

int gg_make_room(struct gg_place *place)
{
    char hidden[PATH_MAX];
    if (place->where == GG_OUTSIDE || place->where == GG_OVERLAY)
        return 0;
    if (check_above(place) != 0 || gg_in_scratch(place->overlay, "/w", place->path) != 0 ||
        gg_in_scratch(hidden, "/gone", place->path) != 0)
        return -1;
    gg_touch(place->hash);
    if (make_above(place->overlay) != 0)
        return -1;
    sys_unlink(hidden, 0);
    place->real = place->overlay;
    return 0;
}

static int copy_bytes(int from, int to)
{
    char buffer[32768];
    for (;;) {
        ssize_t n = syscall(SYS_read, from, buffer, sizeof buffer);
        if (n <= 0)
            return (int)n;
        for (ssize_t done = 0; done < n;) {
            ssize_t m = syscall(SYS_write, to, buffer + done, n - done);
            if (m < 0)
                return -1;
            done += m;
        }
    }
}

int gg_copy_up(struct gg_place *place)
{
    struct stat st;
    if (place->where == GG_OUTSIDE)
        gg_mark(place->record, GG_READ); /* with the flag WATCH it is declared all the same */
    if (place->where == GG_OUTSIDE || place->where == GG_OVERLAY)
        return 0;
    if (place->where == GG_DIR)
        return gg_real_directory(place);
    if (place->where == GG_ABSENT)
        return gg_refuse_absent(place);
    if (place->where == GG_LINK) {
        errno = EPERM;
        return -1;
    }
    int from = sys_openat(AT_FDCWD, place->real, O_RDONLY | O_CLOEXEC, 0);
    if (from < 0 || sys_fstat(from, &st) != 0) {
        gg_missed(place);
        return -1;
    }
    int to = -1;
    if (place->where == GG_UNDECLARED && S_ISDIR(st.st_mode)) {
        syscall(SYS_close, from);
        return gg_real_directory(place);
    }
    gg_mark(place->record, GG_READ);
    if ((place->where == GG_FILE || gg_undeclared(place) == 0) && gg_make_room(place) == 0)
        to = sys_openat(AT_FDCWD, place->real, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int failed = to < 0 || copy_bytes(from, to) != 0;
    if (!failed) {
        const struct timespec times[2] = {st.st_atim, st.st_mtim};
        syscall(SYS_fchmod, to, (st.st_mode & 07777) | S_IWUSR);
        syscall(SYS_utimensat, to, NULL, times, 0);
        place->where = GG_OVERLAY;
    }
    int saved = errno;
    if (to >= 0)
        syscall(SYS_close, to);
    syscall(SYS_close, from);
    errno = saved;
    return failed ? -1 : 0;
}

int gg_hide(const struct gg_place *place)
{
    char hidden[PATH_MAX];
    if (gg_in_scratch(hidden, "/gone", place->path) != 0)
        return -1;
    gg_touch(place->hash);
    if (make_above(hidden) != 0)
        return -1;
    int fd = sys_openat(AT_FDCWD, hidden, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    syscall(SYS_close, fd);
    return 0;
}

int gg_real_directory(struct gg_place *place)
{
    struct stat st;
    if (place->where == GG_OVERLAY || place->where == GG_OUTSIDE)
        return 0;
    if (sys_fstatat(AT_FDCWD, place->path, &st, 0) == 0 && S_ISDIR(st.st_mode)) {
        place->real = place->path;
        return 0;
    }
    if (gg_in_scratch(place->overlay, "/w", place->path) != 0)
        return -1;
    if (make_above(place->overlay) != 0 || (sys_mkdir(place->overlay, 0777) != 0 && errno != EEXIST))
        return -1;
    place->real = place->overlay;
    return 0;
}

/* An entry of a merged listing: an empty file, a link or a directory, of which readdir tells name and type. */
static void list_name(char *path, size_t size, const char *name, size_t n, char kind)
{
    if (size + 1 + n >= PATH_MAX)
        return;
    path[size] = '/';
    memcpy(path + size + 1, name, n);
    path[size + 1 + n] = '\0';
    if (kind == 'D' || kind == 'P')
        sys_mkdir(path, 0755);
    else if (kind == 'L')
        syscall(SYS_symlinkat, ".", AT_FDCWD, path);
    else
        syscall(SYS_close, sys_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    path[size] = '\0';
}

struct entry { /* as the kernel writes it */
    uint64_t inode;
    int64_t offset;
    unsigned short size;
    unsigned char type;
    char name[];
};

static void list_directory(char *path, size_t size, const char *from, int only_directories)
{
    int fd = sys_openat(AT_FDCWD, from, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    char buffer[8192] __attribute__((aligned(8)));
    long n;
    while (fd >= 0 && (n = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0)
        for (long at = 0; at < n;) {
            const struct entry *e = (const struct entry *)(const void *)(buffer + at);
            char kind = e->type == DT_DIR ? 'D' : e->type == DT_LNK ? 'L' : 'F';
            if (strcmp(e->name, ".") != 0 && strcmp(e->name, "..") != 0 && (kind == 'D' || !only_directories))
                list_name(path, size, e->name, strlen(e->name), kind);
            at += e->size;
        }
    if (fd >= 0)
        syscall(SYS_close, fd);
}

static void list_records(char *path, size_t size, const struct gg_place *place, int absent)
{
    const struct gg_map *map = gg_the_map();
    for (uint32_t i = 0; i < map->used; i++) {
        const struct gg_record *r = &map->records[i];
        size_t above = place->size;
        if (r->size <= above + 1 || memcmp(r->path, place->path, above) != 0 || r->path[above] != '/' ||
            memchr(r->path + above + 1, '/', r->size - above - 1) != NULL)
            continue;
        if (!absent && r->kind != 'N')
            list_name(path, size, r->path + above + 1, r->size - above - 1, r->kind);
        if (absent && r->kind == 'N') {
            path[size] = '/';
            memcpy(path + size + 1, r->path + above + 1, r->size - above - 1);
            path[size + r->size - above] = '\0';
            sys_unlink(path, 0);
            path[size] = '\0';
        }
    }
}

static void unlist_hidden(char *list, size_t size, const char *hidden)
{
    int fd = sys_openat(AT_FDCWD, hidden, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    char buffer[8192] __attribute__((aligned(8)));
    long n;
    while (fd >= 0 && (n = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0)
        for (long at = 0; at < n;) {
            const struct entry *e = (const struct entry *)(const void *)(buffer + at);
            if (e->type == DT_REG && size + 1 + strlen(e->name) < PATH_MAX) {
                list[size] = '/';
                strcpy(list + size + 1, e->name);
                sys_unlink(list, 0);
                list[size] = '\0';
            }
            at += e->size;
        }
    if (fd >= 0)
        syscall(SYS_close, fd);
}

/* Each listing is a directory of its own, SCRATCH/ls/PID.NUMBER + path, that nobody changes once it is made. */
static int new_listing(char list[PATH_MAX], const char *name)
{
    static unsigned made;
    char tree[48];
    for (;;) {
        unsigned number = __atomic_fetch_add(&made, 1, __ATOMIC_RELAXED);
        snprintf(tree, sizeof tree, "/ls/%ld.%u", (long)syscall(SYS_getpid), number);
        if (gg_in_scratch(list, tree, "") != 0 || make_above(list) != 0)
            return -1;
        if (sys_mkdir(list, 0755) == 0)
            break;
        if (errno != EEXIST)
            return -1;
    }
    if (gg_in_scratch(list, tree, name) != 0 || make_above(list) != 0)
        return -1;
    return sys_mkdir(list, 0755) == 0 || errno == EEXIST ? 0 : -1;
}

/* Is anything in this directory declared absent? */
static int hides_names(const struct gg_place *place)
{
    const struct gg_map *map = gg_the_map();
    size_t above = place->size;
    for (uint32_t i = 0; i < map->used; i++) {
        const struct gg_record *r = &map->records[i];
        if (r->kind == 'N' && r->size > above + 1 && memcmp(r->path, place->path, above) == 0 &&
            r->path[above] == '/' && memchr(r->path + above + 1, '/', r->size - above - 1) == NULL)
            return 1;
    }
    return 0;
}

/* Leave out names that were hidden or are declared absent. Those of the overlay come last, so a name made anew is listed. */
int gg_listed_directory(struct gg_place *place)
{
    const struct gg_map *map = gg_the_map();
    char list[PATH_MAX], overlay[PATH_MAX], hidden[PATH_MAX];
    struct stat st;
    if (place->where == GG_OUTSIDE)
        return 0;
    const char *name = place->size > 0 ? place->path : "";
    if (gg_in_scratch(overlay, "/w", name) != 0 || gg_in_scratch(hidden, "/gone", name) != 0)
        return -1;
    int real =
        place->where != GG_OVERLAY && !(map->flags & GG_ALIEN) && sys_fstatat(AT_FDCWD, place->path, &st, 0) == 0;
    if (real && (map->flags & GG_OBSERVE) && !hides_names(place) && sys_lstat(overlay, &st) != 0 &&
        sys_lstat(hidden, &st) != 0) {
        place->real = place->path;
        return 0;
    }
    if (new_listing(list, name) != 0)
        return -1;
    size_t size = strlen(list);
    if (real)
        list_directory(list, size, place->path, !(map->flags & GG_OBSERVE));
    list_records(list, size, place, 1);
    list_records(list, size, place, 0);
    unlist_hidden(list, size, hidden);
    list_directory(list, size, overlay, 0);
    memcpy(place->overlay, list, size + 1);
    place->real = place->overlay;
    return 0;
}
