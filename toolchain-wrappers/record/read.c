/* Force on read. After a successful open, one fstat tells that a file is not a placeholder: those have one size.
 *
 * The programs that move files about must not force what they move: make install would, and `mv a.o b.o` after each
 * compile is common. They see the placeholder, and carry it to where it is read in the end.
 */
#define _GNU_SOURCE
#include "record.h"

#include "../placeholder.h"
#include "../programs.h"
#include "../wire.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* An old version on purpose: see pathmap/exec.c. */
#if defined(__GLIBC__) && defined(__x86_64__)
__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");
#elif defined(__GLIBC__) && defined(__aarch64__)
__asm__(".symver dlsym, dlsym@GLIBC_2.17");
#endif

void *gg_next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static int holds_placeholder(int fd)
{
    struct stat st;
    char bytes[GG_PLACEHOLDER_SIZE];
    if (fstat(fd, &st) != 0 || st.st_size != GG_PLACEHOLDER_SIZE || !S_ISREG(st.st_mode))
        return 0;
    if (pread(fd, bytes, sizeof bytes, 0) == sizeof bytes)
        return gg_is_placeholder(bytes);
    if (errno != EBADF)
        return 0;
    /* Opened for writing alone, and what is there will stay: an append. */
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int other = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC);
    int holds = other >= 0 && pread(other, bytes, sizeof bytes, 0) == sizeof bytes && gg_is_placeholder(bytes);
    if (other >= 0)
        close(other);
    return holds;
}

static void complain(const struct gg_reply *reply, const char *trouble, const char *path)
{
    char line[PATH_MAX + 200];
    if (trouble == NULL && reply->kind == GG_FAILED && reply->err_size > 0) {
        gg_write_all(STDERR_FILENO, reply->err, reply->err_size);
        return;
    }
    int n = snprintf(line, sizeof line, "gg: %s could not be forced: %s\n", path,
                     trouble != NULL ? trouble : "its command failed");
    gg_write_all(STDERR_FILENO, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

/* 0 when the file at `path` is the real one now. */
static int force(const char *path)
{
    const struct gg_session *s = gg_session();
    char name[256] = "?", *argv[] = {name, NULL}, cwd[PATH_MAX];
    struct gg_reply reply;
    ssize_t n = readlink("/proc/self/exe", name, sizeof name - 1);
    name[n > 0 ? n : 1] = '\0';
    const char *trouble =
        gg_ask(s->socket, GG_FORCE, 0, path, getcwd(cwd, sizeof cwd) != NULL ? cwd : "/", argv, NULL, &reply);
    int ready = trouble == NULL && reply.kind == GG_READY;
    if (!ready)
        complain(&reply, trouble, path);
    if (trouble == NULL)
        gg_reply_free(&reply);
    return ready ? 0 : -1;
}

static int name_of(int fd, char path[PATH_MAX])
{
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    path[n > 0 ? n : 0] = '\0';
    return n > 0 && path[0] == '/' ? 0 : -1;
}

int gg_absolute(int dir, const char *path, char full[PATH_MAX])
{
    if (path[0] != '/') {
        if (dir == AT_FDCWD ? getcwd(full, PATH_MAX) == NULL : name_of(dir, full) != 0)
            return -1;
        size_t n = strlen(full);
        if (path[0] == '\0')
            return 0;
        full[n] = '/';
        full += n + 1;
        if (n + 1 + strlen(path) >= PATH_MAX)
            return -1;
    } else if (strlen(path) >= PATH_MAX) {
        return -1;
    }
    strcpy(full, path);
    return 0;
}

static int force_open(int fd)
{
    char path[PATH_MAX];
    int flags = fcntl(fd, F_GETFL), cloexec = fcntl(fd, F_GETFD);
    if (flags < 0 || name_of(fd, path) != 0 || force(path) != 0)
        return -1;
    int real = (int)syscall(SYS_openat, AT_FDCWD, path, (flags & ~(O_CREAT | O_EXCL | O_TRUNC)) | O_CLOEXEC);
    if (real < 0 || holds_placeholder(real) || dup3(real, fd, cloexec & FD_CLOEXEC ? O_CLOEXEC : 0) < 0) {
        if (real >= 0)
            close(real);
        return -1;
    }
    close(real);
    return 0;
}

int gg_force_open(int fd)
{
    int saved = errno;
    if (fd < 0 || gg_session()->socket == NULL || !holds_placeholder(fd) ||
        (gg_has_habit(0, GG_MOVES) && !gg_under_fakeroot()) || force_open(fd) == 0) {
        errno = saved;
        return 0;
    }
    errno = EIO;
    return -1;
}

/* The kernel's own call: stat.c has the C library's, and asks us. */
static int status_of(int dir, const char *path, struct stat *st)
{
    return (int)syscall(SYS_newfstatat, dir, path, st, 0);
}

int gg_force_path(int dir, const char *path)
{
    struct stat st;
    int saved = errno;
    if (gg_session()->socket == NULL || path[0] == '\0' || status_of(dir, path, &st) != 0 ||
        st.st_size != GG_PLACEHOLDER_SIZE || !S_ISREG(st.st_mode)) {
        errno = saved;
        return 0;
    }
    int fd = (int)syscall(SYS_openat, dir, path, O_RDONLY | O_CLOEXEC);
    int failed = fd >= 0 && holds_placeholder(fd) && force_open(fd) != 0;
    if (fd >= 0)
        close(fd);
    errno = failed ? EIO : saved;
    return failed ? -1 : 0;
}

/* Is this program one of those, by the name of its executable? */
static int is_one_of(const char *const names[])
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    const char *slash = strrchr(path, '/');
    for (int i = 0; slash != NULL && names[i] != NULL; i++)
        if (strcmp(slash + 1, names[i]) == 0)
            return 1;
    return 0;
}

/* fakeroot keeps in mind which inode is whose, and with which mode. A placeholder's inode goes when it is forced, and may
 * come back as another file's: so whoever might have fakeroot note something gets the real file, when he or fakeroot
 * itself asks for its status, which comes before each note. These only look at times and names. */
int gg_under_fakeroot(void)
{
    static const char *const onlookers[] = {"make", "gmake", "remake", "ninja", "samu", "sh",   "dash", "bash", "find",
                                            "ls",   "test",  "[",      "touch", "rm",   "rmdir", "mv",  "ln",   NULL};
    static signed char known = -1;
    if (known < 0)
        known = getenv("FAKEROOTKEY") != NULL && !is_one_of(onlookers);
    return known;
}

/* Those who may read a dependency file as the recorder left it. */
static int reads_supersets(void)
{
    static const char *const names[] = {"make", "gmake", "remake", "ninja", "samu", NULL};
    return is_one_of(names);
}

int gg_loads_archiver;

/* About to read a module of an interpreter, told by its name. */
static void note_module(const char *path, size_t size)
{
    static const char name[] = "/tarfile.";
    const char *found = size > sizeof name ? strstr(path, name) : NULL;
    if (found != NULL && strchr(found + 1, '/') == NULL)
        gg_loads_archiver = 1;
}

/* About to read a dependency file, told by its name: the recorder lets the compiler write it first, if it is its own. */
static void make_exact(int dir, const char *path)
{
    size_t n = path != NULL ? strlen(path) : 0;
    char full[PATH_MAX];
    struct stat st;
    int saved = errno;
    note_module(path, n);
    if (n > 2 && strcmp(path + n - 2, ".d") == 0 && gg_session()->socket != NULL && !gg_session()->bypass &&
        fstatat(dir, path, &st, 0) == 0 && S_ISREG(st.st_mode) && !reads_supersets() &&
        gg_absolute(dir, path, full) == 0)
        force(full);
    errno = saved;
}

/* The wrappers. A file that is emptied or made new by the open is nobody's to force. */

static int checked(int fd, int flags)
{
    if (fd < 0 || (flags & (O_TRUNC | O_PATH | O_DIRECTORY)) || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) ||
        gg_force_open(fd) == 0)
        return fd;
    close(fd);
    errno = EIO;
    return -1;
}

static FILE *checked_stream(FILE *stream, const char *mode)
{
    if (stream == NULL || mode[0] == 'w' || gg_force_open(fileno(stream)) == 0)
        return stream;
    fclose(stream);
    errno = EIO;
    return NULL;
}

typedef int (*open_function)(const char *, int, ...);
typedef int (*openat_function)(int, const char *, int, ...);
typedef FILE *(*fopen_function)(const char *, const char *);
typedef FILE *(*freopen_function)(const char *, const char *, FILE *);

/* The next library's function of the same name, looked up once; two threads would find the same. */
#define NEXT(type, name) \
    static type next;    \
    if (next == NULL)    \
    next = (type)gg_next(name)

#define MODE_ARGUMENT(flags, mode)                                   \
    mode_t mode = 0;                                                 \
    if (((flags) & O_CREAT) || ((flags) & O_TMPFILE) == O_TMPFILE) { \
        va_list list;                                                \
        va_start(list, flags);                                       \
        mode = (mode_t)va_arg(list, int);                            \
        va_end(list);                                                \
    }

GG_EXPORT int open(const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    NEXT(open_function, "open");
    if (!(flags & (O_TRUNC | O_CREAT | O_DIRECTORY)))
        make_exact(AT_FDCWD, path);
    return checked(next(path, flags, mode), flags);
}

GG_EXPORT int openat(int dir, const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    NEXT(openat_function, "openat");
    if (!(flags & (O_TRUNC | O_CREAT | O_DIRECTORY)))
        make_exact(dir, path);
    return checked(next(dir, path, flags, mode), flags);
}

GG_EXPORT FILE *fopen(const char *restrict path, const char *restrict mode)
{
    NEXT(fopen_function, "fopen");
    if (mode[0] == 'r')
        make_exact(AT_FDCWD, path);
    return checked_stream(next(path, mode), mode);
}

GG_EXPORT FILE *freopen(const char *restrict path, const char *restrict mode, FILE *restrict stream)
{
    NEXT(freopen_function, "freopen");
    if (mode[0] == 'r')
        make_exact(AT_FDCWD, path);
    FILE *file = next(path, mode, stream);
    return path == NULL ? file : checked_stream(file, mode);
}

#ifdef __GLIBC__
GG_EXPORT int open64(const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    NEXT(open_function, "open64");
    if (!(flags & (O_TRUNC | O_CREAT | O_DIRECTORY)))
        make_exact(AT_FDCWD, path);
    return checked(next(path, flags, mode), flags);
}

GG_EXPORT int openat64(int dir, const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    NEXT(openat_function, "openat64");
    if (!(flags & (O_TRUNC | O_CREAT | O_DIRECTORY)))
        make_exact(dir, path);
    return checked(next(dir, path, flags, mode), flags);
}

GG_EXPORT FILE *fopen64(const char *restrict path, const char *restrict mode)
{
    NEXT(fopen_function, "fopen64");
    if (mode[0] == 'r')
        make_exact(AT_FDCWD, path);
    return checked_stream(next(path, mode), mode);
}

GG_EXPORT FILE *freopen64(const char *restrict path, const char *restrict mode, FILE *restrict stream)
{
    NEXT(freopen_function, "freopen64");
    if (mode[0] == 'r')
        make_exact(AT_FDCWD, path);
    FILE *file = next(path, mode, stream);
    return path == NULL ? file : checked_stream(file, mode);
}

/* What fortified programs call; there is no mode, as nothing is made. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

GG_EXPORT int __open_2(const char *path, int flags)
{
    return open(path, flags);
}

GG_EXPORT int __open64_2(const char *path, int flags)
{
    return open64(path, flags);
}

GG_EXPORT int __openat_2(int dir, const char *path, int flags)
{
    return openat(dir, path, flags);
}

GG_EXPORT int __openat64_2(int dir, const char *path, int flags)
{
    return openat64(dir, path, flags);
}
#endif

/* A plugin or a module that was just built; on failure the loader says what it finds there. A bare name is searched
 * for in what the *caller* says (its RUNPATH), which the C library knows by the return address: so this must end in a
 * jump. */
GG_EXPORT void *dlopen(const char *name, int flags)
{
    typedef void *(*dlopen_function)(const char *, int);
    NEXT(dlopen_function, "dlopen");
    if (name != NULL && strchr(name, '/') != NULL && gg_force_path(AT_FDCWD, name) == 0)
        gg_force_needed(AT_FDCWD, name, environ, NULL);
    return next(name, flags);
}
