/* Which programs are modelled tools: the rules of gg/models/tool_names.py, by hand; the names come from there, as GG_TOOLS. A name
 * too many costs a question to the recorder, which runs the program; a name too few costs a compile that is not recorded. */
#define _GNU_SOURCE
#include "record.h"

#include <string.h>

/* How the first component of a target's name begins. */
static const char architectures[] =
    "x86_64:amd64:i386:i486:i586:i686:i786:aarch64:arm:thumb:mips:powerpc:ppc:riscv:s390:sparc:sh:m68k:alpha:hppa:"
    "ia64:"
    "loongarch:avr:msp430:xtensa:nios2:microblaze:or1k:arc:csky:bfin:rx:rl78:v850:h8300:lm32:tricore:bpf:amdgcn:nvptx:"
    "wasm:cris:frv:m32c:m32r:mn10300:tic6x:vax:e2k:hexagon:pru:visium:epiphany:moxie:ft32:nds32:k1om:tile:rs6000:eb:"
    "el";

static int listed(const char *list, const char *name, size_t size)
{
    while (*list != '\0') {
        size_t n = strcspn(list, ":");
        if (n == size && memcmp(list, name, n) == 0)
            return 1;
        list += n + (list[n] == ':');
    }
    return 0;
}

static int begins_with_one(const char *list, const char *name)
{
    while (*list != '\0') {
        size_t n = strcspn(list, ":");
        if (n > 0 && strncmp(list, name, n) == 0)
            return 1;
        list += n + (list[n] == ':');
    }
    return 0;
}

/* The length of `name` without an ending "-12", "-12.2", "-posix", "-win32". */
static size_t without_ending(const char *name, size_t size)
{
    static const char *const threads[] = {"-posix", "-win32"};
    for (int i = 0; i < 2; i++)
        if (size > 6 && memcmp(name + size - 6, threads[i], 6) == 0)
            size -= 6;
    size_t n = size;
    while (n > 0 && ((name[n - 1] >= '0' && name[n - 1] <= '9') || name[n - 1] == '.'))
        n--;
    return n > 1 && n < size && name[n - 1] == '-' ? n - 1 : size;
}

/* `*` and `?` are what they are to a shell, and match slashes. */
static int matches(const char *pattern, size_t size, const char *text)
{
    const char *end = pattern + size, *star = NULL, *again = NULL;
    while (*text != '\0') {
        if (pattern < end && *pattern == '*') {
            star = pattern++;
            again = text;
        } else if (pattern < end && (*pattern == '?' || *pattern == *text)) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++again;
        } else {
            return 0;
        }
    }
    while (pattern < end && *pattern == '*')
        pattern++;
    return pattern == end;
}

int gg_is_declared(const char *path)
{
    const char *list = gg_session()->declared, *slash = strrchr(path, '/');
    while (list != NULL && *list != '\0') {
        size_t n = strcspn(list, ":");
        if (n > 0 && matches(list, n, memchr(list, '/', n) != NULL || slash == NULL ? path : slash + 1))
            return 1;
        list += n + (list[n] == ':');
    }
    return 0;
}

int gg_is_tool(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const char *tools = gg_session()->tools != NULL ? gg_session()->tools : "";
    size_t size = without_ending(name, strlen(name));
    if (gg_is_declared(path))
        return 1;
    if (size == 0)
        return 0;
    if (listed(tools, name, size))
        return 1;
    if (!begins_with_one(architectures, name))
        return 0;
    for (size_t i = 1; i + 1 < size; i++)
        if (name[i] == '-' && listed(tools, name + i + 1, size - i - 1))
            return 1;
    return 0;
}
