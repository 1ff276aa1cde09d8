/* gg-act SPEC OUT: run one thunk's command as an action of a cluster (gg/engines/reapi), in a directory that may be anywhere.
 *
 * It is started in the action's input root. In all that SPEC holds, the byte 1 stands for the path of that root, which is
 * empty where the root is shown as /. SPEC is a list of words, each ended by NUL, then the records of a path map:
 *
 *   mapped or plain       whether the command is kept to the path map, or runs in the root as it is
 *   FLAGS COUNT           of the path map's header, and how many records there are, in decimal
 *   LIBRARY               the path map
 *   TMPDIR                a directory for temporary files
 *   CWD                   where the command starts, by its own name
 *   PROGRAM               what is executed
 *   ARGC ARGV... ENVC ENV...
 *
 * OUT, a directory that is made, is the path map's scratch directory. When the command is over, OUT/told has a line, and then the
 * path map's marks, a byte a record:
 *
 *   status signal wall-ns cpu-ns memory-bytes dirty tmpdir
 *
 * Exit status: the command's, 128 + N when signal N killed it, so that no cluster keeps what failed. 125, and nothing in OUT/told:
 * the command could not be started.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WRONG 125
#define MARKS 288
#define ROOT '\1'

struct header { /* gg/run/pathmap.py */
    char magic[8];
    uint32_t flags, count, records, dirty, strings, length;
};

static char root[4096];
static size_t root_size;
static const char *at, *end; /* what is left of SPEC */

static _Noreturn void fail(const char *what, const char *name)
{
    int saved = errno;
    char line[512];
    int n = snprintf(line, sizeof line, "gg-act: %s %.300s: %s\n", what, name, strerror(saved));
    if (write(STDERR_FILENO, line, (size_t)n) < 0)
        _exit(WRONG);
    _exit(WRONG);
}

static void *memory(size_t size)
{
    void *found = malloc(size);
    if (found == NULL)
        fail("no memory for", "it");
    return found;
}

/* Copy a string with the root's path in place of each mark; returns the end of the copy, after its NUL. */
static char *expand(char *to, const char *from)
{
    for (; *from != '\0'; from++) {
        if (*from == ROOT) {
            memcpy(to, root, root_size);
            to += root_size;
        } else {
            *to++ = *from;
        }
    }
    *to++ = '\0';
    return to;
}

static size_t expanded_size(const char *text, size_t size)
{
    size_t marks = 0;
    for (size_t i = 0; i < size; i++)
        marks += text[i] == ROOT;
    return size + marks * root_size;
}

/* The next word as it is. */
static const char *word(void)
{
    const char *found = at;
    size_t size = at < end ? strnlen(at, (size_t)(end - at)) : 0;
    if (at + size >= end) {
        errno = EINVAL;
        fail("what it is told", "is cut short");
    }
    at += size + 1;
    return found;
}

static char *expanded_word(void)
{
    const char *from = word();
    char *to = memory(expanded_size(from, strlen(from)) + 1);
    expand(to, from);
    return to;
}

static char *joined(const char *first, const char *second)
{
    char *to = memory(strlen(first) + strlen(second) + 1);
    stpcpy(stpcpy(to, first), second);
    return to;
}

static char **words(size_t room)
{
    size_t count = strtoul(word(), NULL, 10);
    if (count > (size_t)(end - at)) {
        errno = EINVAL;
        fail("what it is told", "is cut short");
    }
    char **list = memory((count + room + 1) * sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = expanded_word();
    list[count] = NULL;
    return list;
}

static void make_directories(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0777);
        *slash = '/';
    }
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        fail("cannot make", path);
}

static const char *read_file(const char *path, size_t *size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        fail("cannot read", path);
    *size = (size_t)st.st_size;
    const char *found = *size > 0 ? mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0) : "";
    if (found == MAP_FAILED)
        fail("cannot read", path);
    close(fd);
    return found;
}

static void write_all(int fd, const char *data, size_t size, const char *path)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            fail("cannot write", path);
        data += n;
        size -= (size_t)n;
    }
}

static int create(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        fail("cannot write", path);
    return fd;
}

/* Write the path map of these records, which are the rest of SPEC. */
static void write_map(const char *path, const char *scratch, uint32_t flags, uint32_t count)
{
    size_t room = MARKS + count + 2 * strlen(scratch) + 16 + expanded_size(at, (size_t)(end - at));
    char *map = memory(room), *to = map + MARKS + count;
    struct header head = {.magic = "GGMAP\0\0\1", .flags = flags, .count = count};
    memset(map, 0, MARKS + count);
    head.strings = (uint32_t)(to - map);
    to = stpcpy(to, scratch) + 1;
    to = stpcpy(stpcpy(to, scratch), "/report") + 1;
    head.records = (uint32_t)(to - map);
    while (at < end) {
        char kind = *at++;
        *to++ = kind;
        const char *name = word(), *target = word();
        to = expand(to, name);
        to = kind == 'L' ? stpcpy(to, target) + 1 : expand(to, target);
    }
    head.length = (uint32_t)(to - map);
    memcpy(map, &head, sizeof head);
    int fd = create(path);
    write_all(fd, map, head.length, path);
    close(fd);
    free(map);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t ns_of(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u;
}

/* As execve. ETXTBSY passes by itself: the process that wrote the program has closed it, but a child that it forked meanwhile
   holds it open until it starts a program of its own. */
static int start(const char *program, char **argv, char **env)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    for (int tries = 500; tries > 0; tries--) {
        execve(program, argv, env);
        if (errno != ETXTBSY)
            break;
        nanosleep(&pause, NULL);
    }
    return errno;
}

static int run(const char *directory, const char *program, char **argv, char **env, int trouble)
{
    pid_t child = fork();
    if (child < 0)
        fail("cannot start", program);
    if (child == 0) {
        int null = open("/dev/null", O_RDONLY);
        if (null >= 0)
            dup2(null, STDIN_FILENO);
        int error = chdir(directory) != 0 ? errno : 0;
        if (error == 0) {
            error = start(program, argv, env);
        }
        _exit(write(trouble, &error, sizeof error) == (ssize_t)sizeof error ? 127 : 126);
    }
    close(trouble);
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            fail("cannot wait for", program);
    return status;
}

/* What of the command is still there is over too: it has nobody to tell. */
static void end_others(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
}

static void tell(const char *out, const char *map_path, int status, uint64_t wall, const char *tmp, uint32_t count)
{
    struct rusage used;
    struct header head = {.count = 0};
    size_t size = 0;
    const char *map = map_path != NULL ? read_file(map_path, &size) : "";
    if (size >= MARKS + count)
        memcpy(&head, map, sizeof head);
    getrusage(RUSAGE_CHILDREN, &used);
    char line[4400];
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    int n =
        snprintf(line, sizeof line, "%d %d %llu %llu %llu %u %s\n", signal ? 128 + signal : WEXITSTATUS(status),
                 signal, (unsigned long long)wall, (unsigned long long)(ns_of(used.ru_utime) + ns_of(used.ru_stime)),
                 (unsigned long long)used.ru_maxrss * 1024, head.dirty, tmp);
    char *path = joined(out, "/told");
    int fd = create(path);
    write_all(fd, line, (size_t)n, path);
    if (size >= MARKS + count)
        write_all(fd, map + MARKS, count, path);
    close(fd);
}

int main(int argc, char *argv[])
{
    size_t size, count = 0;
    if (argc != 3 || getcwd(root, sizeof root) == NULL)
        return WRONG;
    root_size = strlen(root);
    if (root_size == 1)
        root_size = 0; /* the root itself */
    root[root_size] = '\0';
    at = read_file(argv[1], &size);
    end = at + size;
    char *out = joined(root, joined("/", argv[2]));
    make_directories(joined(out, "/w"));
    make_directories(joined(out, "/gone"));
    int mapped = strcmp(word(), "mapped") == 0;
    uint32_t flags = (uint32_t)strtoul(word(), NULL, 10), records = (uint32_t)strtoul(word(), NULL, 10);
    char *library = expanded_word(), *tmp = expanded_word(), *cwd = expanded_word();
    const char *program = expanded_word();
    char **arguments = words(0), **env = words(3);
    make_directories(joined(tmp, ""));
    while (env[count] != NULL)
        count++;
    env[count++] = joined("TMPDIR=", tmp);
    char *map = joined(out, "/map");
    if (mapped) {
        write_map(map, out, flags, records);
        cwd = joined(joined(out, "/w"), cwd);
        env[count++] = joined("LD_PRELOAD=", library);
        env[count++] = joined("GG_MAP=", map);
    }
    env[count] = NULL;
    make_directories(cwd);
    int trouble[2], error = 0;
    if (pipe2(trouble, O_CLOEXEC) != 0)
        fail("cannot start", program);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    uint64_t begun = now_ns();
    int status = run(cwd, program, arguments, env, trouble[1]);
    uint64_t wall = now_ns() - begun;
    end_others();
    if (read(trouble[0], &error, sizeof error) == (ssize_t)sizeof error) {
        errno = error;
        fail("cannot start", program);
    }
    tell(out, mapped ? map : NULL, status, wall, tmp, records);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
