/* What the C programs read of a file that is about to be executed: loader, interpreter, Go's note, system calls in code. */
#define _GNU_SOURCE
#include "../../../toolchain-wrappers/common/go.h"
#include "../../../toolchain-wrappers/common/placeholder.h"
#include "../../../toolchain-wrappers/common/program.h"

#include <stdlib.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static volatile size_t seen;
    if (fd < 0)
        fd = memfd_create("program", MFD_CLOEXEC);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    char *head = malloc(size + 1), *argument, loader[64];
    memcpy(head, data, size);
    if (gg_elf_loader(fd, head, size, loader, sizeof loader) == GG_HAS_LOADER)
        seen = strlen(loader);
    seen = (size_t)(gg_is_go(head, size) + gg_has_calls(head, size) + gg_opens_by_itself(head, size));
    char *interpreter = gg_script_interpreter(head, size, &argument);
    if (interpreter != NULL)
        seen = strlen(interpreter) + strlen(argument);
    free(head);
    if (size >= GG_PLACEHOLDER_SIZE) {
        char *file = malloc(GG_PLACEHOLDER_SIZE);
        memcpy(file, data, GG_PLACEHOLDER_SIZE);
        seen = (size_t)(gg_is_placeholder(file) + gg_ends_rule(file + GG_PLACEHOLDER_SIZE - GG_RULE_NEWLINES));
        free(file);
    }
    return 0;
}
