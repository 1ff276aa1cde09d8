/* The C library's own function behind one of ours. */
#define _GNU_SOURCE

#include "interpose.h"

#include <dlfcn.h>

/* The oldest version of the only recent symbol we need, so that the library also loads under an older C library than
 * it was built with. */
#if defined(__GLIBC__) && defined(__x86_64__)
__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");
#elif defined(__GLIBC__) && defined(__aarch64__)
__asm__(".symver dlsym, dlsym@GLIBC_2.17");
#endif

void *gg_next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}
