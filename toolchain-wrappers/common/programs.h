/* Who may see a placeholder: the one rule.
 *
 * A program that is not listed in programs.c sees no placeholder: before it learns a file's size, or opens the file, gg makes
 * the real file. Listed programs use names and times only, or carry files without reading them. Some options make readers of
 * them (`ls -l`, `find -size`, `install -C`). A program that was given a path outside of the workspace carries no placeholder.
 * Both ways of watching a program ask here: the preloaded library (record/) and the kernel's notification (shim/watch.c).
 */
#ifndef GG_PROGRAMS_H
#define GG_PROGRAMS_H

#include <sys/types.h>

enum gg_sight {
    GG_READS,  /* sees real files only: whatever is not listed */
    GG_LOOKS,  /* sees a placeholder when it asks for a file's status; what it opens is real */
    GG_COPIES, /* opens placeholders too, and carries them about unread. Not below fakeroot, which notes inodes */
    GG_NAMES   /* the same, and no inode matters to it */
};

/* What the program of process `pid` (0: this one) may see. The name by which it was called decides; for a program that is
 * many programs (busybox), its first operand does. */
enum gg_sight gg_sight_of(pid_t pid);

/* Is a program of this name one of those that are known to ask the C library for all that they do with files? */
int gg_is_well_known(const char *name);

/* Is the file behind `fd` outside of the directory `root`, or on another mount? */
int gg_is_outside(const char *root, int fd);

/* The same of a file or directory that has this name or is to have it, from the descriptor `dir`. */
int gg_leads_out(const char *root, int dir, const char *path);

/* Is this process an archiver, which notes the times of directories before it reads what is in them? */
int gg_packs(void);

/* Is the process `pid` (0: this one) one that may read a dependency file as the recorder left it: make, or the like? */
int gg_reads_rules(pid_t pid);

#endif
