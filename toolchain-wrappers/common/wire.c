#define _GNU_SOURCE
#include "wire.h"

#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define VERSION 2
#define HEAD_SIZE 84
#define STREAMS_AT 20
#define GG_NAME_MAX 90
#define REPLY_MAX (1u << 30)
#define CONNECT_TRIES 40
#define CONNECT_PAUSE_NS 5000000L

static void put32(char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(value >> (8 * i));
}

static void put64(char *at, uint64_t value)
{
    put32(at, (uint32_t)value);
    put32(at + 4, (uint32_t)(value >> 32));
}

static uint32_t get32(const char *at)
{
    const unsigned char *b = (const unsigned char *)at;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

int gg_write_all(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t n = write(fd, at, size);
        if (n >= 0) {
            at += n;
            size -= (size_t)n;
        } else if (errno == EAGAIN) { /* a pipe that someone made non-blocking: make does it to its own output */
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            poll(&p, 1, -1);
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

static int send_all(int fd, const char *at, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
        if (n >= 0) {
            at += n;
            size -= (size_t)n;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

static int receive_all(int fd, char *at, size_t size)
{
    while (size > 0) {
        ssize_t n = recv(fd, at, size, 0);
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

/* The address of a socket. A path too long for sun_path is reached through its directory, held open in *holder. */
static int address_of(const char *path, struct sockaddr_un *address, int *holder)
{
    size_t size = strlen(path);
    *holder = -1;
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (size < sizeof address->sun_path) {
        memcpy(address->sun_path, path, size + 1);
        return 0;
    }
    const char *slash = strrchr(path, '/');
    char directory[4096];
    if (slash == NULL || (size_t)(slash - path) >= sizeof directory)
        return -1;
    memcpy(directory, path, (size_t)(slash - path));
    directory[slash - path] = '\0';
    /* In the interposer, open() is our own wrapper. */
    int fd = gg_raw_open(AT_FDCWD, directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    char digits[12];
    int n = 0;
    for (int value = fd; n == 0 || value > 0; value /= 10)
        digits[n++] = (char)('0' + value % 10);
    char *at = address->sun_path;
    memcpy(at, "/proc/self/fd/", 14);
    at += 14;
    while (n > 0)
        *at++ = digits[--n];
    if ((size_t)(at - address->sun_path) + strlen(slash) >= sizeof address->sun_path) {
        close(fd);
        return -1;
    }
    memcpy(at, slash, strlen(slash) + 1);
    *holder = fd;
    return 0;
}

const char *gg_room;

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000U
#endif

int gg_is_away(void)
{
    struct statx root;
    char *end;
    if (gg_room == NULL ||
        gg_raw(SYS_statx, AT_FDCWD, (long)(intptr_t) "/", 0, STATX_INO | STATX_MNT_ID, (long)(intptr_t)&root, 0) != 0)
        return 0;
    uint64_t mount = strtoull(gg_room, &end, 10), inode = strtoull(end + (*end == ':'), NULL, 10);
    return root.stx_ino != inode || ((root.stx_mask & STATX_MNT_ID) && root.stx_mnt_id != mount);
}

/* Is it the recorder that listens there? A name that is in no directory may be anybody's: everybody can see it, and take it where
 * there is no recorder yet, or no more. The recorder says first what only its own build knows, GG_ROOM. Another user is not even
 * listened to, for he might say nothing; but in a user namespace whoever has no number there has one and the same. */
static int is_recorder(int fd)
{
    enum { NOBODY = 65534 }; /* /proc/sys/kernel/overflowuid */
    char said[160];
    struct ucred peer;
    socklen_t got = sizeof peer;
    const char *last = gg_room != NULL ? strrchr(gg_room, ':') : NULL;
    size_t size = last != NULL ? strlen(gg_room) : sizeof said;
    if (size >= sizeof said || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &got) != 0)
        return 0;
    if (peer.uid != 0 && peer.uid != geteuid() && peer.uid != NOBODY && peer.uid != strtoul(last + 1, NULL, 10))
        return 0;
    return receive_all(fd, said, size) == 0 && memcmp(said, gg_room, size) == 0;
}

/* If the socket's directory cannot be reached, by another user or in a sandbox, the recorder is found by a name that is in
 * no directory: the end of the path. */
static int connect_anywhere(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(path), room = GG_NAME_MAX;
    size_t used = size < room ? size : room;
    memcpy(address.sun_path + 1, path + size - used, used);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + used);
    if (fd >= 0 && (connect(fd, (const struct sockaddr *)&address, length) != 0 || !is_recorder(fd))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Connect, trying again for a moment when the recorder's queue of connections is full. */
static int connect_to(const char *path)
{
    struct sockaddr_un address;
    int holder;
    if (address_of(path, &address, &holder) != 0)
        return connect_anywhere(path);
    int fd = -1;
    for (int i = 0; i < CONNECT_TRIES; i++) {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
            break;
        int why = errno;
        close(fd);
        fd = -1;
        if (why != EAGAIN && why != EINTR) /* refused: who listened there was killed */
            break;
        nanosleep(&(struct timespec){.tv_nsec = CONNECT_PAUSE_NS}, NULL);
    }
    if (holder >= 0)
        close(holder);
    return fd >= 0 ? fd : connect_anywhere(path);
}

static size_t strings_size(char *const list[], uint32_t *count)
{
    size_t size = 0;
    *count = 0;
    for (; list != NULL && list[*count] != NULL; (*count)++)
        size += strlen(list[*count]) + 1;
    return size;
}

static char *put_string(char *at, const char *string)
{
    size_t size = strlen(string) + 1;
    memcpy(at, string, size);
    return at + size;
}

static void *map_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Describe standard output and error: the recorder wants to know who reads them. All zeros for one that is closed. */
static void put_streams(char *at)
{
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++, at += 32) {
        struct stat info;
        if (fstat(fd, &info) != 0)
            continue;
        put64(at, info.st_dev);
        put64(at + 8, info.st_ino);
        put64(at + 16, info.st_rdev);
        put32(at + 24, info.st_mode);
        put32(at + 28, info.st_nlink < UINT32_MAX ? (uint32_t)info.st_nlink : UINT32_MAX);
    }
}

static const char *send_request(int fd, enum gg_op op, uint32_t umask, const char *path, const char *cwd,
                                char *const argv[], char *const envp[], const char *streams)
{
    uint32_t argc, envc;
    size_t size = HEAD_SIZE + strlen(path) + strlen(cwd) + 2;
    size += strings_size(argv, &argc);
    size += strings_size(envp, &envc);
    if (size > UINT32_MAX)
        return "the command line is too long";
    char *memory = map_memory(size + 4);
    if (memory == NULL)
        return "no memory";
    put32(memory, (uint32_t)size);
    char *at = memory + 4;
    at[0] = VERSION;
    at[1] = (char)op;
    at[2] = (char)gg_is_away();
    put32(at + 4, umask);
    put32(at + 8, (uint32_t)getpid());
    put32(at + 12, argc);
    put32(at + 16, envc);
    memcpy(at + STREAMS_AT, streams, HEAD_SIZE - STREAMS_AT);
    at = put_string(put_string(at + HEAD_SIZE, path), cwd);
    for (uint32_t i = 0; i < argc; i++)
        at = put_string(at, argv[i]);
    for (uint32_t i = 0; i < envc; i++)
        at = put_string(at, envp[i]);
    int failed = send_all(fd, memory, size + 4);
    munmap(memory, size + 4);
    return failed ? "the recorder hung up" : NULL;
}

static int parse_reply(struct gg_reply *r)
{
    const char *at = r->memory;
    size_t size = r->memory_size;
    uint8_t kind = (uint8_t)at[0];
    r->kind = (enum gg_kind)kind;
    if (kind == GG_READY)
        return size == 4 ? 0 : -1;
    if (kind == GG_EXIT || kind == GG_FAILED) {
        if (size < 16)
            return -1;
        r->status = (int32_t)get32(at + 4);
        r->out_size = get32(at + 8);
        r->err_size = get32(at + 12);
        r->out = at + 16;
        r->err = r->out + r->out_size;
        return (uint64_t)r->out_size + r->err_size + 16 == size ? 0 : -1;
    }
    if (kind != GG_EXEC || size < 12)
        return -1;
    r->argc = get32(at + 4);
    r->envc = get32(at + 8);
    r->strings = at + 12;
    uint64_t strings = 0;
    for (const char *p = r->strings; p < at + size; p++)
        strings += *p == '\0';
    return strings == (uint64_t)r->argc + r->envc + 1 && r->argc > 0 && at[size - 1] == '\0' ? 0 : -1;
}

const char *gg_ask(const char *socket_path, enum gg_op op, uint32_t umask, const char *path, const char *cwd,
                   char *const argv[], char *const envp[], struct gg_reply *reply)
{
    char streams[HEAD_SIZE - STREAMS_AT] = {0};
    memset(reply, 0, sizeof *reply);
    if (op == GG_CALL)
        put_streams(streams); /* before the connection takes a descriptor that is free */
    int fd = connect_to(socket_path);
    if (fd < 0)
        return "the recorder does not answer (is gg-infer still running?)";
    const char *trouble = send_request(fd, op, umask, path, cwd, argv, envp, streams);
    char length[4];
    if (trouble == NULL && receive_all(fd, length, sizeof length) != 0)
        trouble = "the recorder hung up";
    if (trouble == NULL) {
        reply->memory_size = get32(length);
        if (reply->memory_size < 4 || reply->memory_size > REPLY_MAX)
            trouble = "the recorder's answer makes no sense";
        else if ((reply->memory = map_memory(reply->memory_size)) == NULL)
            trouble = "no memory";
        else if (receive_all(fd, reply->memory, reply->memory_size) != 0)
            trouble = "the recorder hung up";
        else if (parse_reply(reply) != 0)
            trouble = "the recorder's answer makes no sense";
    }
    close(fd);
    if (trouble != NULL)
        gg_reply_free(reply);
    return trouble;
}

void gg_reply_free(struct gg_reply *reply)
{
    if (reply->memory != NULL)
        munmap(reply->memory, reply->memory_size);
    reply->memory = NULL;
}
