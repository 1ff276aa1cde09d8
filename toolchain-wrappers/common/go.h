/* Recognises, by their bytes, programs that make system calls themselves, past any C library that they load: those that Go's
 * linker made, and those with such calls in their own code. */
#ifndef GG_GO_H
#define GG_GO_H

#include <stddef.h>
#include <string.h>

#define GG_HEAD 8192 /* bytes from a program's beginning that show it */

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

#if defined(__x86_64__)
/* The next `syscall` instruction, 0f 05. The search is for the second byte, which is rarer. */
static inline const unsigned char *gg_next_call(const unsigned char *at, const unsigned char *end)
{
    for (at += at < end; at < end && (at = memchr(at, 5, (size_t)(end - at))) != NULL; at++)
        if (at[-1] == 0x0f)
            return at - 1;
    return NULL;
}
#endif

/* Is there an instruction that makes a system call in this code? */
static inline int gg_has_calls(const void *code, size_t size)
{
#if defined(__x86_64__)
    return gg_next_call(code, (const unsigned char *)code + size) != NULL;
#elif defined(__aarch64__)
    unsigned word;
    for (size_t i = 0; i + 4 <= size; i += 4)
        if (memcpy(&word, (const char *)code + i, 4) != NULL && word == 0xd4000001)
            return 1;
    return 0;
#else
    (void)code;
    return size == 0;
#endif
}

/* Is there, in this code, an instruction that makes a system call, closely after one that says which: one of those that open a
 * file or ask for its size, or io_uring's first? Compilers put the number right before it. */
static inline int gg_opens_by_itself(const void *code, size_t size)
{
    const unsigned char *start = code, *end = start + size, *at = start;
#if defined(__x86_64__)
    static const unsigned short numbers[] = {2, 4, 6, 76, 257, 262, 332, 425, 437};
    for (; (at = gg_next_call(at, end)) != NULL; at += 2)
        for (const unsigned char *p = at - start > 45 ? at - 45 : start; p + 5 <= at; p++)
            for (size_t i = 0; p[0] == 0xb8 && p[3] == 0 && p[4] == 0 && i < sizeof numbers / sizeof *numbers; i++)
                if (p[1] + 256 * p[2] == numbers[i]) /* mov eax, number */
                    return 1;
#elif defined(__aarch64__)
    static const unsigned numbers[] = {45, 56, 79, 291, 425, 437};
    unsigned word, before;
    for (; end - at >= 4; at += 4) {
        memcpy(&word, at, 4);
        for (const unsigned char *p = at - start > 40 ? at - 40 : start; word == 0xd4000001 && p < at;
             p += 4) { /* svc 0 */
            memcpy(&before, p, 4);
            for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
                if ((before & 0x7fffffff) == (0x52800008 | numbers[i] << 5)) /* mov x8, number */
                    return 1;
        }
    }
#endif
    (void)end;
    (void)at;
    return 0;
}

#endif
