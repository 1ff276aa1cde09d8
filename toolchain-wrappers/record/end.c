/* A make or ninja answers as a whole: where whoever has started it may act on its status, the recorder defers its calls, and this
 * program asks, before it ends, how they have ended. The recorder has them forced, and shows what they print. The recorder marks
 * such a program by a file beside its socket, so that no other one asks.
 */
#define _GNU_SOURCE
#include "record.h"

#include "../common/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pid_t asks; /* the process that registered, and no child of its own without another program */
static int failed; /* its status when a command has failed */

/* The program's status where it ends by one. */
static int status_of(const char *name)
{
    static const char *const makes[] = {"make", "gmake", "remake"}, *const ninjas[] = {"ninja", "ninja-build", "samu"};
    for (size_t i = 0; i < sizeof makes / sizeof *makes; i++)
        if (strcmp(name, makes[i]) == 0)
            return 2;
    for (size_t i = 0; i < sizeof ninjas / sizeof *ninjas; i++)
        if (strcmp(name, ninjas[i]) == 0)
            return 1;
    return 0;
}

static int is_marked(const char *socket)
{
    char mark[PATH_MAX];
    const char *slash = strrchr(socket, '/');
    int n =
        slash == NULL ? -1 : snprintf(mark, sizeof mark, "%.*s/ends%d", (int)(slash - socket), socket, (int)getpid());
    return n > 0 && n < (int)sizeof mark && access(mark, F_OK) == 0;
}

/* What is in the streams has been printed by then, so the words of commands come behind it. */
static void end(int status)
{
    struct gg_reply reply;
    char *argv[] = {program_invocation_short_name, NULL};
    const char *socket = gg_session()->socket;
    if (getpid() != asks || socket == NULL || !is_marked(socket))
        return;
    fflush(NULL);
    if (gg_ask(socket, GG_END, 0, "", "/", argv, NULL, &reply) != NULL)
        return; /* no recorder: gg-infer has ended, and with it what it says of this build */
    int told = reply.kind == GG_EXIT ? reply.status : 0;
    if (reply.kind == GG_EXIT && reply.err_size > 0)
        gg_write_all(STDERR_FILENO, reply.err, reply.err_size);
    gg_reply_free(&reply);
    if (told != 0 && status == 0)
        _exit(failed);
}

#ifdef __GLIBC__
static void on_end(int status, void *nothing)
{
    (void)nothing;
    end(status);
}
#else
static void on_end(void)
{
    end(0);
}
#endif

/* What is registered first is called last: all else of the program's own has been done then. */
__attribute__((constructor)) static void begin(void)
{
    failed = gg_session()->socket != NULL ? status_of(program_invocation_short_name) : 0;
    if (failed == 0)
        return;
    asks = getpid();
#ifdef __GLIBC__
    on_exit(on_end, NULL);
#else
    atexit(on_end);
#endif
}
