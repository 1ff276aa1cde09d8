/* Placeholders with several names (`ln a.o b.o`), each of which is to lead to one real file.
 *
 * A placeholder is known by its device and inode only as long as we have it open: then no other file can be given the
 * number. The names that are asked for come one after the other, for they are of one thunk; what is left is looked for
 * below the top, once for all of a batch. What then still has a name has it where nobody looks.
 */
#define _GNU_SOURCE
#include "place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4352, MANY = 200 };

struct linked {
    dev_t device;
    ino_t inode;
    int fd;   /* the placeholder */
    int real; /* what took its place, O_PATH */
    struct answer *answer;
};

static struct linked all[MANY];
static const char *top;
static int count, settled; /* those before `settled` have names that were not asked for yet */
static unsigned char thunk[THUNK_SIZE];

void gg_links_begin(const char *below)
{
    top = below;
}

static void forget(struct linked *linked)
{
    close(linked->fd);
    close(linked->real);
}

/* Of the thunk that was worked on, keep the placeholders that have names left. */
static void settle(void)
{
    struct stat st;
    int kept = settled;
    for (int i = settled; i < count; i++) {
        if (fstat(all[i].fd, &st) == 0 && st.st_nlink > 0)
            all[kept++] = all[i];
        else
            forget(&all[i]);
    }
    count = settled = kept;
}

static struct linked *find(const struct stat *st)
{
    for (int i = 0; i < count; i++)
        if (all[i].inode == st->st_ino && all[i].device == st->st_dev)
            return &all[i];
    return NULL;
}

int gg_link_placed(const struct item *item, const struct old *old)
{
    if (count == 0 || old->fd < 0)
        return 0;
    const struct linked *linked = find(&old->st);
    int done = linked != NULL ? gg_put_name(item->path, linked->real, &old->st) : 0;
    return done < 0 ? 0 : done;
}

void gg_note_placed(const struct item *item, struct answer *as, struct old *old, const struct stat *made)
{
    struct stat st;
    int kept_aside = old->st.st_nlink == 1;
    if (old->fd < 0 || fstat(old->fd, &st) != 0 || st.st_nlink <= (nlink_t)kept_aside)
        return;
    if (memcmp(thunk, item->thunk, THUNK_SIZE) != 0) {
        settle();
        memcpy(thunk, item->thunk, THUNK_SIZE);
    }
    struct linked linked = {st.st_dev, st.st_ino, old->fd, -1, as};
    linked.real = openat(gg_enter(item->path), gg_name(item->path), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (count == MANY)
        gg_link_rest();
    if (linked.real < 0 || fstat(linked.real, &st) != 0 || st.st_ino != made->st_ino || st.st_dev != made->st_dev) {
        if (linked.real >= 0)
            close(linked.real);
        return;
    }
    all[count++] = linked;
    old->fd = -1;
}

/* The names below the top */

static struct linked *find_entry(int dir, const struct dirent *entry, struct stat *st)
{
    for (int i = 0; i < count; i++)
        if (all[i].inode == entry->d_ino && fstatat(dir, entry->d_name, st, AT_SYMLINK_NOFOLLOW) == 0)
            return find(st);
    return NULL;
}

static int is_directory(int dir, const struct dirent *entry)
{
    struct stat st;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        return 0;
    return entry->d_type == DT_DIR ||
           (entry->d_type == DT_UNKNOWN && fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(st.st_mode));
}

static void look_through(char path[PATH_SIZE])
{
    size_t size = strlen(path);
    DIR *entries = opendir(path);
    const struct dirent *entry;
    struct stat st;
    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        const struct linked *linked = find_entry(dirfd(entries), entry, &st);
        int below = linked == NULL && is_directory(dirfd(entries), entry);
        if ((linked == NULL && !below) || size + strlen(entry->d_name) + 2 > PATH_SIZE)
            continue;
        snprintf(path + size, PATH_SIZE - size, "/%s", entry->d_name);
        if (below)
            look_through(path);
        else
            gg_put_name(path, linked->real, &st);
        path[size] = '\0';
    }
    if (entries != NULL)
        closedir(entries);
}

void gg_link_rest(void)
{
    char path[PATH_SIZE];
    struct stat st;
    settle();
    if (count == 0)
        return;
    gg_aside_drop();
    if (snprintf(path, sizeof path, "%s", top) < PATH_SIZE)
        look_through(path);
    for (int i = 0; i < count; i++) {
        if (fstat(all[i].fd, &st) == 0)
            all[i].answer->elsewhere = st.st_nlink;
        forget(&all[i]);
    }
    count = settled = 0;
}
