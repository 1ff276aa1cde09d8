/* gg-find DIRECTORY [WITHOUT...]: lists the placeholders below. `gg/host/placeholders.py` starts it and goes on meanwhile.
 *
 * `.gg` and `.git` are not entered, nor are symbolic links and the directories WITHOUT, which are paths as we come to them.
 * A directory that cannot be read holds nothing to force: it is being removed, or not ours. On standard output, little-endian:
 *
 *   u32  how many
 *   for each: 32 bytes, the thunk; u32, the output's index
 *   for each: the path, NUL
 */
#define _GNU_SOURCE
#include "../common/placeholder.h"
#include "../common/wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { THUNK_SIZE = 32, FOUND_SIZE = THUNK_SIZE + 4 };

struct text {
    char *bytes;
    size_t size, room;
};

static struct text founds, paths, directories; /* directories: those still to be looked through, NUL after each */
static char **without;                         /* NULL after the last */

static void need(struct text *text, size_t more)
{
    if (text->size + more <= text->room)
        return;
    text->room = 2 * (text->size + more) + 4096;
    text->bytes = realloc(text->bytes, text->room);
    if (text->bytes == NULL)
        _exit(71);
}

static void add(struct text *text, const void *bytes, size_t size)
{
    need(text, size);
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
}

static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* Note the placeholder with these bytes; 0 when its index is no number. */
static int note(const char *bytes)
{
    unsigned char found[FOUND_SIZE];
    uint32_t index = 0;
    for (int i = 0; i < THUNK_SIZE; i++) {
        const char *pair = bytes + GG_PLACEHOLDER_THUNK_AT + 2 * i;
        found[i] = (unsigned char)(digit(pair[0]) << 4 | digit(pair[1]));
    }
    for (int i = 0; i < 5; i++) {
        char c = bytes[GG_PLACEHOLDER_INDEX_AT + i];
        if (c < '0' || c > '9')
            return 0;
        index = index * 10 + (uint32_t)(c - '0');
    }
    memcpy(found + THUNK_SIZE, &index, sizeof index);
    add(&founds, found, sizeof found);
    return 1;
}

static int is_placeholder(int directory, const char *name)
{
    char bytes[GG_PLACEHOLDER_SIZE + 1];
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, bytes, sizeof bytes);
    close(fd);
    return got == GG_PLACEHOLDER_SIZE && gg_is_placeholder(bytes) && note(bytes);
}

static void add_path(struct text *to, const char *directory, const char *name)
{
    add(to, directory, strlen(directory));
    add(to, "/", 1);
    add(to, name, strlen(name) + 1);
}

static void look_at(int fd, const char *directory, const struct dirent *entry)
{
    const char *name = entry->d_name;
    struct stat st = {.st_mode = entry->d_type == DT_DIR ? S_IFDIR : 0};
    if (entry->d_type != DT_REG && entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)
        return;
    if (entry->d_type != DT_DIR && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    if (S_ISDIR(st.st_mode)) {
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, ".gg") != 0 && strcmp(name, ".git") != 0)
            add_path(&directories, directory, name);
    } else if (S_ISREG(st.st_mode) && st.st_size == GG_PLACEHOLDER_SIZE && is_placeholder(fd, name)) {
        add_path(&paths, directory, name);
    }
}

static int is_left_out(const char *directory)
{
    for (char **each = without; *each != NULL; each++)
        if (strcmp(*each, directory) == 0)
            return 1;
    return 0;
}

static void look_through(const char *directory)
{
    DIR *entries = is_left_out(directory) ? NULL : opendir(*directory ? directory : "/");
    const struct dirent *entry;
    if (entries == NULL)
        return;
    while ((entry = readdir(entries)) != NULL)
        look_at(dirfd(entries), directory, entry);
    closedir(entries);
}

/* Take the last of the directories off the list; NULL when there is none. The caller frees it. */
static char *next_directory(void)
{
    if (directories.size == 0)
        return NULL;
    size_t start = directories.size - 1;
    while (start > 0 && directories.bytes[start - 1] != 0)
        start--;
    directories.size = start;
    char *copy = strdup(directories.bytes + start);
    if (copy == NULL)
        _exit(71);
    return copy;
}

int main(int argc, char **argv)
{
    char *directory;
    if (argc < 2)
        return 64;
    without = argv + 2;
    add(&directories, strcmp(argv[1], "/") == 0 ? "" : argv[1], strcmp(argv[1], "/") == 0 ? 1 : strlen(argv[1]) + 1);
    while ((directory = next_directory()) != NULL) {
        look_through(directory);
        free(directory);
    }
    uint32_t count = (uint32_t)(founds.size / FOUND_SIZE);
    return gg_write_all(STDOUT_FILENO, &count, sizeof count) != 0 ||
           gg_write_all(STDOUT_FILENO, founds.bytes, founds.size) != 0 ||
           gg_write_all(STDOUT_FILENO, paths.bytes, paths.size) != 0;
}
