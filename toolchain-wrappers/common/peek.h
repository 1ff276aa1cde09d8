/* What another process has in its memory, for those who watch system calls. */
#ifndef GG_PEEK_H
#define GG_PEEK_H

#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Copies `size` bytes from `at`. 0 if all of them can be read, else -1. */
static inline int gg_peek(pid_t pid, uint64_t at, void *to, size_t size)
{
    struct iovec local = {to, size}, remote = {(void *)(uintptr_t)at, size};
    return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)size ? 0 : -1;
}

/* Copies the string at `at`, which may end at the last byte of what can be read. -1 if it cannot be read or is too long. */
static inline int gg_peek_string(pid_t pid, uint64_t at, char to[PATH_MAX])
{
    for (size_t n = 0; n < PATH_MAX;) {
        size_t piece = 256 - (at + n) % 256;
        piece = piece < PATH_MAX - n ? piece : PATH_MAX - n;
        if (gg_peek(pid, at + n, to + n, piece) != 0)
            return -1;
        if (memchr(to + n, '\0', piece) != NULL)
            return 0;
        n += piece;
    }
    return -1;
}

#endif
