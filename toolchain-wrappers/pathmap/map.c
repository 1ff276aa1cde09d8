/* The map file: loads it, keeps the table of records, marks records and writes reports. */
#define _GNU_SOURCE
#include "pathmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HEADER 288
#define FILTER 32
#define LOADED 0x80000000u /* of the header's flags: written here */
#define REPORTED 1024
#define LOADERS 64

struct header {
    char magic[8];
    uint32_t flags, count, records, dirty, strings, length;
};

static struct gg_map map;
static int state; /* 0 not loaded, 1 being loaded, 2 loaded */
static unsigned char *filter, *marks;
static uint32_t *index_of; /* from hash to 1 + place in records */
static uint32_t index_mask;
static struct gg_record *table;
static uint32_t room;
static struct {
    const char *path, *libraries;
} loaders[LOADERS];
static unsigned loader_count;
static uint64_t reported[REPORTED];

static _Noreturn void die(const char *what)
{
    static const char prefix[] = "gg: path map: ";
    syscall(SYS_write, 2, prefix, sizeof prefix - 1);
    syscall(SYS_write, 2, what, strlen(what));
    syscall(SYS_write, 2, "\n", 1);
    _exit(125);
}

static uint64_t load(const char *at, size_t size)
{
    uint64_t word = 0;
    uint32_t low, high;
    if (size >= 8) {
        memcpy(&word, at, 8);
    } else if (size >= 4) { /* two loads that overlap; the size is in the hash already */
        memcpy(&low, at, 4);
        memcpy(&high, at + size - 4, 4);
        word = (uint64_t)high << 32 | low;
    } else {
        word = (uint64_t)(unsigned char)at[0] | (uint64_t)(unsigned char)at[size / 2] << 8 |
               (uint64_t)(unsigned char)at[size - 1] << 16;
    }
    return word;
}

/* Multiply and fold, eight bytes at a time: a header's path costs some 20 multiplications. */
uint64_t gg_hash(uint64_t above, const char *component, size_t size)
{
    uint64_t h = above + size * 0xff51afd7ed558ccdu;
    for (;;) {
        h = (h ^ load(component, size)) * 0xc4ceb9fe1a85ec53u;
        h ^= h >> 32;
        if (size <= 8)
            return h;
        component += 8;
        size -= 8;
    }
}

static void *memory(size_t size, int flags)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
    if (at == MAP_FAILED)
        die("no memory");
    return at;
}

/* Where a record is in the index, or the free place where it would be. */
static uint32_t *slot(uint64_t hash, const char *path, size_t size)
{
    uint32_t i = (uint32_t)hash & index_mask;
    for (; index_of[i] != 0; i = (i + 1) & index_mask) {
        const struct gg_record *r = &table[index_of[i] - 1];
        if (r->hash == hash && r->size == size && memcmp(r->path, path, size) == 0)
            break;
    }
    return &index_of[i];
}

const struct gg_record *gg_find(uint64_t hash, const char *path, size_t size)
{
    uint32_t found = *slot(hash, path, size);
    return found != 0 ? &table[found - 1] : NULL;
}

/* Rare: there are more directories than records. */
static void grow(void)
{
    munmap(index_of, (index_mask + 1) * sizeof *index_of);
    index_mask = 4 * index_mask + 3;
    index_of = memory((index_mask + 1) * sizeof *index_of, 0);
    for (uint32_t i = 0; i < map.used; i++)
        *slot(table[i].hash, table[i].path, table[i].size) = i + 1;
}

/* The first record of a path counts; a directory that was only implied gives way to one that is declared. */
static void insert(char kind, const char *path, size_t size, uint64_t hash, const char *target, uint32_t number)
{
    if (map.used >= index_mask / 2)
        grow();
    uint32_t *at = slot(hash, path, size);
    struct gg_record *r = &table[map.used];
    if (*at != 0) {
        r = &table[*at - 1];
        if (r->number != GG_IMPLIED)
            return;
    } else {
        if (map.used == room)
            die("a record is damaged");
        *at = ++map.used;
    }
    *r = (struct gg_record){
        .hash = hash, .path = path, .target = target, .number = number, .size = (uint16_t)size, .kind = kind};
}

/* Add a record and the directories above it. Neighbours mostly share theirs, whose hash is then known. */
static void add(char kind, const char *path, size_t size, const char *target, uint32_t number)
{
    static const char *last_path;
    static size_t last_size;
    static uint64_t last_hash;
    size_t above = size;
    while (above > 0 && path[above - 1] != '/')
        above--;
    if (last_path == NULL || above != last_size || memcmp(path, last_path, above) != 0) {
        uint64_t hash = GG_ROOT;
        insert('D', "", 0, hash, "", GG_IMPLIED);
        for (size_t start = 1; start < above;) {
            size_t end = start;
            while (path[end] != '/')
                end++;
            hash = gg_hash(hash, path + start, end - start);
            insert('D', path, end, hash, "", GG_IMPLIED);
            start = end + 1;
        }
        last_path = path;
        last_size = above;
        last_hash = hash;
    }
    if (size > 1)
        insert(kind, path, size, gg_hash(last_hash, path + above, size - above), target, number);
    else
        insert(kind, "", 0, GG_ROOT, target, number); /* the root itself */
}

static void make_table(const char *at, const char *end)
{
    /* No record and no directory above one is shorter than two bytes; memory that is not touched costs nothing. */
    room = (uint32_t)(end - at) / 2 + 2;
    table = memory(room * sizeof *table, 0);
    map.records = table;
    index_mask = 255;
    while (index_mask + 1 < 4 * map.count)
        index_mask = 2 * index_mask + 1;
    index_of = memory((index_mask + 1) * sizeof *index_of, MAP_POPULATE);
    for (uint32_t i = 0; i < map.count; i++) {
        const char *path = at + 1;
        size_t size = at < end ? strlen(path) : 0;
        const char *target = path + size + 1;
        if (target >= end || path[0] != '/' || size >= PATH_MAX)
            die("a record is damaged");
        if (*at == 'I') {
            if (loader_count == LOADERS)
                die("too many dynamic loaders");
            loaders[loader_count].path = path;
            loaders[loader_count++].libraries = target;
        } else {
            add(*at, path, size, target, i);
        }
        at = target + strlen(target) + 1;
    }
}

static void load_map(const char *path)
{
    int fd = sys_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    struct stat st;
    if (fd < 0 || sys_fstat(fd, &st) != 0)
        die("GG_MAP cannot be opened");
    if (st.st_size < HEADER + 4)
        die("GG_MAP is cut short");
    char *file = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    syscall(SYS_close, fd);
    if (file == MAP_FAILED)
        die("GG_MAP cannot be mapped");
    struct header h;
    memcpy(&h, file, sizeof h);
    if (memcmp(h.magic, "GGMAP\0\0\1", 8) != 0)
        die("GG_MAP is not a path map of this version");
    uint64_t size = (uint64_t)st.st_size;
    if (h.length != size || h.strings >= size || h.records > size || (uint64_t)HEADER + h.count > size ||
        file[size - 1] != '\0')
        die("GG_MAP is damaged");
    map.flags = h.flags & ~LOADED;
    map.count = h.count;
    map.scratch = file + h.strings;
    map.scratch_size = strlen(map.scratch);
    map.report = map.scratch + map.scratch_size + 1;
    if (map.scratch[0] != '/' || map.report >= file + size)
        die("GG_MAP is damaged");
    filter = (unsigned char *)file + FILTER;
    marks = (unsigned char *)file + HEADER;
    make_table(file + h.records, file + size);
    __atomic_fetch_or(&((struct header *)(void *)file)->flags, LOADED, __ATOMIC_RELAXED);
    map.active = 1;
}

const struct gg_map *gg_the_map(void)
{
    if (__atomic_load_n(&state, __ATOMIC_ACQUIRE) == 2)
        return &map;
    int expected = 0;
    if (__atomic_compare_exchange_n(&state, &expected, 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        int saved = errno;
        const char *path = getenv("GG_MAP");
        if (path != NULL)
            load_map(path);
        errno = saved;
        __atomic_store_n(&state, 2, __ATOMIC_RELEASE);
    }
    while (__atomic_load_n(&state, __ATOMIC_ACQUIRE) != 2)
        continue; /* another thread is loading: microseconds */
    return &map;
}

__attribute__((constructor)) static void load_early(void)
{
    gg_the_map(); /* while there is one thread */
}

void gg_mark(const struct gg_record *record, enum gg_mark mark)
{
    if (record == NULL || record->number == GG_IMPLIED)
        return;
    unsigned char *at = &marks[record->number];
    if ((__atomic_load_n(at, __ATOMIC_RELAXED) & mark) == 0)
        __atomic_fetch_or(at, (unsigned char)mark, __ATOMIC_RELAXED);
}

/* One write a report, so that processes do not mix; a path once a process, as far as a small table remembers. */
void gg_report(char kind, uint64_t hash, const char *path)
{
    int saved = errno;
    uint64_t key = (hash ^ (unsigned char)kind) | 1;
    for (unsigned i = (unsigned)(key >> 32) % REPORTED, n = 0; n < 16; i = (i + 1) % REPORTED, n++) {
        uint64_t there = 0;
        if (__atomic_compare_exchange_n(&reported[i], &there, key, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            break;
        if (there == key)
            return;
    }
    char line[PATH_MAX + 2];
    size_t size = strlen(path);
    line[0] = kind;
    memcpy(line + 1, path, size + 1);
    int fd = sys_openat(AT_FDCWD, map.report, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || syscall(SYS_write, fd, line, size + 2) != (long)(size + 2))
        die("the report cannot be written"); /* an unreported read would make a wrong result */
    syscall(SYS_close, fd);
    errno = saved;
}

int gg_touched(uint64_t hash)
{
    return __atomic_load_n(&filter[(hash >> 3) & 255], __ATOMIC_ACQUIRE) >> (hash & 7) & 1;
}

void gg_touch(uint64_t hash)
{
    struct header *h = (struct header *)(void *)(filter - FILTER);
    __atomic_store_n(&h->dirty, 1, __ATOMIC_RELAXED);
    __atomic_fetch_or(&filter[(hash >> 3) & 255], (unsigned char)(1u << (hash & 7)), __ATOMIC_RELEASE);
}

const char *gg_libraries_for(const char *path)
{
    for (unsigned i = 0; i < loader_count; i++)
        if (strcmp(path, loaders[i].path) == 0)
            return loaders[i].libraries;
    return NULL;
}

int gg_is_interpreter(const char *real, size_t size)
{
    struct gg_place p;
    for (unsigned i = 0; i < loader_count; i++)
        if (gg_resolve(AT_FDCWD, loaders[i].path, GG_FOLLOW, &p) == 0 && p.where == GG_FILE &&
            strlen(p.real) == size && memcmp(p.real, real, size) == 0)
            return 1;
    return 0;
}
