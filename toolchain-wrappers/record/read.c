/* Force on read. After a successful open, one fstat rules out most files, for all placeholders have the same size. programs.h
 * says which programs may see placeholders: without such a rule make install would force everything that it moves, and so would
 * the common `mv a.o b.o` after each compile.
 */
#define _GNU_SOURCE
#include "record.h"

#include "../common/raw.h"

#include "../common/placeholder.h"
#include "../common/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The kernel's own call: stat.c has the C library's, and asks us. */
int gg_status(int dir, const char *path, struct stat *st)
{
    return gg_raw_stat(dir, path, st);
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
    /* Opened only for writing, and the content stays: an append. */
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int other = gg_raw_open(AT_FDCWD, link, O_RDONLY | O_CLOEXEC);
    int holds = other >= 0 && pread(other, bytes, sizeof bytes, 0) == sizeof bytes && gg_is_placeholder(bytes);
    if (other >= 0)
        close(other);
    return holds;
}

/* Ask the recorder about `path`; what went wrong with that, NULL for an answer. */
static const char *ask_about(enum gg_op op, const char *path, struct gg_reply *reply)
{
    char name[256] = "?", *argv[] = {name, NULL}, cwd[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", name, sizeof name - 1);
    name[n > 0 ? n : 1] = '\0';
    return gg_ask(gg_session()->socket, op, 0, path, getcwd(cwd, sizeof cwd) != NULL ? cwd : "/", argv, NULL, reply);
}

/* For the real file at `path`. */
static const char *ask(const char *path, struct gg_reply *reply)
{
    return ask_about(GG_FORCE, path, reply);
}

static void complain(const struct gg_reply *reply, const char *path)
{
    char line[PATH_MAX + 200];
    if (reply->err_size > 0) {
        gg_write_all(STDERR_FILENO, reply->err, reply->err_size);
        return;
    }
    int n = snprintf(line, sizeof line, "gg: %s could not be forced: its command failed\n", path);
    gg_write_all(STDERR_FILENO, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

/* `path`, or what it is called from the working directory, where a directory above that one is closed to this user. */
static const char *reached(const char *path)
{
    char cwd[PATH_MAX];
    if (faccessat(AT_FDCWD, path, F_OK, 0) == 0 || errno != EACCES || getcwd(cwd, sizeof cwd) == NULL)
        return path;
    size_t n = strlen(cwd);
    return strncmp(path, cwd, n) == 0 && path[n] == '/' ? path + n + 1 : path;
}

/* 0 when the file at `path` is the real one now, GG_GONE when its command has failed; else -1. */
static int force(const char *path)
{
    struct gg_reply reply;
    if (ask(path, &reply) != NULL)
        return gg_force_alone(path);
    int ready = reply.kind == GG_READY;
    int gone = reply.kind == GG_FAILED && access(reached(path), F_OK) != 0;
    int unmade = reply.kind == GG_FAILED && reply.status == GG_UNMADE; /* an older file may be there again */
    if (!ready && !unmade && !(gone && reply.status == GG_NO_TARGET))  /* it went while the request was on its way */
        complain(&reply, path);
    gg_reply_free(&reply);
    return ready ? 0 : unmade ? GG_GONE : -1;
}

/* Has the recorder put a file of this name beside its socket? Without that nobody need ask. */
static int is_marked(const char *name)
{
    char mark[PATH_MAX];
    const char *socket = gg_session()->socket, *slash = socket != NULL ? strrchr(socket, '/') : NULL;
    return slash != NULL && snprintf(mark, sizeof mark, "%.*s/%s", (int)(slash - socket), socket, name) < PATH_MAX &&
           faccessat(AT_FDCWD, mark, F_OK, 0) == 0;
}

int gg_look(int dir, const char *path)
{
    char full[PATH_MAX];
    struct gg_reply reply;
    int saved = errno, asked = path != NULL && is_marked("excused") && gg_absolute(dir, path, full) == 0 &&
                               ask_about(GG_LOOK, full, &reply) == NULL;
    if (asked)
        gg_reply_free(&reply);
    errno = saved;
    return asked;
}

int gg_is_make(void)
{
    static signed char known = -1;
    if (known < 0)
        known = (signed char)gg_reads_rules(0);
    return known;
}

int gg_not_to_be_made(int dir, const char *path)
{
    char full[PATH_MAX];
    struct stat st;
    struct gg_reply reply;
    int saved = errno, unmade = 0;
    if (is_marked("unmade") && gg_status(dir, path, &st) != 0 && gg_absolute(dir, path, full) == 0 &&
        ask(full, &reply) == NULL) {
        unmade = reply.kind == GG_FAILED && reply.status == GG_UNMADE;
        gg_reply_free(&reply);
    }
    errno = unmade ? ENOENT : saved;
    return unmade;
}

void gg_before_unseen(void)
{
    char name[PATH_MAX] = "?", *argv[] = {name, NULL};
    struct gg_reply reply;
    if (gg_session()->socket == NULL)
        return;
    if (ask("", &reply) == NULL)
        gg_reply_free(&reply);
    ssize_t n = readlink("/proc/self/exe", name, sizeof name - 1);
    name[n > 0 ? n : 1] = '\0';
    if (gg_ask(gg_session()->socket, GG_UNWATCHED, 0, name, "/", argv, NULL, &reply) == NULL)
        gg_reply_free(&reply);
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

/* Is `fd` still the file at `path`? Since it was opened somebody else may have put the real file there. */
static int is_at(int fd, const char *path)
{
    struct stat own, there;
    return fstat(fd, &own) == 0 && gg_status(AT_FDCWD, path, &there) == 0 && own.st_ino == there.st_ino &&
           own.st_dev == there.st_dev;
}

/* 0, -1 failed and told, 1: another file is there now, or none; GG_GONE. */
static int force_open(int fd)
{
    char path[PATH_MAX];
    int flags = fcntl(fd, F_GETFL), cloexec = fcntl(fd, F_GETFD);
    if (flags < 0 || name_of(fd, path) != 0)
        return -1;
    const char *name = reached(path);
    if (!is_at(fd, name))
        return 1;
    int asked = force(path);
    if (asked != 0)
        return is_at(fd, name) ? -1 : asked == GG_GONE ? GG_GONE : 1;
    int real = gg_raw_open(AT_FDCWD, name, (flags & ~(O_CREAT | O_EXCL | O_TRUNC)) | O_CLOEXEC);
    int failed = real < 0                  ? 1
                 : holds_placeholder(real) ? -1
                                           : dup3(real, fd, cloexec & FD_CLOEXEC ? O_CLOEXEC : 0) < 0;
    if (real >= 0)
        close(real);
    return failed;
}

/* Is what `fd` holds an output that is not there any more, now that its call has ended? */
static int looked_again(int fd)
{
    char path[PATH_MAX];
    return name_of(fd, path) == 0 && gg_look(AT_FDCWD, path) && !is_at(fd, path);
}

enum gg_sight gg_own_sight(void)
{
    static signed char known = -1;
    if (known < 0)
        known = (signed char)gg_sight_of(0);
    if (known >= GG_COPIES && gg_is_away()) /* what is carried away there is found by nobody here */
        return GG_READS;
    return known == GG_COPIES && getenv("FAKEROOTKEY") != NULL ? GG_READS : (enum gg_sight)known;
}

int gg_force_open(int fd)
{
    int saved = errno, failed = 0;
    if (fd >= 0 && gg_session()->socket != NULL && holds_placeholder(fd)) {
        if (gg_own_sight() < GG_COPIES)
            failed = force_open(fd);
        else if ((failed = looked_again(fd)) == 0)
            gg_carry(fd);
    }
    errno = failed < 0 ? EIO : failed == GG_GONE ? ENOENT : saved;
    return failed;
}

int gg_force_path(int dir, const char *path)
{
    struct stat st;
    int saved = errno, failed = 0, tries = GG_TRIES;
    do {
        if (gg_session()->socket == NULL || path[0] == '\0' || gg_status(dir, path, &st) != 0)
            break;
        if (gg_may_be_rule(st.st_size))
            gg_make_exact(dir, path);
        if (st.st_size != GG_PLACEHOLDER_SIZE || !S_ISREG(st.st_mode))
            break;
        int fd = gg_raw_open(dir, path, O_RDONLY | O_CLOEXEC);
        failed = fd >= 0 && holds_placeholder(fd) ? force_open(fd) : 0;
        if (fd >= 0)
            close(fd);
    } while (failed == 1 && --tries > 0);
    errno = failed < 0 ? EIO : failed == GG_GONE ? ENOENT : saved;
    return failed < 0 || failed == GG_GONE ? -1 : 0;
}

void gg_force_held(int fd)
{
    int saved = errno;
    if (gg_session()->socket != NULL && holds_placeholder(fd))
        force_open(fd);
    errno = saved;
}

static int ends_rule(int dir, const char *path, long long size)
{
    char end[GG_RULE_NEWLINES];
    int fd = gg_raw_open(dir, path, O_RDONLY | O_CLOEXEC);
    int is = fd >= 0 && pread(fd, end, sizeof end, size - (long long)sizeof end) == sizeof end && gg_ends_rule(end);
    if (fd >= 0)
        close(fd);
    return is;
}

void gg_make_exact(int dir, const char *path)
{
    char full[PATH_MAX];
    struct stat st;
    int saved = errno;
    if (gg_session()->socket != NULL && !gg_session()->bypass && gg_status(dir, path, &st) == 0 &&
        S_ISREG(st.st_mode) && gg_may_be_rule(st.st_size) && ends_rule(dir, path, st.st_size) && !gg_reads_rules(0) &&
        gg_absolute(dir, path, full) == 0) {
        struct gg_reply reply;
        if (ask(full, &reply) == NULL) /* else nobody is there who could, and what is there will do */
            gg_reply_free(&reply);
    }
    errno = saved;
}
