/* The dynamic loader opens libraries past our functions. A program of the build that needs a library of the build,
 * which is still a placeholder, would not start: so before a program is executed its libraries are looked for where a
 * build keeps its own, along LD_LIBRARY_PATH, RPATH and RUNPATH, and forced. Programs without any of the three, nearly
 * all, cost the reading of their ELF headers.
 */
#define _GNU_SOURCE
#include "record.h"

#include "../common/go.h"
#include "../common/program.h"
#include "../common/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DEPTH_MAX 8
#define DYNAMIC_MAX (1u << 20) /* bytes of a dynamic section */
#define SEEN_MAX 512           /* libraries of one program that are looked into */

/* An ELF file, of which parts are read when they are asked for, to where they would be in a mapping of the whole. It is not
 * mapped itself: somebody may cut it meanwhile, and reading a mapping past the end kills. */
struct image {
    int fd;
    char *bytes;
    size_t size, head;     /* how much has been read of the beginning */
    char origin[PATH_MAX]; /* the directory that holds it */
};

/* Does the kernel give a program rights that we have not, by its mode or by capabilities of its file? The loader preloads nothing
 * into such a one. Many of them can be executed and not read. */
static int gains_rights(int dir, const char *path)
{
    struct stat st;
    char full[PATH_MAX];
    if (gg_status(dir, path, &st) != 0 || !S_ISREG(st.st_mode))
        return 0;
    if (((st.st_mode & S_ISUID) && st.st_uid != geteuid()) || ((st.st_mode & S_ISGID) && st.st_gid != getegid()))
        return 1;
    return geteuid() != 0 && gg_absolute(dir, path, full) == 0 && getxattr(full, "security.capability", NULL, 0) > 0;
}

static const void *within(const struct image *image, uint64_t at, uint64_t size)
{
    if (at > image->size || size > image->size - at)
        return NULL;
    if (at + size <= image->head)
        return image->bytes + at;
    return pread(image->fd, image->bytes + at, size, (off_t)at) == (ssize_t)size ? image->bytes + at : NULL;
}

static void close_image(struct image *image)
{
    munmap(image->bytes, image->size);
    close(image->fd);
}

static int open_image(struct image *image, int dir, const char *path)
{
    struct stat st;
    int fd = gg_raw_open(dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    void *bytes = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > (off_t)sizeof(ElfW(Ehdr))
                      ? mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                      : MAP_FAILED;
    if (bytes == MAP_FAILED) {
        close(fd);
        return -1;
    }
    image->fd = fd;
    image->bytes = bytes;
    image->size = (size_t)st.st_size;
    image->head = 0;
    size_t head = image->size < GG_HEAD ? image->size : GG_HEAD;
    if (within(image, 0, head) == NULL || memcmp(bytes, ELFMAG, SELFMAG) != 0 ||
        image->bytes[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
        gg_absolute(dir, path, image->origin) != 0) {
        close_image(image);
        return -1;
    }
    image->head = head;
    *strrchr(image->origin, '/') = '\0';
    return 0;
}

/* The program headers; NULL where they are not as a linker makes them. */
static const ElfW(Phdr) * headers(const struct image *image)
{
    const ElfW(Ehdr) *e = (const void *)image->bytes;
    return e->e_phnum > GG_SEGMENTS_MAX || e->e_phoff % _Alignof(ElfW(Phdr)) != 0
               ? NULL
               : within(image, e->e_phoff, e->e_phnum * sizeof(ElfW(Phdr)));
}

static const ElfW(Phdr) * segment(const struct image *image, uint32_t type, uint64_t address)
{
    const ElfW(Ehdr) *e = (const void *)image->bytes;
    const ElfW(Phdr) *h = headers(image);
    for (unsigned i = 0; h != NULL && i < e->e_phnum; i++, h++)
        if (h->p_type == type && (type != PT_LOAD || (address >= h->p_vaddr && address - h->p_vaddr < h->p_filesz)))
            return h;
    return NULL;
}

#define SMALL (32u << 10)
#define CODE_MAX (1u << 20)

/* Read piece by piece, on the stack: fresh memory costs more than reading. A piece begins with the end of the one before. */
static int calls_within(const struct image *image, uint64_t at, uint64_t size)
{
    enum { BEFORE = 64, PIECE = 8192 };
    _Alignas(8) char code[BEFORE + PIECE];
    int (*calls)(const void *, size_t) = size <= SMALL ? gg_has_calls : gg_opens_by_itself;
    size_t kept = 0;
    for (ssize_t n; size > 0; at += (uint64_t)n, size -= (uint64_t)n) {
        n = pread(image->fd, code + kept, size < PIECE ? size : PIECE, (off_t)at);
        if (n <= 0)
            return 0;
        if (calls(code, kept + (size_t)n))
            return 1;
        size_t all = kept + (size_t)n;
        kept = all < BEFORE ? all : BEFORE;
        memmove(code, code + all - kept, kept);
    }
    return 0;
}

/* Does a program's own code have system calls that open files or ask for sizes? In a small program any system call counts, for it
 * may have one function for all. In a large one there are always bytes that look like calls. */
static int has_own_calls(const struct image *image)
{
    const ElfW(Ehdr) *e = (const void *)image->bytes;
    const ElfW(Phdr) *h = headers(image);
    for (unsigned i = 0; h != NULL && i < e->e_phnum; i++, h++)
        if (h->p_type == PT_LOAD && (h->p_flags & PF_X) && h->p_filesz <= CODE_MAX &&
            calls_within(image, h->p_offset, h->p_filesz))
            return 1;
    return 0;
}

/* Does a program make its system calls past the C library, if it has one? */
static int escapes(const struct image *image, const char *path)
{
    const char *slash = strrchr(path, '/');
    return segment(image, PT_INTERP, 0) == NULL || gg_is_go(image->bytes, image->head) ||
           (!gg_is_well_known(slash != NULL ? slash + 1 : path) && has_own_calls(image));
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

/* The string at an offset in the table that begins at `strings`; NULL when there is none. */
static const char *string_at(const struct image *image, uint64_t strings, uint64_t at)
{
    uint64_t from = strings + at, room = from < image->size ? image->size - from : 0;
    for (uint64_t size = 64; strings != 0 && room > 0 && size <= 64 * 64; size *= 64) { /* nearly all are short */
        const char *string = within(image, from, room < size ? room : size);
        if (string != NULL && memchr(string, '\0', room < size ? room : size) != NULL)
            return string;
    }
    return NULL;
}

/* The files that are looked into for one program, each once: libraries need each other in all directions. */
struct search {
    const char *library_path;
    size_t count;
    struct {
        dev_t device;
        ino_t inode;
    } seen[SEEN_MAX];
};

/* Was the file looked into before, or too many others? */
static int is_seen(struct search *search, const struct image *image)
{
    struct stat st;
    if (fstat(image->fd, &st) != 0 || search->count == SEEN_MAX)
        return 1;
    for (size_t i = 0; i < search->count; i++)
        if (search->seen[i].inode == st.st_ino && search->seen[i].device == st.st_dev)
            return 1;
    search->seen[search->count].device = st.st_dev;
    search->seen[search->count++].inode = st.st_ino;
    return 0;
}

static int force_needed(struct search *search, int dir, const char *path, struct gg_program *program, int depth)
{
    struct image image;
    if (depth == 0 || open_image(&image, dir, path) != 0)
        return 0;
    if (is_seen(search, &image)) {
        close_image(&image);
        return 0;
    }
    if (program != NULL)
        program->unreached = escapes(&image, path);
    int failed = 0;
    const char *run_path = NULL;
    uint64_t strings = 0;
    const ElfW(Phdr) *d = segment(&image, PT_DYNAMIC, 0);
    const ElfW(Dyn) *first = d == NULL || d->p_filesz > DYNAMIC_MAX || d->p_offset % _Alignof(ElfW(Dyn)) != 0
                                 ? NULL
                                 : within(&image, d->p_offset, d->p_filesz);
    const ElfW(Dyn) *end = first == NULL ? NULL : first + d->p_filesz / sizeof *first;
    for (const ElfW(Dyn) *e = first; e < end; e++) {
        const ElfW(Phdr) *load = e->d_tag == DT_STRTAB ? segment(&image, PT_LOAD, e->d_un.d_ptr) : NULL;
        if (load != NULL)
            strings = e->d_un.d_ptr - load->p_vaddr + load->p_offset;
    }
    for (const ElfW(Dyn) *e = first; e < end; e++)
        if (e->d_tag == DT_RUNPATH || (e->d_tag == DT_RPATH && run_path == NULL))
            run_path = string_at(&image, strings, e->d_un.d_val);
    for (const ElfW(Dyn) *e = first; e < end; e++) {
        char found[PATH_MAX];
        const char *name = e->d_tag == DT_NEEDED ? string_at(&image, strings, e->d_un.d_val) : NULL;
        if (name == NULL)
            continue;
        if (program != NULL && strncmp(name, "libasan.so", 10) == 0)
            program->sanitized = 1;
        if (program != NULL && strncmp(name, "liburing.so", 11) == 0) /* files are opened by the kernel itself */
            program->unreached = 1;
        int there;
        if (strchr(name, '/') != NULL) {
            there = gg_force_path(AT_FDCWD, name) != 0 ? -1 : strlen(name) < sizeof found;
            if (there > 0)
                strcpy(found, name);
        } else {
            there = try_list(&image, search->library_path, name, found);
            if (there == 0)
                there = try_list(&image, run_path, name, found);
        }
        if (there < 0 || (there > 0 && force_needed(search, AT_FDCWD, found, NULL, depth - 1) != 0)) {
            failed = 1;
            break;
        }
    }
    close_image(&image);
    return failed ? -1 : 0;
}

/* Is the file a script whose interpreter is linked statically, or a program of another word size? */
static int script_unreached(int dir, const char *path)
{
    char line[PATH_MAX];
    struct image image;
    const char *name;
    int fd = gg_raw_open(dir, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
    if (fd >= 0)
        close(fd);
    if ((name = gg_script_interpreter(line, n > 0 ? (size_t)n : 0, NULL)) == NULL)
        return n > EI_CLASS && memcmp(line, ELFMAG, SELFMAG) == 0;
    if (open_image(&image, AT_FDCWD, name) != 0)
        return 0;
    int unreached = escapes(&image, name);
    close_image(&image);
    return unreached;
}

/* LD_PRELOAD behind our own library, which nearly always is all of it. */
static const char *beside_ours(const char *list)
{
    const char *end = strchr(list, ':');
    if (end == NULL)
        return strstr(list, "/libgg-record.so") != NULL ? "" : list;
    const char *name = end;
    while (name > list && name[-1] != '/')
        name--;
    return strncmp(name, "libgg-record.so:", 16) == 0 ? end + 1 : list;
}

/* Force the libraries in LD_PRELOAD, a list with colons or spaces between. */
static int force_preloaded(struct search *search, const char *list)
{
    struct image here = {.origin = "."};
    while (*list != '\0') {
        char name[PATH_MAX], found[PATH_MAX];
        size_t size = strcspn(list, ": ");
        if (size > 0 && size < sizeof name) {
            memcpy(name, list, size);
            name[size] = '\0';
            int slash = strchr(name, '/') != NULL;
            int there = slash ? (gg_force_path(AT_FDCWD, name) != 0 ? -1 : 1)
                              : try_list(&here, search->library_path, name, found);
            if (there < 0 ||
                (there > 0 && force_needed(search, AT_FDCWD, slash ? name : found, NULL, DEPTH_MAX - 1) != 0))
                return -1;
        }
        list += size + (list[size] != '\0');
    }
    return 0;
}

int gg_force_needed(int dir, const char *path, char *const envp[], struct gg_program *program)
{
    struct search search;
    const char *preloaded = "";
    int saved = errno;
    if (gg_session()->socket == NULL || path[0] == '\0')
        return 0;
    search.library_path = NULL;
    search.count = 0;
    for (; envp != NULL && *envp != NULL; envp++)
        if (strncmp(*envp, "LD_LIBRARY_PATH=", 16) == 0 && (*envp)[16] != '\0')
            search.library_path = *envp + 16;
        else if (strncmp(*envp, "LD_PRELOAD=", 11) == 0)
            preloaded = beside_ours(*envp + 11);
    if (program != NULL) {
        program->unreached = -1;
        program->privileged = gains_rights(dir, path);
    }
    int failed = force_needed(&search, dir, path, program, DEPTH_MAX);
    if (failed == 0 && program != NULL && program->unreached != 1)
        failed = force_preloaded(&search, preloaded);
    if (program != NULL && program->unreached < 0)
        program->unreached = script_unreached(dir, path);
    errno = failed ? EIO : saved;
    return failed;
}
