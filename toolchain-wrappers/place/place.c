/* gg-place ASIDE TOP: puts made files where their placeholders stand. `gg/force/placing.py` starts it, writes the items to its
 * standard input, and reads the results from its standard output. It is a process so that it works while Python does.
 *
 *   directory.c  the directory that is worked in, and its times
 *   aside.c      how a file is written where nobody sees it, and gets its place in one step
 *   links.c      how the names of one placeholder become those of one file
 *
 * A request is u32 how many items, u32 how many bytes they have, and the items; all is little-endian, not aligned:
 *
 *    0  u32  flags: 1 PLACEHOLDER  only where the named placeholder stands, whose times and mode are kept; its owner
 *                                  and its attributes (capabilities, access lists) as far as we have the right to
 *                   2 EXECUTABLE   who may read it may execute it, or who already might (else: nobody may)
 *                   4 GONE         there is no file: the placeholder is removed
 *                   8 EXPECTED     the placeholder was made executable: if it is not so now, or is so without this flag,
 *                                  someone has changed its mode, which then is the file's, whatever EXECUTABLE says
 *    4  u32  index of the output, of the placeholder
 *    8  u64  size in bytes
 *   16  i64  access time, nanoseconds since the epoch      | without PLACEHOLDER
 *   24  i64  modification time                             |
 *   32  u32  permissions                                   |
 *   36  32 bytes: the thunk, of the placeholder
 *   68  the path, NUL, the file that has the bytes, NUL
 *
 * The answer: u32 how many were tried, and a `struct answer` for each. It stops at the first that fails.
 */
#define _GNU_SOURCE
#include "place.h"

#include "../common/placeholder.h"
#include "../common/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *take_item(const char *at, struct item *item)
{
    memcpy(&item->flags, at, 4);
    memcpy(&item->index, at + 4, 4);
    memcpy(&item->size, at + 8, 8);
    memcpy(&item->atime, at + 16, 8);
    memcpy(&item->mtime, at + 24, 8);
    memcpy(&item->mode, at + 32, 4);
    item->thunk = (const unsigned char *)at + 36;
    item->path = at + FIXED;
    item->bytes = item->path + strlen(item->path) + 1;
    return item->bytes + strlen(item->bytes) + 1;
}

/* What stands at the path */

static int names(const char *placeholder, const struct item *item)
{
    static const char digits[] = "0123456789abcdef";
    char number[16];
    for (int i = 0; i < THUNK_SIZE; i++) {
        const char *pair = placeholder + GG_PLACEHOLDER_THUNK_AT + 2 * i;
        if (pair[0] != digits[item->thunk[i] >> 4] || pair[1] != digits[item->thunk[i] & 15])
            return 0;
    }
    snprintf(number, sizeof number, "%05u", item->index);
    return memcmp(placeholder + GG_PLACEHOLDER_INDEX_AT, number, 5) == 0;
}

/* Is it the item's placeholder that stands there? */
static int stands(const struct item *item, const struct old *old)
{
    char bytes[GG_PLACEHOLDER_SIZE + 1];
    return old->fd >= 0 && S_ISREG(old->st.st_mode) && old->st.st_size == GG_PLACEHOLDER_SIZE &&
           pread(old->fd, bytes, sizeof bytes, 0) == GG_PLACEHOLDER_SIZE && gg_is_placeholder(bytes) &&
           names(bytes, item);
}

/* A link is no placeholder, whatever it leads to: somebody has put it there. */
static void look(const struct item *item, struct old *old)
{
    int dir = gg_enter(item->path);
    const char *name = gg_name(item->path);
    old->fd = dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    old->there = old->fd >= 0 ? fstat(old->fd, &old->st) == 0
                              : dir >= 0 && fstatat(dir, name, &old->st, AT_SYMLINK_NOFOLLOW) == 0;
    if (old->there && S_ISDIR(old->st.st_mode))
        old->there = 0; /* rename refuses */
}

static int remove_it(const struct item *item)
{
    int done = unlinkat(gg_enter(item->path), gg_name(item->path), 0) == 0 || errno == ENOENT;
    if (done)
        gg_have_changed();
    return done ? 1 : -1;
}

static int put_over(const struct item *item, struct answer *as, struct old *old)
{
    struct stat made;
    *as = (struct answer){.mode = item->mode, .atime = item->atime, .mtime = item->mtime};
    if (item->flags & PLACEHOLDER) {
        if (!stands(item, old))
            return 0;
        as->mode = old->st.st_mode & 07777;
        as->atime = old->st.st_atim.tv_sec * INT64_C(1000000000) + old->st.st_atim.tv_nsec;
        as->mtime = old->st.st_mtim.tv_sec * INT64_C(1000000000) + old->st.st_mtim.tv_nsec;
    }
    if (item->flags & GONE)
        return remove_it(item);
    int done = gg_link_placed(item, old);
    if (done != 0)
        return done;
    done = gg_put_file(item, as, old, &made);
    if (done == 1)
        gg_note_placed(item, as, old, &made);
    return done;
}

static int put(const struct item *item, struct answer *as)
{
    struct old old;
    look(item, &old);
    int done = put_over(item, as, &old);
    int error = errno;
    if (old.fd >= 0)
        close(old.fd);
    errno = error;
    return done;
}

/* Do `count` items. Stops at the first that fails; gives how many were tried. */
static uint32_t place(const char *items, uint32_t count, struct answer *answers)
{
    uint32_t tried = 0;
    int done = 1;
    while (tried < count && done >= 0) {
        struct item item;
        items = take_item(items, &item);
        done = put(&item, &answers[tried]);
        answers[tried++].status = done < 0 ? -errno : done;
    }
    gg_link_rest();
    gg_leave();
    return tried;
}

/* Requests */

static int take(void *to, size_t size)
{
    for (char *at = to; size > 0;) {
        ssize_t n = read(STDIN_FILENO, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

/* One request; -1 when there is no further one, or nobody to answer. */
static int serve(void)
{
    uint32_t head[2];
    if (take(head, sizeof head) != 0)
        return -1;
    char *items = malloc(head[1] + 1);
    struct answer *answers = malloc((head[0] + 1) * sizeof *answers);
    int failed = items == NULL || answers == NULL || take(items, head[1]) != 0;
    if (!failed) {
        uint32_t tried = place(items, head[0], answers);
        failed = gg_write_all(STDOUT_FILENO, &tried, sizeof tried) != 0 ||
                 gg_write_all(STDOUT_FILENO, answers, tried * sizeof *answers) != 0;
    }
    free(items);
    free(answers);
    return failed ? -1 : 0;
}

/* It ends when its input does, and ignores signals from the terminal: the process that started it decides what they mean. */
int main(int argc, char **argv)
{
    if (argc != 3)
        return 64;
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    gg_aside_begin(argv[1]);
    gg_links_begin(argv[2]);
    while (serve() == 0)
        ;
    gg_aside_end();
    return 0;
}
