/* The dynamic loader opens libraries past our functions. A program of the build that needs a library of the build,
 * which is still a placeholder, would not start: so before a program is executed its libraries are looked for where a
 * build keeps its own, along LD_LIBRARY_PATH, RPATH and RUNPATH, and forced. Programs without any of the three, nearly
 * all, cost the reading of their ELF headers.
 */
#define _GNU_SOURCE
#include "record.h"

#include "../raw.h"

#include "../go.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 8

struct image {
    const char *bytes;
    size_t size;
    char origin[PATH_MAX]; /* the directory that holds it */
};

static int map_image(struct image *image, int dir, const char *path)
{
    struct stat st;
    int fd = gg_raw_open(dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    void *bytes = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > (off_t)sizeof(ElfW(Ehdr))
                      ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
                      : MAP_FAILED;
    close(fd);
    if (bytes == MAP_FAILED)
        return -1;
    image->bytes = bytes;
    image->size = (size_t)st.st_size;
    if (memcmp(bytes, ELFMAG, SELFMAG) != 0 ||
        image->bytes[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
        gg_absolute(dir, path, image->origin) != 0) {
        munmap(bytes, image->size);
        return -1;
    }
    *strrchr(image->origin, '/') = '\0';
    return 0;
}

static const void *within(const struct image *image, uint64_t at, uint64_t size)
{
    return at <= image->size && size <= image->size - at ? image->bytes + at : NULL;
}

static const ElfW(Phdr) * segment(const struct image *image, uint32_t type, uint64_t address)
{
    const ElfW(Ehdr) *e = (const void *)image->bytes;
    const ElfW(Phdr) *h = within(image, e->e_phoff, (uint64_t)e->e_phnum * sizeof *h);
    for (unsigned i = 0; h != NULL && i < e->e_phnum; i++, h++)
        if (h->p_type == type && (type != PT_LOAD || (address >= h->p_vaddr && address - h->p_vaddr < h->p_filesz)))
            return h;
    return NULL;
}

/* Does a program make its system calls past the C library, if it has one? */
static int escapes(const struct image *image)
{
    return segment(image, PT_INTERP, 0) == NULL || gg_is_go(image->bytes, image->size);
}

/* Look for `name` in one directory of a search path, $ORIGIN expanded. 1 if it is there (and real now), 0, -1 failed.
 */
static int try_directory(const struct image *image, const char *directory, size_t size, const char *name,
                         char path[PATH_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < size;) {
        size_t token = strncmp(directory + i, "$ORIGIN", 7) == 0     ? 7
                       : strncmp(directory + i, "${ORIGIN}", 9) == 0 ? 9
                                                                     : 0;
        const char *from = token ? image->origin : directory + i;
        size_t count = token ? strlen(image->origin) : 1;
        if (n + count >= PATH_MAX)
            return 0;
        memcpy(path + n, from, count);
        n += count;
        i += token ? token : 1;
    }
    if (n + 2 + strlen(name) >= PATH_MAX)
        return 0;
    if (n == 0)
        path[n++] = '.';
    path[n++] = '/';
    strcpy(path + n, name);
    struct stat st;
    return gg_status(AT_FDCWD, path, &st) != 0 ? 0 : gg_force_path(AT_FDCWD, path) != 0 ? -1 : 1;
}

static int try_list(const struct image *image, const char *list, const char *name, char path[PATH_MAX])
{
    while (list != NULL && *list != '\0') {
        size_t size = strcspn(list, ":;");
        int found = try_directory(image, list, size, name, path);
        if (found != 0)
            return found;
        list += size + (list[size] != '\0');
    }
    return 0;
}

static int force_needed(int dir, const char *path, const char *library_path, struct gg_program *program, int depth)
{
    struct image image;
    if (depth == 0 || map_image(&image, dir, path) != 0)
        return 0;
    if (program != NULL)
        program->unreached = escapes(&image);
    int failed = 0;
    const char *strings = NULL, *run_path = NULL;
    const ElfW(Phdr) *d = segment(&image, PT_DYNAMIC, 0);
    const ElfW(Dyn) *first = d == NULL ? NULL : within(&image, d->p_offset, d->p_filesz);
    const ElfW(Dyn) *end = first == NULL ? NULL : first + d->p_filesz / sizeof *first;
    for (const ElfW(Dyn) *e = first; e < end; e++) {
        const ElfW(Phdr) *load = e->d_tag == DT_STRTAB ? segment(&image, PT_LOAD, e->d_un.d_ptr) : NULL;
        if (load != NULL)
            strings = within(&image, e->d_un.d_ptr - load->p_vaddr + load->p_offset, 1);
    }
    size_t room = strings == NULL ? 0 : image.size - (size_t)(strings - image.bytes);
    for (const ElfW(Dyn) *e = first; strings != NULL && e < end; e++)
        if ((e->d_tag == DT_RUNPATH || (e->d_tag == DT_RPATH && run_path == NULL)) && e->d_un.d_val < room)
            run_path = strings + e->d_un.d_val;
    for (const ElfW(Dyn) *e = first; strings != NULL && e < end; e++) {
        char found[PATH_MAX];
        if (e->d_tag != DT_NEEDED || e->d_un.d_val >= room)
            continue;
        const char *name = strings + e->d_un.d_val;
        if (memchr(name, '\0', room - e->d_un.d_val) == NULL)
            break;
        if (program != NULL && strncmp(name, "libasan.so", 10) == 0)
            program->sanitized = 1;
        int there;
        if (strchr(name, '/') != NULL) {
            there = gg_force_path(AT_FDCWD, name) != 0 ? -1 : strlen(name) < sizeof found;
            if (there > 0)
                strcpy(found, name);
        } else {
            there = try_list(&image, library_path, name, found);
            if (there == 0)
                there = try_list(&image, run_path, name, found);
        }
        if (there < 0 || (there > 0 && force_needed(AT_FDCWD, found, library_path, NULL, depth - 1) != 0)) {
            failed = 1;
            break;
        }
    }
    munmap((void *)(size_t)image.bytes, image.size);
    return failed ? -1 : 0;
}

/* Is the file a script whose interpreter is linked statically, or a program of another word size? */
static int script_unreached(int dir, const char *path)
{
    char line[PATH_MAX];
    struct image image;
    int fd = gg_raw_open(dir, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
    if (fd >= 0)
        close(fd);
    line[n > 0 ? n : 0] = '\0';
    if (line[0] != '#' || line[1] != '!')
        return n > EI_CLASS && memcmp(line, ELFMAG, SELFMAG) == 0;
    char *name = line + 2 + strspn(line + 2, " \t");
    name[strcspn(name, " \t\r\n")] = '\0';
    if (map_image(&image, AT_FDCWD, name) != 0)
        return 0;
    int unreached = escapes(&image);
    munmap((void *)(size_t)image.bytes, image.size);
    return unreached;
}

/* LD_PRELOAD behind our own library, which nearly always is all of it. */
static const char *beside_ours(const char *list)
{
    const char *end = strchr(list, ':'), *name = end;
    while (name != NULL && name > list && name[-1] != '/')
        name--;
    if (end == NULL)
        return strstr(list, "/libgg-record.so") != NULL ? "" : list;
    return strncmp(name, "libgg-record.so:", 16) == 0 ? end + 1 : list;
}

/* What the loader is told to load besides: LD_PRELOAD, a list with colons or spaces between. */
static int force_preloaded(const char *list, const char *library_path)
{
    struct image here = {.origin = "."};
    while (*list != '\0') {
        char name[PATH_MAX], found[PATH_MAX];
        size_t size = strcspn(list, ": ");
        if (size > 0 && size < sizeof name) {
            memcpy(name, list, size);
            name[size] = '\0';
            int slash = strchr(name, '/') != NULL;
            int there = slash ? (gg_force_path(AT_FDCWD, name) != 0 ? -1 : 1) : try_list(&here, library_path, name, found);
            if (there < 0 ||
                (there > 0 && force_needed(AT_FDCWD, slash ? name : found, library_path, NULL, DEPTH_MAX - 1) != 0))
                return -1;
        }
        list += size + (list[size] != '\0');
    }
    return 0;
}

int gg_force_needed(int dir, const char *path, char *const envp[], struct gg_program *program)
{
    const char *library_path = NULL, *preloaded = "";
    int saved = errno;
    if (gg_session()->socket == NULL || path[0] == '\0')
        return 0;
    for (; envp != NULL && *envp != NULL; envp++)
        if (strncmp(*envp, "LD_LIBRARY_PATH=", 16) == 0 && (*envp)[16] != '\0')
            library_path = *envp + 16;
        else if (strncmp(*envp, "LD_PRELOAD=", 11) == 0)
            preloaded = beside_ours(*envp + 11);
    if (program != NULL)
        program->unreached = -1;
    int failed = force_needed(dir, path, library_path, program, DEPTH_MAX);
    if (failed == 0 && program != NULL && program->unreached != 1)
        failed = force_preloaded(preloaded, library_path);
    if (program != NULL && program->unreached < 0)
        program->unreached = script_unreached(dir, path);
    errno = failed ? EIO : saved;
    return failed;
}
