/* The interposer: preloaded into every process of a build that is recorded.
 *
 *   tools.c   is this path a modelled tool?
 *   exec.c    such a tool, executed by its path, becomes the shim
 *   read.c    a placeholder that is about to be read is forced first
 *   alone.c   by gg-force, where no recorder is left
 *   open.c    the ways to open one
 *   stat.c    the ways to ask for its size
 *   change.c  the ways to spoil one by its name
 *   syscall.c the same by the kernel's numbers
 *   carry.c   the ways to carry one out of the workspace
 *   spawn.c   what posix_spawn is told to do before the program starts
 *   end.c     a make that answers as a whole
 *   called.c  what a process was called that becomes another program
 *   environment.c  who is started without this library
 *   needed.c  so are the placeholders among the shared libraries of a program that is about to start
 *
 * Environment: GG_SOCKET the recorder's socket (without it the library does nothing), GG_SHIM the shim, GG_SHIMS the
 * directory of shims, GG_TOOLS the base names of tools, separated by colons, GG_DECLARED patterns of further ones: of base
 * names, or of paths if they hold a slash, GG_ROOT the workspace's directory. Under GG_BYPASS, which a tool that runs for
 * real is given, calls of tools are left alone; placeholders are forced all the same.
 *
 * GG_ROOM is the recorder's root directory (wire.h).
 *
 * The shims are not on PATH where this library is: configure steps look for their tools there, and write down what they
 * find. They are put on PATH for a statically linked program, and taken off it by the first process below that has this
 * library.
 */
#ifndef GG_RECORD_H
#define GG_RECORD_H

#include <limits.h>
#include <spawn.h>
#include <stddef.h>

#include "../common/interpose.h"
#include "../common/programs.h"

struct gg_session {
    const char *socket, *shim, *shims, *tools, *declared, *root; /* NULL where the variable is not set */
    int bypass;
};

/* As it was when the process started. */
const struct gg_session *gg_session(void);

int gg_is_tool(const char *path);

/* This process is about to execute the program at `path` in its place: the recorder shall know what it was called. */
void gg_becomes(int dir, const char *path);

/* Is it a tool because GG_DECLARED says so? */
int gg_is_declared(const char *path);

/* `path` made absolute from the descriptor `dir` or the working directory; not cleared of `.` and `..`. 0 or -1. */
int gg_absolute(int dir, const char *path, char full[PATH_MAX]);

/* Would a program add to a file that must not be made? So it is if the file's command was told that it went well, but has failed.
 * errno is ENOENT then. */
int gg_not_to_be_made(int dir, const char *path);

/* This program is about to see what is at `path` (empty: at the descriptor `dir`): the files of a directory, or whether a file is there. If outputs of calls whose
 * status was dropped are among that, and how these calls have ended is not known yet, have them end. "/" stands for all that there is.
 * 1 if the recorder was asked. */
int gg_look(int dir, const char *path);

/* This process is a make or a ninja. */
int gg_is_make(void);

/* This program, which copies files unread, has opened the placeholder `fd`. */
void gg_carry(int fd);

/* This program has opened `fd` for writing. If that is not a file of the workspace, the placeholders that it carries are forced. */
void gg_carry_to(int fd);

/* What this program may see of placeholders; below fakeroot, which notes inodes, those who copy see none. */
enum gg_sight gg_own_sight(void);

/* If `fd` holds a placeholder that this program may not see, have it forced and put the real file under the same number.
 * 0; -1 with errno EIO; 1 when another file has that name by now: open it again, GG_TRIES times at most; or GG_GONE with errno
 * ENOENT when its command has failed: without gg nobody would have come to open it, and so nobody makes it anew. */
int gg_force_open(int fd);

#define GG_GONE 2
#define GG_TRIES 100

/* After an open with `flags` gave *fd: 1 if it must be done anew, which *tries counts. If not, *fd holds no placeholder that
 * this program may not see; it is -1 with errno EIO where one could not be forced, or ENOENT where its command has failed. */
int gg_open_again(int *fd, int flags, int *tries);

/* Force the placeholder at a descriptor, whatever this program may see. If that fails, the descriptor stays as it is. */
void gg_force_held(int fd);

/* If a placeholder is at `path`, have it forced, whatever this program may see. 0, or -1 with errno EIO or ENOENT; a path that cannot
 * be opened is no trouble here. */
int gg_force_path(int dir, const char *path);

/* From here on nobody sees what this process reads: force all placeholders, and tell the recorder. */
void gg_before_unseen(void);

/* Have the compiler write the dependency file at `path`, if the recorder wrote it and this program may not read that. */
void gg_make_exact(int dir, const char *path);

/* Have the file at `path` made where no recorder answers: by gg-force. 0, or -1. */
int gg_force_alone(const char *path);

/* Does the program get less of gg's environment than others (environment.c)? Then its environment is put into `list`, with room for
 * the pointers of envp, and `bytes`, of gg_less_bytes. */
int gg_gets_less(const char *path, char *const argv[], char *const envp[]);
size_t gg_less_bytes(char *const envp[]);
char *const *gg_less(char *const envp[], char **list, char *bytes);

/* What decides how a program must be started. `sanitized`: it needs the address sanitizer, which refuses to be loaded after a
 * preloaded library unless it is told not to mind. `unreached`: no library can be preloaded into it, for it (or a script's
 * interpreter) is linked statically or of another word size; or a library would see nothing, as with Go's programs.
 * `privileged`: it runs with another user's or group's rights, and nothing reaches it. */
struct gg_program {
    int sanitized, unreached, privileged;
};

/* The same for the shared libraries that the ELF file needs and that are looked for where a build puts its own: along
 * LD_LIBRARY_PATH in envp, and the file's RPATH and RUNPATH. What it is goes to *program (NULL: a library). */
int gg_force_needed(int dir, const char *path, char *const envp[], struct gg_program *program);

/* Have the files forced that posix_spawn will open. 0, or -1 with errno EIO. *dir is the directory in which the program will
 * start, AT_FDCWD or a descriptor to close. */
int gg_before_spawn(const posix_spawn_file_actions_t *actions, int *dir);

/* stat, past our own. */
struct stat;
int gg_status(int dir, const char *path, struct stat *st);

#endif
