/* For when no recorder answers: gg-infer was killed, or has ended before processes of its command. Then tools run as if gg were
 * not there, and gg-force makes the placeholders that somebody reads. */
#ifndef GG_ALONE_H
#define GG_ALONE_H

/* Is the file at `path` a placeholder? */
int gg_placeholder_at(const char *path);

/* Run `gg-force -- paths`, all of them absolute, in the directory of the first, with its output on standard error. Its exit
 * status: 0 when they are real files now, 127 when there is no gg-force. */
int gg_run_gg_force(char *const paths[]);

/* The program to execute where a tool was called by argv: `path` where that is not empty, else the first along PATH that is
 * not this shim. The placeholders that its arguments name have been made, and the environment is that of a tool that runs
 * for real. `directory` is the working one. NULL when there is no such program. */
const char *gg_real_program(const char *path, char *const argv[], const char *directory);

#endif
