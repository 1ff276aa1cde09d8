/* readers VARIANT FILE: print what one way of opening FILE finds; its error number as exit status. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);

static int print_fd(int fd)
{
    char bytes[512];
    if (fd < 0)
        return errno;
    ssize_t n = read(fd, bytes, sizeof bytes);
    return n < 0 || write(1, bytes, (size_t)n) != n ? 90 : 0;
}

static int print_stream(FILE *file)
{
    char bytes[512];
    if (file == NULL)
        return errno;
    return fwrite(bytes, 1, fread(bytes, 1, sizeof bytes, file), stdout) > 0 ? 0 : 91;
}

int main(int argc, char *argv[])
{
    if (argc != 3)
        return 98;
    const char *how = argv[1], *path = argv[2];
    struct stat st;
    if (strcmp(how, "open") == 0)
        return print_fd(open(path, O_RDONLY));
    if (strcmp(how, "open64") == 0)
        return print_fd(open64(path, O_RDONLY));
    if (strcmp(how, "openat") == 0)
        return print_fd(openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC));
    if (strcmp(how, "openat64") == 0)
        return print_fd(openat64(AT_FDCWD, path, O_RDONLY));
    if (strcmp(how, "__open_2") == 0)
        return print_fd(__open_2(path, O_RDONLY));
    if (strcmp(how, "__open64_2") == 0)
        return print_fd(__open64_2(path, O_RDONLY));
    if (strcmp(how, "__openat_2") == 0)
        return print_fd(__openat_2(AT_FDCWD, path, O_RDONLY));
    if (strcmp(how, "rdwr") == 0)
        return print_fd(open(path, O_RDWR | O_CREAT, 0666));
    if (strcmp(how, "fopen") == 0)
        return print_stream(fopen(path, "r"));
    if (strcmp(how, "fopen64") == 0)
        return print_stream(fopen64(path, "r+"));
    if (strcmp(how, "freopen") == 0)
        return print_stream(freopen(path, "r", stdin));
    if (strcmp(how, "mmap") == 0) {
        int fd = open(path, O_RDONLY);
        if (fd < 0 || fstat(fd, &st) != 0)
            return errno;
        char *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        return write(1, at, (size_t)st.st_size) == st.st_size ? 0 : 92;
    }
    return 97;
}
