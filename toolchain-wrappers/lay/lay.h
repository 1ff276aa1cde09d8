/* The parts of gg-lay. */
#ifndef GG_LAY_H
#define GG_LAY_H

#include <dirent.h>
#include <sys/stat.h>

/* End with a message and what errno says. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* ABOVE/NAME, to be freed. */
char *copied(const char *text);
char *joined(const char *above, const char *name);

/* Make the missing directories above a path. */
void make_above(const char *path);

void copy_file(const char *from, const char *to, mode_t mode);

/* For scandir: all but `.` and `..`. */
int is_listed(const struct dirent *entry);

/* See to it that the root can be written. */
void need_own_root(void);

#endif
