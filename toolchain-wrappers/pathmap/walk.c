/* From the path that a program uses to the file that it means.
 *
 * The path is walked once, from the root, hashing as it goes. A declared link is followed by putting its target in
 * front of what is left; a link that this thunk made likewise. Nothing asks the kernel, but `..` below a directory
 * that is not declared, and paths that the overlay may hold. So a path that is neither declared nor there costs the
 * one system call that it costs without us.
 */
#define _GNU_SOURCE
#include "pathmap.h"

#include <errno.h>
#include <string.h>

#define LINKS_MAX 40

static char cwd_path[PATH_MAX];
static size_t cwd_size;
static int cwd_known, cwd_moves;

int gg_in_scratch(char buffer[PATH_MAX], const char *tree, const char *path)
{
    const struct gg_map *map = gg_the_map();
    size_t a = map->scratch_size, b = strlen(tree), c = strlen(path);
    if (a + b + c >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(buffer, map->scratch, a);
    memcpy(buffer + a, tree, b);
    memcpy(buffer + a + b, path, c + 1);
    return 0;
}

/* A path inside the overlay or a merged listing, by the name it has for the program: how many bytes to drop. */
static size_t scratch_prefix(const char *path)
{
    const struct gg_map *map = gg_the_map();
    if (!map->active || strncmp(path, map->scratch, map->scratch_size) != 0)
        return 0;
    const char *rest = path + map->scratch_size;
    size_t tree = strncmp(rest, "/w", 2) == 0 ? 2 : 0;
    if (strncmp(rest, "/ls/", 4) == 0)
        tree = 4 + strcspn(rest + 4, "/");
    return tree > 0 && (rest[tree] == '/' || rest[tree] == '\0') ? map->scratch_size + tree : 0;
}

static ssize_t named_for_program(char *buffer)
{
    size_t drop = scratch_prefix(buffer);
    size_t size = strlen(buffer);
    if (drop > 0) {
        size -= drop;
        memmove(buffer, buffer + drop, size + 1);
        if (size == 0) {
            strcpy(buffer, "/");
            size = 1;
        }
    }
    return (ssize_t)size;
}

ssize_t gg_cwd(char *buffer, size_t size)
{
    char name[PATH_MAX];
    if (syscall(SYS_getcwd, name, sizeof name) < 0)
        return -1;
    if (name[0] != '/') { /* "(unreachable)" */
        errno = ENOENT;
        return -1;
    }
    size_t length = (size_t)named_for_program(name);
    if (length >= size) {
        errno = ERANGE;
        return -1;
    }
    memcpy(buffer, name, length + 1);
    return (ssize_t)length;
}

/* From the first chdir on, the directory is asked for each time: a child after vfork may move without its parent, and
 * it shares these variables with it. Compilers, assemblers and linkers never move. */
void gg_cwd_changes(void)
{
    __atomic_store_n(&cwd_moves, 1, __ATOMIC_RELEASE);
}

static ssize_t remembered_cwd(char *buffer)
{
    if (__atomic_load_n(&cwd_moves, __ATOMIC_ACQUIRE))
        return gg_cwd(buffer, PATH_MAX);
    if (__atomic_load_n(&cwd_known, __ATOMIC_ACQUIRE) != 2) {
        ssize_t n = gg_cwd(buffer, PATH_MAX);
        int expected = 0;
        if (n >= 0 && __atomic_compare_exchange_n(&cwd_known, &expected, 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            memcpy(cwd_path, buffer, (size_t)n + 1);
            cwd_size = (size_t)n;
            __atomic_store_n(&cwd_known, 2, __ATOMIC_RELEASE);
        }
        return n;
    }
    memcpy(buffer, cwd_path, cwd_size + 1);
    return (ssize_t)cwd_size;
}

ssize_t gg_name_of(int fd, char *buffer, size_t size)
{
    char link[32] = "/proc/self/fd/";
    char digits[12];
    int n = 0, at = 14;
    for (unsigned value = (unsigned)fd; n == 0 || value > 0; value /= 10)
        digits[n++] = (char)('0' + value % 10);
    while (n > 0)
        link[at++] = digits[--n];
    ssize_t length = sys_readlink(link, buffer, size - 1);
    if (length < 0) {
        if (errno == ENOENT)
            errno = EBADF;
        return -1;
    }
    buffer[length] = '\0';
    return named_for_program(buffer);
}

struct walk {
    struct gg_place *place;
    const char *rest;
    int links;
    size_t outside; /* length of the P record we are under, or 0 */
    int looked_up;  /* place->record and `there` are of place->path; not so after a step up */
    int there;      /* what the overlay says of it, see overlaid() */
    char pending[PATH_MAX];
};

/* Put `target` in front of what is left of the path, which may be inside w->pending. */
static int put_in_front(struct walk *w, const char *target, size_t size)
{
    size_t left = strlen(w->rest);
    size_t slash = left > 0 && w->rest[0] != '/';
    if (size + slash + left >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memmove(w->pending + size + slash, w->rest, left + 1);
    memcpy(w->pending, target, size);
    if (slash)
        w->pending[size] = '/';
    w->rest = w->pending;
    return 0;
}

static void step_up(struct walk *w)
{
    struct gg_place *p = w->place;
    size_t size = p->size;
    w->looked_up = 0;
    while (size > 0 && p->path[--size] != '/')
        continue;
    p->size = size;
    p->path[size] = '\0';
    if (size < w->outside)
        w->outside = 0;
    uint64_t hash = GG_ROOT;
    for (size_t start = 1; start < size;) {
        size_t end = start;
        while (end < size && p->path[end] != '/')
            end++;
        hash = gg_hash(hash, p->path + start, end - start);
        start = end + 1;
    }
    p->hash = hash;
}

static int follow(struct walk *w, const char *target, size_t size)
{
    if (++w->links > LINKS_MAX) {
        errno = ELOOP;
        return -1;
    }
    if (put_in_front(w, target, size) != 0)
        return -1;
    w->looked_up = 0;
    if (target[0] == '/') {
        w->place->size = 0;
        w->place->path[0] = '\0';
        w->place->hash = GG_ROOT;
        w->outside = 0;
    } else {
        step_up(w);
    }
    return 0;
}

/* The overlay's answer about a path: 1 it is there, 0 the overlay knows nothing, -1 the overlay hides it and all below. */
static int overlaid(struct gg_place *p, struct stat *st)
{
    if (gg_in_scratch(p->overlay, "/w", p->path) != 0)
        return 0;
    if (sys_lstat(p->overlay, st) == 0)
        return 1;
    char hidden[PATH_MAX];
    struct stat mark;
    return gg_in_scratch(hidden, "/gone", p->path) == 0 && sys_lstat(hidden, &mark) == 0 && S_ISREG(mark.st_mode) ? -1
                                                                                                                  : 0;
}

/* `..` is about to leave `place`, which must be a directory. An undeclared link is followed: returns 1. */
static int leave_directory(struct walk *w)
{
    struct gg_place *p = w->place;
    const struct gg_record *r = gg_find(p->hash, p->path, p->size);
    if (w->outside > 0 || (r != NULL && r->kind == 'D' && !gg_touched(p->hash)))
        return 0;
    struct stat st;
    if (gg_touched(p->hash)) {
        int there = overlaid(p, &st);
        if (there > 0 && S_ISDIR(st.st_mode))
            return 0;
        if (there != 0) {
            errno = there < 0 ? ENOENT : ENOTDIR;
            return -1;
        }
    }
    if (r != NULL) {
        errno = r->kind == 'D' ? 0 : r->kind == 'N' ? ENOENT : ENOTDIR;
        return errno == 0 ? 0 : -1;
    }
    p->where = GG_UNDECLARED;
    if (gg_the_map()->flags & GG_ALIEN) {
        p->where = GG_ABSENT;
        p->watched = 1;
        return gg_refuse_absent(p);
    }
    if (sys_lstat(p->path, &st) != 0) {
        gg_missed(p);
        return -1;
    }
    if (S_ISDIR(st.st_mode))
        return 0;
    if (!S_ISLNK(st.st_mode)) {
        errno = ENOTDIR;
        return -1;
    }
    char target[PATH_MAX];
    ssize_t n;
    if (gg_undeclared(p) != 0 || (n = sys_readlink(p->path, target, sizeof target)) < 0)
        return -1;
    w->rest -= 2; /* the `..` comes after the link's target */
    return follow(w, target, (size_t)n) == 0 ? 1 : -1;
}

static int begin(struct walk *w, int dir, const char *path)
{
    struct gg_place *p = w->place;
    p->size = 0;
    p->path[0] = '\0';
    p->hash = GG_ROOT;
    w->rest = path;
    w->links = 0;
    w->outside = 0;
    w->looked_up = 0;
    if (path[0] == '/') {
        w->rest += scratch_prefix(path);
        return 0;
    }
    char base[PATH_MAX];
    ssize_t n = dir == AT_FDCWD ? remembered_cwd(base) : gg_name_of(dir, base, sizeof base);
    if (n < 0)
        return -1;
    if (base[0] != '/') {
        errno = ENOTDIR;
        return -1;
    }
    return put_in_front(w, base, (size_t)n);
}

/* Go one component forward. A link is followed unless it is the `last` component and `how` says otherwise. 0, or -1 with errno. */
static int forward(struct walk *w, const char *name, size_t size, int last, enum gg_follow how)
{
    struct gg_place *p = w->place;
    if (p->size + 1 + size >= PATH_MAX || size > NAME_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    p->path[p->size++] = '/';
    memcpy(p->path + p->size, name, size);
    p->size += size;
    p->path[p->size] = '\0';
    p->hash = gg_hash(p->hash, name, size);
    p->record = NULL;
    w->there = 0;
    w->looked_up = 1;
    if (w->outside > 0)
        return 0;
    p->record = gg_find(p->hash, p->path, p->size);
    if (p->record != NULL && p->record->kind == 'P') {
        w->outside = p->size;
        return 0;
    }
    int followed = !last || how == GG_FOLLOW;
    if (gg_touched(p->hash)) {
        struct stat st;
        w->there = overlaid(p, &st);
        if (w->there > 0 && S_ISLNK(st.st_mode) && followed) {
            char target[PATH_MAX];
            ssize_t n = sys_readlink(p->overlay, target, sizeof target);
            return n < 0 ? -1 : follow(w, target, (size_t)n);
        }
    }
    if (w->there != 0 || p->record == NULL)
        return 0;
    if (p->record->kind == 'L' && followed) {
        gg_mark(p->record, GG_READ);
        return follow(w, p->record->target, strlen(p->record->target));
    }
    if (!last && (p->record->kind == 'F' || p->record->kind == 'N')) {
        errno = p->record->kind == 'F' ? ENOTDIR : ENOENT;
        return -1;
    }
    return 0;
}

static void conclude(struct walk *w)
{
    struct gg_place *p = w->place;
    struct stat st;
    if (!w->looked_up && w->outside == 0) {
        p->record = gg_find(p->hash, p->path, p->size);
        w->there = gg_touched(p->hash) ? overlaid(p, &st) : 0;
    }
    if (p->size == 0)
        strcpy(p->path, "/");
    p->real = p->path;
    if (w->outside > 0) {
        p->where = GG_OUTSIDE;
    } else if (gg_the_map()->flags & GG_WATCH) {
        p->where = GG_OUTSIDE; /* in a jail the kernel knows what is there */
        p->watched = p->record == NULL;
    } else if (w->there > 0) {
        p->where = GG_OVERLAY;
        p->real = p->overlay;
    } else if (w->there < 0) {
        p->where = GG_ABSENT;
    } else if (p->record == NULL) {
        p->watched = (gg_the_map()->flags & GG_ALIEN) != 0;
        p->where = p->watched ? GG_ABSENT : GG_UNDECLARED;
    } else {
        char kind = p->record->kind;
        p->where = kind == 'F' ? GG_FILE : kind == 'L' ? GG_LINK : kind == 'N' ? GG_ABSENT : GG_DIR;
        if (kind == 'F' && p->record->target[0] != '\0')
            p->real = p->record->target;
    }
}

int gg_resolve(int dir, const char *path, enum gg_follow how, struct gg_place *p)
{
    struct walk w;
    w.place = p;
    p->record = NULL;
    p->must_be_directory = 0;
    p->watched = 0;
    p->where = GG_OUTSIDE;
    if (!gg_the_map()->active || path[0] == '\0') { /* the kernel's business */
        size_t size = strlen(path);
        if (size >= PATH_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(p->path, path, size + 1);
        p->real = path;
        return 0;
    }
    if (begin(&w, dir, path) != 0)
        return -1;
    for (;;) {
        while (*w.rest == '/')
            w.rest++;
        const char *name = w.rest;
        size_t size = strcspn(name, "/");
        if (size == 0)
            break;
        w.rest = name + size;
        p->must_be_directory = *w.rest == '/';
        if (size == 1 && name[0] == '.') {
            p->must_be_directory = 1;
        } else if (size == 2 && name[0] == '.' && name[1] == '.') {
            int linked = leave_directory(&w);
            if (linked < 0)
                return -1;
            if (!linked)
                step_up(&w);
            p->must_be_directory = 1;
        } else {
            int last = w.rest[strspn(w.rest, "/")] == '\0';
            if (forward(&w, name, size, last, p->must_be_directory ? GG_FOLLOW : how) != 0)
                return -1;
        }
    }
    conclude(&w);
    return 0;
}
