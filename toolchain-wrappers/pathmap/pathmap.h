/* The path map: the file system as one thunk sees it. It runs inside the thunk's own processes.
 *
 * The format of the map, and what is promised of it, is the docstring of gg/run/pathmap.py. The parts:
 *
 *   map.c      the file itself: loading, the table of records, marks, the report
 *   walk.c     from what a program calls a path to a `struct place`, by declared links and the overlay
 *   overlay.c  where changes go: creating, copying up, hiding, directories merged for listing
 *   terminal.c whether standard error is one
 *   clock.c    the time of day, for a repetition at another time
 *   open.c stat.c names.c change.c attributes.c exec.c    the C library's functions, each a few lines over the above
 *
 * Everything works on the stack and by raw system calls: no malloc, no locks held, no thread-local state. So it is
 * safe in threads, in signal handlers, and between vfork and exec, where a child runs in its parent's memory.
 */
#ifndef GG_PATHMAP_H
#define GG_PATHMAP_H

#include "../common/interpose.h"
#include "sys.h"

#include <limits.h>
#include <stdint.h>

enum gg_flag { GG_OBSERVE = 1, GG_MISSES = 2, GG_WATCH = 4, GG_ALIEN = 8, GG_TERMINAL = 16 };
enum gg_mark { GG_READ = 1, GG_ASKED = 2 };

struct gg_record {
    uint64_t hash;
    const char *path; /* not ended by NUL for a directory that is only implied */
    const char *target;
    uint32_t number; /* GG_IMPLIED: no record of its own */
    uint16_t size;
    char kind; /* F L D N P */
};
#define GG_IMPLIED UINT32_MAX

struct gg_map {
    const char *scratch;
    size_t scratch_size;
    const char *report;
    uint32_t flags;
    uint32_t count;
    int active;                      /* 0: GG_MAP is not set and every path is itself */
    const struct gg_record *records; /* those of the table; directories that are implied come among them */
    uint32_t used;
};

/* Loads the map on first use. A map that is named and cannot be used ends the process: it must not see the real tree.
 */
const struct gg_map *gg_the_map(void);

/* The hash of a path, component by component: gg_hash(gg_hash(GG_ROOT, "usr", 3), "lib", 3). */
#define GG_ROOT 0x9e3779b97f4a7c15u
uint64_t gg_hash(uint64_t above, const char *component, size_t size);

const struct gg_record *gg_find(uint64_t hash, const char *path, size_t size);
void gg_mark(const struct gg_record *record, enum gg_mark mark);
void gg_report(char kind, uint64_t hash, const char *path);

/* May the overlay hold this path, or hide it? Exact enough: 2,048 bits for the few paths a command writes. */
int gg_touched(uint64_t hash);
void gg_touch(uint64_t hash);

/* Where an ELF interpreter that is declared with a target finds libraries (kind I), or NULL. */
const char *gg_libraries_for(const char *interpreter);
/* Is this the place of the bytes of such an interpreter? */
int gg_is_interpreter(const char *real, size_t size);

enum gg_where {
    GG_ABSENT,     /* declared absent, or removed by this thunk */
    GG_FILE,       /* a declared file */
    GG_LINK,       /* a declared link, not followed */
    GG_DIR,        /* a declared directory */
    GG_OVERLAY,    /* made by this thunk */
    GG_OUTSIDE,    /* at or below a P record: not our business */
    GG_UNDECLARED, /* none of these: exists or not */
};

struct gg_place {
    enum gg_where where;
    int must_be_directory; /* the path ended with a slash */
    int watched;           /* nothing is declared here: GG_OUTSIDE for the flag WATCH, GG_ABSENT for ALIEN */
    uint64_t hash;
    size_t size;
    const struct gg_record *record; /* for GG_FILE, GG_LINK, GG_DIR and declared GG_ABSENT */
    const char *real;               /* what to give the kernel */
    char path[PATH_MAX];            /* what the program means: absolute, declared links followed */
    char overlay[PATH_MAX];         /* memory for `real` */
};

enum gg_follow { GG_NOFOLLOW = 0, GG_FOLLOW = 1 };

/* 0, or -1 with errno for what the kernel would refuse (ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG). */
int gg_resolve(int dir, const char *path, enum gg_follow follow, struct gg_place *place);
int gg_is_directory(const struct gg_place *place);
/* The program's name for its working directory: its length, or -1. */
ssize_t gg_cwd(char *buffer, size_t size);
void gg_cwd_changes(void);
/* The absolute name of an open directory. */
ssize_t gg_name_of(int fd, char *buffer, size_t size);

/* Where a path would be in the overlay: SCRATCH + tree + path, in buffer. 0, or -1 ENAMETOOLONG. */
int gg_in_scratch(char buffer[PATH_MAX], const char *tree, const char *path);
/* Make room for something new at `place` and set place->real to it. The directory above must exist for the program. */
int gg_make_room(struct gg_place *place);
/* Bring what is at `place` to the overlay, with content and mode, and set place->real to it. */
int gg_copy_up(struct gg_place *place);
/* Hide what is at `place` below the overlay. */
int gg_hide(const struct gg_place *place);
/* Make `place`, a directory for the program, exist for the kernel, and set place->real to it. */
int gg_real_directory(struct gg_place *place);
/* The same, with all the program may list in it. */
int gg_listed_directory(struct gg_place *place);

/* An undeclared path exists: report it. 0 if it may be used all the same, or -1 ENOENT. */
int gg_undeclared(const struct gg_place *place);
/* An undeclared path was asked for and is not there; errno is kept. */
void gg_missed(const struct gg_place *place);
/* Flags WATCH and ALIEN: this path is about to be asked for. */
void gg_watch(const struct gg_place *place);
/* The path is asked for, and GG_ABSENT. Returns -1 with ENOENT. */
int gg_refuse_absent(const struct gg_place *place);

/* The place where the kernel finds the file at `path`, for questions about its file system or attributes. 0, or -1 with errno. */
int gg_asked(const char *path, enum gg_follow follow, struct gg_place *p);

/* The same as the C library's, for the rest of the path map. */
int gg_open(int dir, const char *path, int flags, mode_t mode);
int gg_stat(int dir, const char *path, struct stat *st, int flags);
int gg_access(int dir, const char *path, int mode, int flags);

/* Note what fstat must say about a file whose bytes are elsewhere: see stat.c. */
void gg_opened(int fd, const struct gg_place *place);
void gg_dress(const struct gg_place *place, struct stat *st);
int gg_is_input(int fd);

/* The C library's own function of that name. */

#endif
