#define _GNU_SOURCE
#include "programs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not tar and its like: what they write is read by nobody who could force what is in it. */
static const char *const movers[] = {"cp",    "mv",    "ln",    "install", "ginstall", "rm",
                                     "touch", "rsync", "chmod", "chown",   "chgrp",    NULL};

static const char *const archivers[] = {
    "tar",     "gtar",    "bsdtar",      "star",            "pax",           "cpio",          "bsdcpio",
    "zip",     "zipsplit", "7z",         "7za",             "7zr",           "7zz",           "rar",
    "zoo",     "lha",     "arj",         "jar",             "shar",          "mksquashfs",    "genisoimage",
    "mkisofs", "xorriso", "xorrisofs",   "mkfs.ext4",       "mke2fs",        "mkfs.erofs",    "mkfs.jffs2",
    "dpkg-deb", "rpmbuild", NULL};

static const char *const sizers[] = {"stat",            "du",                "truncate", "vdir", "dpkg-gencontrol",
                                     "dpkg-genchanges", "dpkg-genbuildinfo", NULL};

/* They look at names and times. In others that nobody can see into, what asks for a size may well go by it. */
static const char *const lookers[] = {"make", "gmake", "remake", "ninja", "samu", "samurai", "muon",  "n2",  "kati",
                                      "tup",  "redo",  "test",   "[",     "find", "ls",      "touch", "cmp", NULL};

static const char *const holders[] = {"busybox", "toybox", "coreutils", "sh",     "dash", "bash", "perl",
                                      "python",  "python3", "ruby",     "gosu",   NULL};

static int listed(const char *const list[], const char *name)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, name) == 0)
            return 1;
    return 0;
}

/* Does a format of find's -printf have a size in it? */
static int prints_size(const char *format)
{
    while ((format = strchr(format, '%')) != NULL) {
        format += 1 + strspn(format + 1, "-+ #0123456789.");
        if (*format != '\0' && strchr("bkSs", *format++) != NULL)
            return 1;
    }
    return 0;
}

static int find_tells_size(const char *word)
{
    static const char *const tests[] = {"-size", "-empty", "-ls", "-fls", NULL};
    return listed(tests, word) || prints_size(word);
}

static int ls_tells_size(const char *word)
{
    static const char *const options[] = {"--size", "--full-time", "--sort=size", "--format=long", "--format=verbose", NULL};
    return word[0] == '-' && (word[1] == '-' ? listed(options, word) : strpbrk(word, "lsgonS") != NULL);
}

/* Do the options of `ls` or `find`, up to `end`, have it tell what size files have? */
static int is_told_to_size(const char *name, const char *at, const char *end)
{
    int (*tells)(const char *) = strcmp(name, "find") == 0 ? find_tells_size
                                 : strcmp(name, "ls") == 0 || strcmp(name, "dir") == 0 ? ls_tells_size
                                                                                       : NULL;
    for (at += strlen(at) + 1; tells != NULL && at < end; at += strlen(at) + 1)
        if (tells(at))
            return 1;
    return 0;
}

static ssize_t command_line(pid_t pid, char *line, size_t size)
{
    char file[48];
    if (pid == 0)
        strcpy(file, "/proc/self/cmdline");
    else
        snprintf(file, sizeof file, "/proc/%d/cmdline", (int)pid);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, line, size - 1);
    if (fd >= 0)
        close(fd);
    n = n > 0 ? n : 0;
    line[n] = '\0';
    return n;
}

int gg_has_habit(pid_t pid, enum gg_habit habit)
{
    char line[4096];
    const char *const *list = habit == GG_MOVES ? movers : habit == GG_LOOKS ? lookers : archivers;
    const char *end = line + command_line(pid, line, sizeof line);
    int held = 0;
    for (const char *at = line; at < end; at += strlen(at) + 1) {
        if (held && at[0] == '-')
            continue;
        const char *slash = strrchr(at, '/');
        const char *name = slash != NULL ? slash + 1 : at;
        if (listed(list, name) ||
            (habit == GG_SIZES && (listed(sizers, name) || is_told_to_size(name, at, end))))
            return 1;
        if (held || !listed(holders, name))
            break;
        held = 1;
    }
    return held && habit == GG_LOOKS;
}
