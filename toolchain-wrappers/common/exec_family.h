/* The many functions that execute a program, reduced to two, which each preloaded library provides. */
#ifndef GG_EXEC_FAMILY_H
#define GG_EXEC_FAMILY_H

#include <spawn.h>
#include <stddef.h>
#include <sys/types.h>

/* As execveat: does not return, or returns -1 with errno. */
int gg_exec(int dir, const char *path, char *const argv[], char *const envp[], int flags);

/* Who starts a process: posix_spawn, or pidfd_spawn (glibc 2.39), which writes a descriptor and not a process's number. */
enum gg_spawner { GG_POSIX_SPAWN, GG_PIDFD_SPAWN };

/* As `by`, with a path that is not searched for: 0 or an error number. */
int gg_spawn(enum gg_spawner by, int *started, const char *path, const posix_spawn_file_actions_t *actions,
             const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]);

/* What the C library has of `by`: 0 or an error number, ENOSYS if it has none. */
int gg_next_spawn(enum gg_spawner by, int *started, const char *path, const posix_spawn_file_actions_t *actions,
                  const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]);

/* Is `path` a file that a search along PATH would take? */
int gg_can_execute(const char *path);

/* Environment variables that must reach every process below us, even where a program gives its children an environment
 * of its own (env -i, or a build tool that is tidy). */
struct gg_kept {
    const char *name; /* with its "=" */
    const char *value;
};

/* Remember the value of each name as it is now; a list ends with a NULL name. Values are copied. */
void gg_remember(struct gg_kept kept[]);

/* How many pointers and bytes gg_keep needs at most. */
size_t gg_keep_pointers(char *const envp[], const struct gg_kept kept[]);
size_t gg_keep_bytes(char *const envp[], const struct gg_kept kept[]);

/* `envp` with the missing variables put back: in `list` and `bytes`, or `envp` itself when none is missing. LD_PRELOAD is
 * put in front of what the new environment preloads. */
char *const *gg_keep(char *const envp[], const struct gg_kept kept[], char **list, char *bytes);

#endif
