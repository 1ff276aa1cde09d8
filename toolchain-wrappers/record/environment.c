/* gg's part of the environment of a program that is about to start. Nearly always it is complete (exec.c); two kinds get less.
 *
 * The dynamic loader, asked to list what it would load, as ldd does, would list this library too: it goes without.
 * And gg's own commands leave the recording that they were started in, by executing themselves once more with GG_OUTSIDE
 * set: they read placeholders as such, and run tools for real.
 */
#define _GNU_SOURCE
#include "record.h"

#include <stdlib.h>
#include <string.h>

static const char preload[] = "LD_PRELOAD=";
static const char library[] = "libgg-record.so";
static const char *const ours[] = {"GG_SOCKET=", "GG_SHIM=",    "GG_SHIMS=",   "GG_TOOLS=", "GG_DECLARED=",
                                   "GG_BYPASS=", "GG_WATCHED=", "GG_OUTSIDE=", "GG_ROOM=",  NULL};

static int begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static int is_ours(const char *variable)
{
    for (int i = 0; ours[i] != NULL; i++)
        if (begins(variable, ours[i]))
            return 1;
    return 0;
}

static int has(char *const envp[], const char *name)
{
    for (; envp != NULL && *envp != NULL; envp++)
        if (begins(*envp, name))
            return 1;
    return 0;
}

/* The loader itself lists with --list; a program does when the loader is told so by the environment. */
static int lists_libraries(const char *path, char *const argv[], char *const envp[])
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    if (has(envp, "LD_TRACE_LOADED_OBJECTS="))
        return 1;
    for (; begins(name, "ld") && argv != NULL && *argv != NULL; argv++)
        if (strcmp(*argv, "--list") == 0)
            return 1;
    return 0;
}

int gg_gets_less(const char *path, char *const argv[], char *const envp[])
{
    return has(envp, "GG_OUTSIDE=") || lists_libraries(path, argv, envp);
}

/* LD_PRELOAD without our library, written to `to`; NULL if nothing is left. */
static char *without_library(const char *variable, char *to)
{
    char *at = stpcpy(to, preload);
    for (const char *list = variable + sizeof preload - 1; *list != '\0';) {
        size_t n = strcspn(list, ": ");
        size_t m = sizeof library - 1;
        if (n > 0 && !(n > m && list[n - m - 1] == '/' && memcmp(list + n - m, library, m) == 0)) {
            if (at > to + sizeof preload - 1)
                *at++ = ':';
            at = mempcpy(at, list, n);
        }
        list += n + (list[n] != '\0');
    }
    *at = '\0';
    return at > to + sizeof preload - 1 ? to : NULL;
}

size_t gg_less_bytes(char *const envp[])
{
    for (; envp != NULL && *envp != NULL; envp++)
        if (begins(*envp, preload))
            return strlen(*envp) + 1;
    return 1;
}

char *const *gg_less(char *const envp[], char **list, char *bytes)
{
    int outside = has(envp, "GG_OUTSIDE="), seen = 0;
    size_t n = 0;
    for (char *const *e = envp; e != NULL && *e != NULL; e++) {
        if (begins(*e, preload))
            list[n] = seen++ == 0 ? without_library(*e, bytes) : NULL; /* the first one counts */
        else
            list[n] = outside && is_ours(*e) ? NULL : *e;
        n += list[n] != NULL;
    }
    list[n] = NULL;
    return list;
}
