/* The interposer: preloaded into every process of a build that is recorded.
 *
 *   tools.c   is this path a modelled tool?
 *   exec.c    such a tool, executed by its path, becomes the shim
 *   read.c    a placeholder that is about to be read is forced first
 *   needed.c  so are the placeholders among the shared libraries of a program that is about to start
 *
 * Environment: GG_SOCKET the recorder's socket (without it the library does nothing), GG_SHIM the shim, GG_SHIMS the
 * directory of names on PATH, GG_TOOLS base names of tools separated by colons (default: the list in tools.c). Under
 * GG_BYPASS, which a tool that runs for real is given, calls of tools are left alone; placeholders are forced all the
 * same.
 */
#ifndef GG_RECORD_H
#define GG_RECORD_H

#include <limits.h>
#include <stddef.h>

#define GG_EXPORT __attribute__((visibility("default")))
#define GG_ALIAS(of) __attribute__((visibility("default"), alias(of)))

struct gg_session {
    const char *socket, *shim, *shims, *tools; /* NULL where the variable is not set */
    int bypass;
};

/* As it was when the process started. */
const struct gg_session *gg_session(void);

int gg_is_tool(const char *path);

/* `path` made absolute from the descriptor `dir` or the working directory; not cleared of `.` and `..`. 0 or -1. */
int gg_absolute(int dir, const char *path, char full[PATH_MAX]);

/* If `fd` holds a placeholder, have it forced and put the real file under the same number. 0, or -1 with errno EIO. */
int gg_force_open(int fd);

/* The same for a path that is about to be executed or loaded; a path that cannot be opened is no trouble here. */
int gg_force_path(int dir, const char *path);

/* The same for the shared libraries that the ELF file needs and that are looked for where a build puts its own: along
 * LD_LIBRARY_PATH in envp, and the file's RPATH and RUNPATH. *sanitized is set if the file needs the address sanitizer,
 * which refuses to start behind a preloaded library unless it is told not to mind. */
int gg_force_needed(int dir, const char *path, char *const envp[], int *sanitized);

void *gg_next(const char *name);

#endif
