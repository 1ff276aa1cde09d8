/* The shim's and the interposer's half of gg/record/protocol.py: one request, one reply, one connection. */
#ifndef GG_WIRE_H
#define GG_WIRE_H

#include <stddef.h>
#include <stdint.h>

enum gg_op { GG_CALL = 0, GG_FORCE = 1, GG_UNWATCHED = 2, GG_END = 3, GG_LOOK = 4 };
enum gg_kind { GG_EXIT = 0, GG_EXEC = 1, GG_READY = 2, GG_FAILED = 3 };

/* Of GG_FAILED: there is no such placeholder, or its command has failed (gg/record/protocol.py). */
enum { GG_NO_TARGET = 66, GG_UNMADE = 67 };

struct gg_reply {
    enum gg_kind kind;
    int32_t status;        /* EXIT, FAILED; a negative one is the signal that ended the tool */
    const char *out, *err; /* EXIT, FAILED: bytes for standard output and error */
    uint32_t out_size, err_size;
    uint32_t argc, envc; /* EXEC */
    const char *strings; /* EXEC: program, argv, environment edits, all checked to end within the reply */
    void *memory;        /* what gg_reply_free gives back */
    size_t memory_size;
};

/* The value of GG_ROOM, which the interposer has kept: the root directory of the recorder, its secret, its user. */
extern const char *gg_room;

/* Is this process in another mount namespace than the recorder, or below another root? A path that it uses may then mean
 * another file. */
int gg_is_away(void);

/* Send one request and wait for its answer. `envp` may be NULL (no environment).
 *
 * Returns NULL, or what went wrong in a few words. No stdio, no malloc, no thread-local state but errno: it is called
 * in any thread, and between vfork and exec. The connection is closed on exec, and no inherited descriptor is touched.
 */
const char *gg_ask(const char *socket_path, enum gg_op op, uint32_t umask, const char *path, const char *cwd,
                   char *const argv[], char *const envp[], struct gg_reply *reply);

void gg_reply_free(struct gg_reply *reply);

/* Write everything, waiting where the descriptor does not block by itself. 0, or -1 with errno. */
int gg_write_all(int fd, const void *bytes, size_t size);

#endif
