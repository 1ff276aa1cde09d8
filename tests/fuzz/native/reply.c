/* The shim's and the interposer's reader of what the recorder answers: all that it says to be there is read. */
#include "../../../toolchain-wrappers/common/wire.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned sum(const char *from, size_t size)
{
    unsigned all = 0;
    for (size_t i = 0; i < size; i++)
        all += (unsigned char)from[i];
    return all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static volatile unsigned seen;
    if (size < 4) /* gg_ask lets nothing shorter through */
        return 0;
    char *copy = malloc(size);
    memcpy(copy, data, size);
    struct gg_reply reply = {.memory = copy, .memory_size = size};
    if (parse_reply(&reply) == 0 && (reply.kind == GG_EXIT || reply.kind == GG_FAILED)) {
        seen = sum(reply.out, reply.out_size) + sum(reply.err, reply.err_size);
    } else if (reply.kind == GG_EXEC && reply.argc > 0 && parse_reply(&reply) == 0) {
        const char *at = reply.strings;
        for (uint64_t i = 0; i < (uint64_t)reply.argc + reply.envc + 1; i++, at += strlen(at) + 1)
            seen = sum(at, strlen(at));
    }
    free(copy);
    return 0;
}
