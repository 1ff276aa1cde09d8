/* gg-trace REPORT PROGRAM ARGV0 [ARGV...]: runs a command and writes down what it and all its children look at and change.
 *
 *   trace.c   the processes: started, followed, waited for (ptrace); their output, passed on and kept
 *   calls.c   the system calls that matter, as a table, and the filter that stops at no others (seccomp)
 *   report.c  what was touched, each once, with the state in which a changed path was found
 *
 * REPORT is a directory. It gets `touched`: records, each a kind, a state and a path, ended by NUL
 *
 *   R  read or executed      S  looked at       L  looked at, a link itself       D  listed
 *   W  about to be changed, of which the state before: a absent, f file, d directory, l link, o other
 *   T  something that cannot be observed; the text says what
 *
 * the states of other records are `-`. Paths are absolute as the program gave them (seen from its directory); those of W
 * have no links in them. The bytes of an f are copied to REPORT/0, 1, … in the order of the records. `output` has what
 * was written to standard output and error: u8 descriptor, u32 length, bytes. At the end the recorder at GG_SOCKET is
 * told: a call of the program "/gg-trace" with arguments gg-trace, REPORT and the wait status.
 *
 * If the kernel refuses to trace, the command runs all the same, and nothing is told.
 */
#ifndef GG_TRACE_H
#define GG_TRACE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* calls.c */
int gg_install_filter(void); /* in the child, before exec; 0 or -1 with errno */
void gg_saw_call(pid_t pid, uint32_t arch, uint64_t number, const uint64_t args[6]);

/* report.c */
int gg_report_open(const char *directory);
int gg_report_path(const char *name, char path[4096]); /* a file in the report's directory */
int gg_touch(char kind, const char *path);             /* 1 the first time */
void gg_change(const char *path, int follow); /* the path, links in its directory followed, its own if `follow` */
void gg_taint(const char *why);
int gg_report_close(void);

#endif
