/* How the kernel starts a program: the interpreter that a script names in its first line, or the loader that an ELF file asks for.
 * The bytes come from anywhere: nothing outside of them is read, and time is bounded. */
#ifndef GG_PROGRAM_H
#define GG_PROGRAM_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define GG_SEGMENTS_MAX 512 /* program headers: more are damage, real files have about ten */

enum gg_elf {
    GG_NO_ELF = -1, /* or damaged */
    GG_NO_LOADER,   /* linked statically */
    GG_HAS_LOADER,
    GG_OTHER_SIZE /* of 32 bits: no library of ours can be loaded into it */
};

/* By number: a library that wraps the C library's functions must not call them. */
static inline long gg_read_at(int fd, void *to, size_t size, uint64_t at)
{
    if (at > INT64_MAX)
        return -1;
#if __SIZEOF_POINTER__ == 8
    return syscall(SYS_pread64, fd, to, size, (off_t)at);
#else
    return pread(fd, to, size, (off_t)at);
#endif
}

/* The kind of the ELF file `fd`, whose first `n` bytes are `head`. `loader` gets its loader's path, cut to `size` - 1 bytes. */
static inline enum gg_elf gg_elf_loader(int fd, const void *head, size_t n, char *loader, size_t size)
{
    Elf64_Ehdr e;
    Elf64_Phdr h;
    if (n < sizeof e)
        return GG_NO_ELF;
    memcpy(&e, head, sizeof e);
    if (memcmp(e.e_ident, ELFMAG, SELFMAG) != 0)
        return GG_NO_ELF;
    if (e.e_ident[EI_CLASS] != ELFCLASS64)
        return GG_OTHER_SIZE;
    if (e.e_phentsize != sizeof h || e.e_phnum > GG_SEGMENTS_MAX || e.e_phoff > INT64_MAX)
        return GG_NO_ELF;
    for (unsigned i = 0; i < e.e_phnum; i++) {
        if (gg_read_at(fd, &h, sizeof h, e.e_phoff + i * sizeof h) != (long)sizeof h)
            return GG_NO_ELF;
        if (h.p_type != PT_INTERP)
            continue;
        size_t taken = h.p_filesz < size ? h.p_filesz : size - 1;
        if (gg_read_at(fd, loader, taken, h.p_offset) != (long)taken)
            return GG_NO_ELF;
        loader[taken] = '\0';
        return GG_HAS_LOADER;
    }
    return GG_NO_LOADER;
}

/* The interpreter that a script names: NULL if the file is no script, empty if it names none. `head` is the first `n` bytes of
 * the file and one more, and is written to. `argument`: the one that may follow, empty without; NULL if it does not matter. */
static inline char *gg_script_interpreter(char *head, size_t n, char **argument)
{
    if (n < 2 || head[0] != '#' || head[1] != '!')
        return NULL;
    head[n] = '\0';
    head[strcspn(head, "\n")] = '\0';
    char *program = head + 2 + strspn(head + 2, " \t");
    char *rest = program + strcspn(program, " \t");
    if (*rest != '\0') {
        *rest++ = '\0';
        rest += strspn(rest, " \t");
        for (size_t size = strlen(rest); size > 0 && (rest[size - 1] == ' ' || rest[size - 1] == '\t'); size--)
            rest[size - 1] = '\0';
    }
    if (argument != NULL)
        *argument = rest;
    return program;
}

#endif
