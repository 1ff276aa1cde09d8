/* The interposer: preloaded into every process of a build that is recorded.
 *
 *   tools.c   is this path a modelled tool?
 *   exec.c    such a tool, executed by its path, becomes the shim
 *   read.c    a placeholder that is about to be read is forced first
 *   stat.c    for archivers, when they ask for its size
 *   needed.c  so are the placeholders among the shared libraries of a program that is about to start
 *
 * Environment: GG_SOCKET the recorder's socket (without it the library does nothing), GG_SHIM the shim, GG_SHIMS the
 * directory of shims, GG_TOOLS base names of tools separated by colons (default: the list in tools.c), GG_DECLARED
 * patterns of further ones: of base names, or of paths if they hold a slash. Under GG_BYPASS, which a tool that runs for
 * real is given, calls of tools are left alone; placeholders are forced all the
 * same.
 *
 * The shims are not on PATH where this library is: configure steps look for their tools there, and write down what they
 * find. They are put on PATH for a statically linked program, and taken off it by the first process below that has this
 * library.
 */
#ifndef GG_RECORD_H
#define GG_RECORD_H

#include <limits.h>
#include <stddef.h>

#define GG_EXPORT __attribute__((visibility("default")))
#define GG_ALIAS(of) __attribute__((visibility("default"), alias(of)))

struct gg_session {
    const char *socket, *shim, *shims, *tools, *declared; /* NULL where the variable is not set */
    int bypass;
};

/* As it was when the process started. */
const struct gg_session *gg_session(void);

int gg_is_tool(const char *path);

/* Is it a tool because GG_DECLARED says so? */
int gg_is_declared(const char *path);

/* `path` made absolute from the descriptor `dir` or the working directory; not cleared of `.` and `..`. 0 or -1. */
int gg_absolute(int dir, const char *path, char full[PATH_MAX]);

/* If `fd` holds a placeholder, have it forced and put the real file under the same number. 0, or -1 with errno EIO. */
int gg_force_open(int fd);

/* The same for a path that is about to be executed or loaded; a path that cannot be opened is no trouble here. */
int gg_force_path(int dir, const char *path);

/* Has this process opened a module that packs files by the size that stat tells: Python's tarfile? */
extern int gg_loads_archiver;

/* Is fakeroot at work in this program, and may be told of a file's inode? */
int gg_under_fakeroot(void);

/* What decides how a program must be started: it needs the address sanitizer, which refuses to come second after a
 * preloaded library unless it is told not to mind; no library can be preloaded into it, for it is linked statically (a
 * script: its interpreter) or of another word size, or one would see nothing, as with Go's programs. */
struct gg_program {
    int sanitized, unreached;
};

/* The same for the shared libraries that the ELF file needs and that are looked for where a build puts its own: along
 * LD_LIBRARY_PATH in envp, and the file's RPATH and RUNPATH. What it is goes to *program (NULL: a library). */
int gg_force_needed(int dir, const char *path, char *const envp[], struct gg_program *program);

void *gg_next(const char *name);

#endif
