"""A call that an earlier session recorded is answered from memory, and never when anything that led to it has changed."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable
from typing import cast

import msgpack
import pytest

from tests.e2e.project import Project, by_make

MAKEFILE = """
prog: main.o
	gcc -o prog main.o
main.o: main.c FORCE
	gcc $(FLAGS) -Ifirst -Isecond -MD -MP -c -o main.o main.c
FORCE:
"""


def recalled(project: Project) -> object:
    """How many calls of the last session were answered from memory."""
    lines = (project.records / "history.jsonl").read_text().splitlines()
    return next(line for line in map(json.loads, reversed(lines)) if line["what"] == "infer")["recalled"]


@pytest.fixture
def built(project: Project) -> Project:
    project.path("first").mkdir()
    project.write("one/v.h", "#define V 1\n")
    project.write("two/v.h", "#define V 2\n")
    project.path("second").symlink_to("one")
    project.write("inner.h", "#define W 10\n")
    project.write("w.h", '#include "inner.h"\n')
    project.write("main.c", '#include <stdio.h>\n#include <v.h>\n#include "w.h"\nint main(void) { return V + W; }\n')
    project.write("Makefile", MAKEFILE)
    project.infer()
    assert recalled(project) == 0
    return project


def test_what_is_recalled_is_what_was_recorded(built: Project) -> None:
    rule, placeholder = (built.path(name).read_bytes() for name in ("main.d", "main.o"))
    for name in ("main.o", "main.d", "prog"):
        built.path(name).unlink()
    built.infer()
    assert recalled(built) == 1
    assert built.path("main.d").read_bytes() == rule
    assert built.path("main.o").read_bytes() == placeholder
    built.forced()
    built.run("./prog", status=11)
    assert b"inner.h" in built.path("main.d").read_bytes() != rule
    built.infer()
    assert recalled(built) == 1, "over a real object too"


def edit(name: str, content: str) -> Callable[[Project], object]:
    return lambda project: project.write(name, content)


def switch(project: Project) -> None:
    project.path("second").unlink()
    project.path("second").symlink_to("two")


def replace_directory(project: Project) -> None:
    project.path("first").rmdir()
    project.path("first").symlink_to("two")


CHANGES: dict[str, tuple[Callable[[Project], object], int]] = {
    "source": (edit("main.c", "int main(void) { return 5; }\n"), 5),
    "header": (edit("inner.h", "#define W 20\n"), 21),
    "header, as long as before": (edit("one/v.h", "#define V 7\n"), 17),
    "header earlier on the search path": (edit("first/v.h", "#define V 3\n"), 13),
    "header with a system header's name": (edit("first/stdio.h", "#define return return 40 +\n"), 51),
    "header that the compiler includes by itself": (edit("first/stdc-predef.h", "#define return return 1 +\n"), 12),
    "link of a directory": (switch, 12),
    "directory made a link": (replace_directory, 12),
    "options": (edit("Makefile", MAKEFILE.replace("-MD", "-MD -Itwo -Dreturn='return 1 +'")), 12),
}


@pytest.mark.parametrize("what", CHANGES)
def test_change(built: Project, what: str) -> None:
    change, status = CHANGES[what]
    built.path("main.o").unlink()
    change(built)
    built.build()
    assert recalled(built) == 0
    built.run("./prog", status=status)


def test_environment(built: Project) -> None:
    built.env["CPATH"] = "two"
    built.build()
    assert recalled(built) == 0
    built.run("./prog", status=11)


def test_precompiled_header_that_appears(built: Project) -> None:
    """It is read instead of the header, and says something else."""
    built.write("main.c", '#include "w.h"\nint main(void) { return W; }\n')
    built.build()
    built.infer()
    assert recalled(built) == 1
    built.write("other.h", "#define W 30\n")
    built.run("gcc", "-Ifirst", "-Isecond", "-o", "w.h.gch", "other.h")
    built.build()
    assert recalled(built) == 0
    built.run("./prog", status=30)


def test_change_in_mid_session(built: Project) -> None:
    """The same call twice in a session, and what it reads is another in between."""
    command = "gcc -Ifirst -Isecond -MD -MP -c -o main.o main.c; cp main.o {0}.o"
    steps = [command.format("a"), "echo '#define V 5' > one/v.h", command.format("b")]
    steps += ["echo '#define V 6' > first/v.h", command.format("c"), "rm first/v.h"]
    for _ in range(3):
        built.write("one/v.h", "#define V 1\n")
        built.infer(*by_make(built, "; ".join(steps)), deferred=3)
        built.forced()
        for name, status in (("a", 11), ("b", 15), ("c", 16)):
            built.run("gcc", "-o", name, f"{name}.o")
            built.run(f"./{name}", status=status)


def test_call_that_a_later_header_made_wrong(built: Project) -> None:
    """Recorded, then a header appears that it would have read now, and the next call of the session reads it."""
    command = "gcc -Ifirst -Isecond -c -o {0}.o {0}.c"
    for name in ("a", "b"):
        built.write(f"{name}.c", '#include <v.h>\n#include "w.h"\nint main(void) { return V + W; }\n')
    steps = [command.format("a"), "echo '#define V 3' > first/v.h", command.format("b"), "rm first/v.h"]
    for _ in range(3):
        built.infer(*by_make(built, "; ".join(steps)), deferred=2)
        built.forced()
        for name, status in (("a", 11), ("b", 13)):
            built.run("gcc", "-o", name, f"{name}.o")
            built.run(f"./{name}", status=status)


def rewritten(built: Project, change: Callable[[list[object]], object]) -> None:
    """The memory with something in it changed, well formed."""
    path = built.records / "recall"
    parts = msgpack.unpackb(zlib.decompress(path.read_bytes()), strict_map_key=False)
    change(parts)
    path.write_bytes(zlib.compress(msgpack.packb(parts)))


def compiler_replaced(parts: list[object]) -> None:
    """As if a system header had had another signature."""
    stable = cast("dict[bytes, bytes]", parts[1])
    name = next(path for path in stable if path.endswith(b"/stdio.h"))
    stable[name] = bytes(len(stable[name]))


def other_version(parts: list[object]) -> None:
    parts[0] = b"2" + cast("bytes", parts[0])[1:]


@pytest.mark.parametrize("change", [compiler_replaced, other_version])
def test_memory_that_does_not_fit(built: Project, change: Callable[[list[object]], object]) -> None:
    rewritten(built, change)
    built.build()
    assert recalled(built) == 0
    built.run("./prog", status=11)
    built.infer()
    assert recalled(built) == 1


@pytest.mark.parametrize(
    "damage", [lambda data: os.urandom(len(data)), lambda data: data[: len(data) // 2], lambda data: b""]
)
def test_damaged_memory(built: Project, damage: Callable[[bytes], bytes]) -> None:
    path = built.records / "recall"
    path.write_bytes(damage(path.read_bytes()))
    built.build()
    assert recalled(built) == 0
    built.run("./prog", status=11)
    built.infer()
    assert recalled(built) == 1


def test_touched_and_put_back(built: Project) -> None:
    """Another signature and the same bytes: the file is hashed, and the thunk is the one that it was."""
    placeholder = built.path("main.o").read_bytes()
    built.write("inner.h", "#define W 20\n")
    built.write("inner.h", "#define W 10\n")
    os.utime(built.path("inner.h"), (1, 1))
    built.infer()
    assert recalled(built) == 1
    assert built.path("main.o").read_bytes() == placeholder


def test_the_store_has_lost_the_thunk(built: Project) -> None:
    for name in ("store.db", "store.db-wal", "store.db-shm"):
        (built.store / name).unlink(missing_ok=True)
    built.build()
    assert recalled(built) == 0
    built.run("./prog", status=11)


def test_a_generated_header_is_a_placeholder_now(built: Project) -> None:
    """What was a file is made by a thunk in the next session."""
    built.write("gen.c", "#define W 30\n")
    built.write(
        "Makefile",
        MAKEFILE.replace("main.o: main.c FORCE\n", "main.o: main.c FORCE\n\tgcc -E -P -dD -o inner.h gen.c\n"),
    )
    built.build()
    assert recalled(built) == 0
    built.run("./prog", status=31)


def test_killed_in_the_middle(built: Project) -> None:
    """What an earlier session found out is still there, and still checked."""
    built.write("inner.h", "#define W 20\n")
    built.run("sh", "-c", "gg-infer sh -c 'make; kill -9 $PPID' || true")
    built.write("inner.h", "#define W 10\n")
    built.build()
    built.run("./prog", status=11)
