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

/* Is this the name of a program that is known to use the C library for everything that it does with files? */
int gg_is_well_known(const char *name);

/* Is the file behind `fd` outside of the directory `root`, or on another mount? */
int gg_is_outside(const char *root, int fd);

/* The same for a file or directory that has this name, or will have it, seen from the descriptor `dir`. */
int gg_leads_out(const char *root, int dir, const char *path);

/* Is this process an archiver, which notes the times of directories before it reads the files in them? */
int gg_packs(void);

/* May the process `pid` (0: this one) read a dependency file as the recorder wrote it? Make and the like may. */
int gg_reads_rules(pid_t pid);

#endif
