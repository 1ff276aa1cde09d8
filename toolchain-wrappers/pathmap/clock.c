/* The time of day, moved by GG_CLOCK seconds for a command that is repeated to see whether its outputs tell the time
 * (gg/compare/repeat.py). Without that variable it is the kernel's time. A monotonic clock is never moved. */
#include "pathmap.h"

#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static time_t moved_by(clockid_t clock)
{
    const char *told = getenv("GG_CLOCK");
    if (told == NULL || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE && clock != CLOCK_TAI))
        return 0;
    return (time_t)strtoll(told, NULL, 10);
}

GG_EXPORT int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed)
        now->tv_sec += moved_by(clock);
    return failed;
}

GG_EXPORT time_t time(time_t *to)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (to != NULL)
        *to = now.tv_sec;
    return now.tv_sec;
}

GG_EXPORT int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec exact;
    struct timeval *volatile to = now; /* the C library says that it is never NULL; a caller may not know that */
    clock_gettime(CLOCK_REALTIME, &exact);
    if (zone != NULL)
        *(struct timezone *)zone = (struct timezone){0, 0};
    if (to != NULL) {
        to->tv_sec = exact.tv_sec;
        to->tv_usec = (suseconds_t)(exact.tv_nsec / 1000);
    }
    return 0;
}

GG_EXPORT int timespec_get(struct timespec *now, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}
