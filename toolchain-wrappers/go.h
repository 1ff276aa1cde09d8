/* Programs that Go's linker made: also those that load the C library make their system calls themselves, past it. */
#ifndef GG_GO_H
#define GG_GO_H

#include <stddef.h>
#include <string.h>

#define GG_HEAD 8192 /* bytes from a program's beginning in which that shows */

/* Is there a note of Go's build id (name "Go", type 4) in the beginning of an ELF file? */
static inline int gg_is_go(const void *bytes, size_t size)
{
    static const unsigned char type_and_name[] = {4, 0, 0, 0, 'G', 'o', 0, 0}, name_size[] = {4, 0, 0, 0};
    const unsigned char *at = bytes, *end = at + (size < GG_HEAD ? size : GG_HEAD);
    for (; end - at > 8 + (long)sizeof type_and_name; at += 4)
        if (memcmp(at + 8, type_and_name, sizeof type_and_name) == 0 && memcmp(at, name_size, sizeof name_size) == 0)
            return 1;
    return 0;
}

#endif
