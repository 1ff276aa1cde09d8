"""Programs with AddressSanitizer, which wants its programs dynamic; those of gg are static, so that nothing is preloaded into them.

What a preloaded library would change is taken back: calls that one of gg's libraries answers go to the C library past it, and the
environment is again the one that the program was started with.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

_FLAGS = ("-fsanitize=address", "-g", "-fno-omit-frame-pointer", "-Wno-error")

# A leak ends with its process, and looking for leaks wants to trace it.
_RUNTIME = r"""#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <unistd.h>

const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0:verify_asan_link_order=0:handle_segv=0:exitcode=86"; }

#define PAST(name) \
    void *past_##name; \
    __asm__(".pushsection .text\n.globl go_past_" #name "\ngo_past_" #name ": jmp *past_" #name "(%rip)\n.popsection\n");
#include "past.h"
#undef PAST

static char text[1 << 20], *words[1 << 14];

/* Before a library's constructor has changed anything, in its place too. The sanitizer is not there yet. */
__attribute__((no_sanitize("address"))) static void keep(int argc, char **argv, char **env)
{
    char *at = text;
    (void)argc, (void)argv;
    for (size_t count = 0; *env != NULL; env++) {
        words[count++] = at;
        for (const char *from = *env; (*at++ = *from) != '\0'; from++)
            continue;
    }
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(int, char **, char **) = keep;

__attribute__((constructor)) static void begin(void)
{
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
#define PAST(name) past_##name = dlsym(libc, #name);
#include "past.h"
    environ = words;
}
"""


def program(made: Path, sources: Sequence[Path], flags: Sequence[str], libraries: Sequence[Path]) -> None:
    """`made` from `sources`, as if it were static to the preloaded `libraries`."""
    where = made.parent / f"{made.name}.d"
    where.mkdir()
    subprocess.run(["cc", *flags, *_FLAGS, "-c", *map(str, sources)], cwd=where, check=True)
    objects = sorted(where.glob("*.o"))
    past = sorted(_names("-u", objects) & _names("-D", libraries, "--defined-only"))
    (where / "past.h").write_text("".join(f"PAST({name})\n" for name in past))
    (where / "past.names").write_text("".join(f"{name} go_past_{name}\n" for name in past))
    for each in objects:
        subprocess.run(["objcopy", "--redefine-syms", where / "past.names", each], check=True)
    (where / "runtime.c").write_text(_RUNTIME)
    subprocess.run(["cc", "-fPIE", "-c", "runtime.c"], cwd=where, check=True)
    subprocess.run(["cc", *_FLAGS, "-static-libasan", "-o", made, *sorted(where.glob("*.o"))], check=True)


def _names(which: str, files: Sequence[Path], *more: str) -> set[str]:
    """The symbols of `files` that `nm` tells of."""
    told = subprocess.run(["nm", which, *more, *files], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in told.splitlines() if line.split()[-2:-1] and len(line.split()) > 1}
