/* A root that can be written, where nix's sandbox has one that cannot.
 *
 * nix that builds as users of its own makes the sandbox's root for the super-user, and nix 2.26 lets nobody write /etc. In user and
 * mount namespaces of its own a process can have another root: a new directory in the build directory, in which everything of the
 * old root is seen at its place. What is mounted there is mounted here too, and so is /nix; the few other files of a sandbox, as
 * those of /etc, are copied, so that their directories can be written.
 */
#define _GNU_SOURCE
#include "lay.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static const char *const whole[] = {"/nix", "/proc", "/dev"};

/* The text of /proc/self/mountinfo before anything is mounted here. */
static char *mounts;

static char *read_text(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL || getdelim(&text, &size, '\0', file) < 0)
        fail("%s", path);
    fclose(file);
    return text;
}

/* Whether a word of mountinfo, in which blanks and the like are written as \ooo, is this path. */
static int is_path(const char *word, const char *path)
{
    for (; *path != '\0'; path++) {
        int value = (unsigned char)*word++;
        if (value == '\\') {
            value = (word[0] - '0') * 64 + (word[1] - '0') * 8 + (word[2] - '0');
            word += 3;
        }
        if (value != (unsigned char)*path)
            return 0;
    }
    return *word == ' ';
}

static int is_mounted(const char *path)
{
    for (const char *line = mounts; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
        const char *word = line;
        for (int i = 0; i < 4 && word != NULL; i++)
            word = strchr(word, ' '), word += word != NULL;
        if (word != NULL && is_path(word, path))
            return 1;
    }
    return 0;
}

static int is_whole(const char *path)
{
    const char *build = getenv("NIX_BUILD_TOP");
    if (build != NULL && strcmp(path, build) == 0)
        return 1;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (strcmp(path, whole[i]) == 0)
            return 1;
    return is_mounted(path);
}

/* Mount what is at `from` at `to`, with all that is mounted below it. */
static void mount_whole(const char *from, const char *to, const struct stat *st)
{
    int file = S_ISDIR(st->st_mode) ? mkdir(to, 0755) : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0 || mount(from, to, NULL, MS_BIND | MS_REC, NULL) != 0)
        fail("cannot show %s at %s", from, to);
    if (!S_ISDIR(st->st_mode))
        close(file);
}

static void show_link(const char *from, const char *to)
{
    char target[4096];
    ssize_t size = readlink(from, target, sizeof target - 1);
    if (size < 0)
        fail("%s", from);
    target[size] = '\0';
    if (symlink(target, to) != 0)
        fail("%s", to);
}

static void show_below(const char *from, const char *to);

/* Have what is at `from` at `to`. */
static void show(const char *from, const char *to)
{
    struct stat st;
    if (lstat(from, &st) != 0)
        fail("%s", from);
    if (S_ISLNK(st.st_mode)) {
        show_link(from, to);
    } else if (is_whole(from) || access(from, R_OK) != 0 || !(S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))) {
        mount_whole(from, to, &st);
    } else if (S_ISREG(st.st_mode)) {
        copy_file(from, to, st.st_mode & 0777);
    } else {
        if (mkdir(to, 0700) != 0)
            fail("%s", to);
        show_below(from, to);
        chmod(to, (st.st_mode & 07777) | S_IRWXU);
    }
}

/* Have everything in the directory `from` at its place in `to`, which is there. */
static void show_below(const char *from, const char *to)
{
    struct dirent **entries;
    int count = scandir(from, &entries, is_listed, alphasort);
    if (count < 0)
        fail("%s", from);
    for (int i = 0; i < count; i++) {
        char *source = joined(strcmp(from, "/") == 0 ? "" : from, entries[i]->d_name);
        char *place = joined(to, entries[i]->d_name);
        show(source, place);
        free(source);
        free(place);
        free(entries[i]);
    }
    free(entries);
}

static void write_text(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, text, strlen(text)) != (ssize_t)strlen(text))
        fail("the root of nix's sandbox cannot be written, and user namespaces are refused: %s", path);
    close(file);
}

/* User and group keep their numbers. */
static void enter_namespaces(void)
{
    unsigned long user = geteuid(), group = getegid();
    char map[64];
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        fail("the root of nix's sandbox cannot be written, and user namespaces are refused");
    write_text("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "%lu %lu 1", user, user);
    write_text("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "%lu %lu 1", group, group);
    write_text("/proc/self/gid_map", map);
}

void need_own_root(void)
{
    const char *build = getenv("NIX_BUILD_TOP");
    if (access("/", W_OK) == 0 && (access("/etc", W_OK) == 0 || errno == ENOENT))
        return;
    errno = ENOENT;
    if (build == NULL)
        fail("NIX_BUILD_TOP is not set");
    mounts = read_text("/proc/self/mountinfo");
    enter_namespaces();
    char *root = joined(build, ".gg-root");
    if (mkdir(root, 0755) != 0)
        fail("%s", root);
    show_below("/", root);
    if (chroot(root) != 0 || chdir("/") != 0)
        fail("%s", root);
    free(root);
}
