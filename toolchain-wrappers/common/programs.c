#define _GNU_SOURCE
#include "programs.h"

#include "raw.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Names between spaces. */
#define MAKES " make gmake remake ninja ninja-build samu samurai "

/* Archivers (tar and the like) are not in this list: no reader of an archive could force the placeholders in it. The shells' tests
 * ask only whether a file is empty, and no output of a modelled tool is. */
static const struct {
    const char *names;
    enum gg_sight sight;
} known[] = {
    {MAKES, GG_LOOKS},
    {" bmake pmake kati ckati n2 muon jam bjam b2 ", GG_LOOKS},
    {" test [ find ls dir readlink realpath gosu ", GG_LOOKS},
    {" sh dash bash ash rbash posh hush ksh mksh yash ", GG_LOOKS},
    {" cp install ginstall rsync chmod chown chgrp ", GG_COPIES},
    {" mv ln rm rmdir unlink link touch ", GG_NAMES},
};

static const char archivers[] = " tar gtar bsdtar star pax cpio bsdcpio zip zipsplit 7z 7za 7zr 7zz rar zoo lha arj "
                                "jar shar mksquashfs genisoimage "
                                "mkisofs xorriso xorrisofs mkfs.ext4 mke2fs mkfs.erofs mkfs.jffs2 dpkg-deb rpmbuild ";

/* Small programs that scripts start by the thousand; like those above, they are written in C. */
static const char common[] = " sed grep egrep fgrep awk mawk gawk expr cat tr cut sort uniq head tail wc echo printf "
                             "mkdir dirname basename date uname env "
                             "true false sleep tee xargs id pwd seq cmp diff perl ";

/* Programs that are many programs. */
static const char holders[] = " busybox toybox coreutils ";

static int listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list + 1; n > 0 && (at = strstr(at, name)) != NULL; at += n)
        if (at[-1] == ' ' && at[n] == ' ')
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

/* Options that make a program print or use a file's content or size. Each function takes one word of the command line. */

static int find_reads(const char *word)
{
    return listed(" -size -empty -ls -fls ", word) || prints_size(word);
}

/* --size, --sort=size, --full-time, --format=long. */
static int ls_reads(const char *word)
{
    return word[0] == '-' && (word[1] == '-' ? word[2] == 's' || word[2] == 'f' : strpbrk(word, "lsgonS") != NULL);
}

/* `install -C` compares. */
static int install_reads(const char *word)
{
    return word[0] == '-' && (word[1] == '-' ? strncmp(word, "--compare", strlen(word)) == 0 && word[2] == 'c'
                                             : strcspn(word, "C") < strcspn(word, "tmogS"));
}

/* Another machine cannot force; checksums and sizes are compared; totals are printed. */
static int rsync_reads(const char *word)
{
    if (word[0] != '-')
        return strchr(word, ':') != NULL;
    return word[1] != '-'
               ? word[1 + strspn(word + 1, "aArlptgoDHXxqWuULkKEOJSm")] != '\0'
               : !(listed(" --archive --recursive --links --perms --times --owner --group --devices --specials --acls "
                          "--xattrs --hard-links --one-file-system --quiet --whole-file --update --copy-links "
                          "--delete --mkpath --executability --relative --no-owner --no-group --no-perms ",
                          word) ||
                   strncmp(word, "--exclude", 9) == 0 || strncmp(word, "--include", 9) == 0 ||
                   strncmp(word, "--chmod=", 8) == 0);
}

/* A dashboard has sizes and packed files in it; a script, or a build in ctest's own process, may do anything. */
static int ctest_reads(const char *word)
{
    static const char *const longer[] = {"--dash", "--test-a", "--test-m", "--scr", "--add", "--extra-s", "--build-"};
    for (size_t i = 0; i < sizeof longer / sizeof longer[0]; i++)
        if (strncmp(word, longer[i], strlen(longer[i])) == 0)
            return strcmp(word, "--build-config") != 0;
    return word[0] == '-' && word[1] != '\0' && strchr("DTMSA", word[1]) != NULL;
}

static const struct {
    const char *names;
    int (*reads)(const char *word);
} told[] = {{" find ", find_reads},
            {" ls dir ", ls_reads},
            {" install ginstall ", install_reads},
            {" rsync ", rsync_reads},
            {" ctest ", ctest_reads}};

/* CMake's programs. ctest walks the build's tree, and asks of what type each file is. `cmake -E copy` and the like carry files;
 * the rest of cmake may go by a size. `at`: the program's name in its command line. */
static enum gg_sight sight_of_cmake(const char *name, const char *at, const char *end)
{
    if (strcmp(name, "ctest") == 0)
        return GG_LOOKS;
    const char *mode = at + strlen(at) + 1;
    const char *command = mode < end ? mode + strlen(mode) + 1 : end;
    return strcmp(name, "cmake") == 0 && command < end && strcmp(mode, "-E") == 0 &&
                   listed(" copy copy_directory rename remove remove_directory rm touch touch_nocreate ", command)
               ? GG_COPIES
               : GG_READS;
}

static enum gg_sight sight_of(const char *name, const char *at, const char *end)
{
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        for (const char *word = at + strlen(at) + 1; word < end && listed(told[i].names, name);
             word += strlen(word) + 1)
            if (told[i].reads(word))
                return GG_READS;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (listed(known[i].names, name))
            return known[i].sight;
    return sight_of_cmake(name, at, end);
}

static ssize_t command_line(pid_t pid, char *line, size_t size)
{
    char file[48];
    if (pid == 0)
        strcpy(file, "/proc/self/cmdline");
    else
        snprintf(file, sizeof file, "/proc/%d/cmdline", (int)pid);
    int fd = gg_raw_open(AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, line, size - 1);
    if (fd >= 0)
        close(fd);
    n = n > 0 ? n : 0;
    line[n] = '\0';
    return n;
}

/* The program's name in a command line; *at is set to where its arguments begin. Skips a program that is many programs, and its
 * options. */
static const char *name_in(const char **at, const char *end)
{
    for (int held = 0; *at < end; *at += strlen(*at) + 1) {
        const char *slash = strrchr(*at, '/');
        const char *name = slash != NULL ? slash + 1 : *at;
        if (held && name[0] == '-')
            continue;
        if (held || !listed(holders, name))
            return name[0] == '-' ? name + 1 : name; /* a login shell */
        held = 1;
    }
    return "";
}

/* Is there a place outside of the workspace among the arguments? */
static int is_told_of_outside(pid_t pid, const char *at, const char *end)
{
    const char *root = getenv("GG_ROOT");
    char file[48];
    int out = 0;
    snprintf(file, sizeof file, "/proc/%d/cwd", (int)(pid != 0 ? pid : getpid()));
    int dir = root != NULL ? gg_raw_open(AT_FDCWD, file, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (dir < 0)
        return 0;
    for (at += strlen(at) + 1; at < end && !out; at += strlen(at) + 1) {
        const char *value = at[0] != '-'              ? at
                            : strchr(at, '=') != NULL ? strchr(at, '=') + 1
                            : at[1] == 't'            ? at + 2
                                                      : "";
        out = value[0] != '\0' && gg_leads_out(root, dir, value);
    }
    close(dir);
    return out;
}

enum gg_sight gg_sight_of(pid_t pid)
{
    char line[4096];
    const char *at = line, *end = line + command_line(pid, line, sizeof line);
    enum gg_sight sight = sight_of(name_in(&at, end), at, end);
    return sight >= GG_COPIES && is_told_of_outside(pid, at, end) ? GG_READS : sight;
}

static int is_one_of(const char *list, pid_t pid)
{
    char line[4096];
    const char *at = line, *end = line + command_line(pid, line, sizeof line);
    return listed(list, name_in(&at, end));
}

int gg_is_well_known(const char *name)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (listed(known[i].names, name))
            return 1;
    return strncmp(name, "python", 6) == 0 || listed(common, name);
}

int gg_packs(void)
{
    return is_one_of(archivers, 0);
}

int gg_reads_rules(pid_t pid)
{
    return is_one_of(MAKES, pid);
}
