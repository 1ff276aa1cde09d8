/* Programs that are treated in a way of their own when they meet a placeholder, by name. */
#ifndef GG_PROGRAMS_H
#define GG_PROGRAMS_H

#include <sys/types.h>

enum gg_habit {
    GG_MOVES, /* carries files about unread: it sees placeholders, and moves them as they are */
    GG_SIZES, /* takes a file's size before it opens it, or instead: what it asks for is forced first */
    GG_LOOKS, /* looks at names and times, or is an interpreter and does what it is told */
    GG_PACKS  /* so does every archiver, which also notes the times of directories before it reads what is in them */
};

/* Has the program of process `pid` (0: this one) that habit? By the name it was called by; of a program that is many
 * programs, and of an interpreter, by its first operand. */
int gg_has_habit(pid_t pid, enum gg_habit habit);

#endif
