/* Force on read for programs that no library can be preloaded into. */
#ifndef GG_WATCH_H
#define GG_WATCH_H

/* Is the file at `path` a program that the preloaded library does not reach: linked statically, of another word size, or
 * a script of such an interpreter? */
int gg_is_unreached(const char *path);

/* Have the kernel tell a process of ours about each file that this process and its descendants open or ask the size of,
 * so that placeholders among them are forced first. Called before execve; 0, or -1 where the kernel has no such thing, or
 * the process is traced. GG_WATCHED in the environment says that it was done. */
int gg_watch(const char *socket_path);

#endif
