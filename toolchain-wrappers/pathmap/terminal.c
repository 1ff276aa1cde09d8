/* Whether standard error is a terminal: a compiler asks, and prints in colour. With the flag TERMINAL it is one for all
 * who ask (gg/core/colour.py). Its settings and its size cannot be had. */
#include "pathmap.h"

#include <sys/ioctl.h>
#include <termios.h>

GG_EXPORT int isatty(int fd)
{
    char settings[256]; /* the kernel's struct termios, of 36 to 60 bytes */
    if (fd == STDERR_FILENO && (gg_the_map()->flags & GG_TERMINAL))
        return 1;
    return syscall(SYS_ioctl, fd, TCGETS, settings) == 0;
}
