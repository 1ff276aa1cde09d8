/* What a process was called before it executed another program in its place: a script that ends with `exec gcc "$@"`, bash with the
 * last command of its text, nohup. Whoever has started it knows it by its own words, and acts on its status by those. The kernel
 * forgets them, so they are written into a file beside the recorder's socket, which reads it (gg/record/hearers/called.py).
 */
#ifndef GG_CALLED_H
#define GG_CALLED_H

#include <sys/types.h>

/* Write down the words of this process, `pid`, but for the first `skip`. */
void gg_note_called(const char *socket, pid_t pid, int skip);

#endif
