/* gg-place: puts made files where their placeholders stand. place.c describes requests and answers. */
#ifndef GG_PLACE_H
#define GG_PLACE_H

#include <stdint.h>
#include <sys/stat.h>

enum { PLACEHOLDER = 1, EXECUTABLE = 2, GONE = 4, EXPECTED = 8 };
enum { FIXED = 68, THUNK_SIZE = 32 };

struct item {
    uint32_t flags, index;
    uint64_t size;
    int64_t atime, mtime;
    uint32_t mode;
    const unsigned char *thunk;
    const char *path, *bytes;
};

/* The result for an item. status: 1 done, 0 the placeholder is not there, else a negative errno. */
struct answer {
    int32_t status;
    uint32_t mode;
    int64_t atime, mtime;
    uint64_t elsewhere; /* names that the placeholder still has, and that were not found below the top */
};

/* What stands at an item's path. `from`: whose owner and attributes the new file is to have; NULL for none. */
struct old {
    int there; /* whether anything stands there */
    struct stat st;
    int fd; /* of a placeholder, else -1 */
};

/* directory.c: the directory that is worked in. It gets its own times back, if nobody else has changed it meanwhile. */

/* Work in the directory of this path from now on; its descriptor (O_PATH), or -1 and errno. */
int gg_enter(const char *path);

/* The last component of a path. */
const char *gg_name(const char *path);

/* Something was put in the directory or taken from it. */
void gg_have_changed(void);

/* Work in none. */
void gg_leave(void);

/* aside.c: files that are written where nobody sees them, and put in their places in one step. */

/* `path`: a name that nobody else uses, in a directory where files may be left meanwhile. */
void gg_aside_begin(const char *path);

/* Remove the file that is kept to be used again. */
void gg_aside_drop(void);

/* Remove all that is ours. */
void gg_aside_end(void);

/* Put a file with the item's bytes in the place of what stands there. 1 done, 0 something else stands there now, -1 and
 * errno. The new file's inode goes to `made`. */
int gg_put_file(const struct item *item, const struct answer *as, const struct old *old, struct stat *made);

/* The same with one more name of the file that is open as `fd`. */
int gg_put_name(const char *path, int fd, const struct stat *old);

/* links.c: names that lead to one placeholder lead to one real file afterwards. */

/* Names are looked for below this directory. */
void gg_links_begin(const char *below);

/* One more name, if a file was put in the place of another of this placeholder's names. 1 done, 0 there is none (or it
 * cannot be linked to), -1 and errno. */
int gg_link_placed(const struct item *item, const struct old *old);

/* A file was put in the placeholder's place. Closes old->fd, now or later. */
void gg_note_placed(const struct item *item, struct answer *as, struct old *old, const struct stat *made);

/* Let the names below the top that are left lead to the real files; tell of those that are elsewhere. Forgets all. */
void gg_link_rest(void);

#endif
