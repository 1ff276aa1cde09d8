"""Directories of a build that links put below /dev/shm: commands see these as they are, so nothing there can wait."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest

from tests.e2e.project import Project, by_make

# `d` is a link to a directory below /dev/shm.
BUILDS = {
    "objects": "gcc -g -c a.c -o d/a.o; gcc d/a.o main.c -o d/p; gcc d/a.o main.c -o q; rm d/*",
    "a header that changes": "cp h.h d; rm h.h; gcc -Id -c a.c; echo '#define H 5' > d/h.h; gcc -Id -c a.c -o b.o; rm d/*",
    "a header that comes": "mkdir e; mv h.h e; gcc -Id -Ie -c a.c; echo '#define H 5' > d/h.h; gcc -Id -Ie -c a.c -o b.o; rm d/*",
    "a source": "cp a.c d; gcc -I. -g -c d/a.c; echo 'int a = 9;' > d/a.c; gcc -g -c d/a.c -o b.o; rm d/*",
    "an archive": "gcc -c a.c; ar rc d/liba.a a.o; gcc main.c -Ld -la -o p; ar rc d/liba.a; rm d/*",
    "a shared library": "gcc main.c -Ld -l:liba.a -o n || gcc -shared a.c -o d/liba.so; gcc main.c -Ld -la -o p; rm d/*",
    "an edited file": "gcc -g -c a.c -o d/a.o; strip -g d/a.o; objcopy d/a.o b.o; rm d/*",
    "a compiler": "cp /bin/true d/; printf '#!/bin/sh\\nexec gcc -O2 \"$@\"\\n' > d/gcc; chmod +x d/gcc; d/gcc -c a.c; rm d/*",
}  # fmt: skip


@pytest.fixture
def shared(project: Project) -> Iterator[Project]:
    project.write("a.c", '#include "h.h"\nint a(void) { return H; }\n')
    project.write("h.h", "#define H 3\n")
    project.write("main.c", "int a(void);\nint main(void) { return a() - 3; }\n")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        project.path("d").symlink_to(directory)
        yield project


@pytest.mark.parametrize("how", BUILDS)
def test_a_directory_in_shared_memory(how: str, shared: Project) -> None:
    shared.same_as_plain(*by_make(shared, BUILDS[how]), make=False)
