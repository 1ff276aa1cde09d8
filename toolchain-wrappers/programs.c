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

static const char *const sizers[] = {"stat",            "du",                "truncate", "dpkg-gencontrol",
                                     "dpkg-genchanges", "dpkg-genbuildinfo", NULL};

static const char *const holders[] = {"busybox", "toybox", "coreutils", "sh",     "dash", "bash", "perl",
                                      "python",  "python3", "ruby",     "gosu",   NULL};

static int listed(const char *const list[], const char *name)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, name) == 0)
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
    char line[1024];
    const char *const *list = habit == GG_MOVES ? movers : archivers;
    const char *end = line + command_line(pid, line, sizeof line);
    int held = 0;
    for (const char *at = line; at < end; at += strlen(at) + 1) {
        if (held && at[0] == '-')
            continue;
        const char *slash = strrchr(at, '/');
        const char *name = slash != NULL ? slash + 1 : at;
        if (listed(list, name) || (habit == GG_SIZES && listed(sizers, name)))
            return 1;
        if (held || !listed(holders, name))
            break;
        held = 1;
    }
    return 0;
}
