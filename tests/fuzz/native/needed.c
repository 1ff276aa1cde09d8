/* What the interposer reads of an ELF file, to have its libraries forced; and of a script. Every library that is named is found:
 * it is the same file again. */
#include "../../../toolchain-wrappers/record/needed.c"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char own[64];

const struct gg_session *gg_session(void)
{
    static struct gg_session session = {.socket = "socket"};
    return &session;
}

int gg_absolute(int dir, const char *path, char full[PATH_MAX])
{
    (void)dir;
    size_t size = strlen(path);
    if (path[0] != '/' || size >= PATH_MAX)
        return -1;
    memcpy(full, path, size + 1);
    return 0;
}

int gg_status(int dir, const char *path, struct stat *st)
{
    return fstatat(dir, path, st, 0);
}

int gg_force_path(int dir, const char *path)
{
    (void)dir;
    return path[0] == '!' ? -1 : 0;
}

int gg_is_well_known(const char *name)
{
    return name[0] == 'x';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char search[] = "LD_LIBRARY_PATH=/proc/self/fd", *envp[] = {search, NULL};
    if (fd < 0) {
        fd = memfd_create("program", MFD_CLOEXEC);
        snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
    }
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    struct gg_program program = {0};
    gg_force_needed(AT_FDCWD, own, envp, &program);
    return 0;
}
