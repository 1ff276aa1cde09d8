/* The common parts of the libraries that stand in front of the C library's functions. */
#ifndef GG_INTERPOSE_H
#define GG_INTERPOSE_H

#include <fcntl.h>
#include <stdarg.h>
#include <sys/types.h>

#define GG_EXPORT __attribute__((visibility("default")))
#define GG_ALIAS(of) __attribute__((visibility("default"), alias(of)))

/* open's third argument, in a function that has `flags` last before it: only some flags say that there is one. */
#define GG_MODE_ARGUMENT(flags, mode)                            \
    mode_t mode = 0;                                             \
    if (((flags)&O_CREAT) || ((flags)&O_TMPFILE) == O_TMPFILE) { \
        va_list list;                                            \
        va_start(list, flags);                                   \
        mode = (mode_t)va_arg(list, int);                        \
        va_end(list);                                            \
    }

void *gg_next(const char *name);

/* The next library's function of the same name, looked up once; two threads would find the same. */
#define NEXT(type, name) \
    static type next;    \
    if (next == NULL)    \
    next = (type)gg_next(name)

#endif
