"""What contexts share of the system's headers: the same answers as when each looks for itself, and less work."""

from __future__ import annotations

import random

import pytest

from gg.models.drafts import Lexer, SearchPath
from gg.models.drafts import Scan as Request
from gg.models.includes import Scanner
from tests.models.includes_disk import MemoryDisk, paths, request

_SYSTEM = ("/usr/c++", "/w/local", "/usr/include")
_NAMES = ("a.h", "b.h", "c.h", "d.h", "sys/a.h", "sys/e.h", "config.h", "absent.h")
_FORMS = ("#include <%s>", '#include "%s"', "#include_next <%s>", "#if __has_include(<%s>)\n#endif", "#include M\n")
_WHERE = ("/usr/c++/", "/usr/include/", "/usr/include/", "/w/p/", "/w/q/", "/w/local/", "/w/")


class Unshared(MemoryDisk):
    """A disk of which nothing is sure to stay: no context lends."""

    def stable(self, path: bytes) -> bool:
        return False


def _text(draw: random.Random) -> str:
    lines = [draw.choice(_FORMS).replace("%s", draw.choice(_NAMES)) for _ in range(draw.randint(0, 3))]
    return "\n".join([*lines, draw.choice(("", "", "__DATE__", f"#define M <{draw.choice(_NAMES)}>"))]) + "\n"


def _change(draw: random.Random, disks: tuple[MemoryDisk, ...], written: list[str]) -> None:
    if written and draw.random() < 0.3:
        path = written.pop(draw.randrange(len(written)))
        for disk in disks:
            disk.remove(path)
        return
    path = draw.choice(("/w/p/", "/w/q/", "/w/local/", "/w/")) + draw.choice(_NAMES)
    if path not in written:
        written.append(path)
    text = _text(draw)
    for disk in disks:
        disk.write(path, text)


def _units(draw: random.Random) -> list[Request]:
    """Units with search paths of their own, in front of the same system directories."""
    own = [["/w/p"], ["/w/q"], ["/w/q", "/w/p"], []]
    return [request("/w/main.c", include=i, system=_SYSTEM, quote=draw.choice(([], ["/w/p"]))) for i in own]


@pytest.mark.parametrize("seed", range(60))
def test_random_trees_and_changes(seed: int) -> None:
    draw = random.Random(seed)
    disks = (MemoryDisk({}), Unshared({}))
    for path in ("/w/main.c", *(draw.choice(_WHERE) + draw.choice(_NAMES) for _ in range(12))):
        text = _text(draw) + ("#include <a.h>\n#include <sys/a.h>\n" if path == "/w/main.c" else "")
        for disk in disks:
            disk.write(path, text)
    shared, alone = (Scanner(disk) for disk in disks)
    units = _units(draw)
    written: list[str] = []
    for _ in range(8):
        for unit in units:
            mine, theirs = shared.scan(unit, b"/w"), alone.scan(unit, b"/w")
            assert paths(mine) == paths(theirs)
            assert {h.display for h in mine.files() if h.listed} == {h.display for h in theirs.files() if h.listed}
            assert (mine.hazards, mine.user_hazards) == (theirs.hazards, theirs.user_hazards)
        _change(draw, disks, written)


_TREE = {"/usr/include/x.h": "#include <sys/y.h>", "/usr/include/sys/y.h": '#include "z.h"', "/usr/include/sys/z.h": ""}


def _unit(include: str) -> Request:
    return Request(Lexer.C, (b"/w/a.c",), SearchPath((), (include.encode(), b"/usr/include"), 1), (), ())


def test_a_second_context_looks_for_no_system_header() -> None:
    disk = MemoryDisk({"/w/a.c": "#include <x.h>", "/w/p/p.h": "", "/w/q/q.h": "", **_TREE})
    scanner = Scanner(disk)
    first = scanner.scan(_unit("/w/p"), b"/w")
    second = scanner.scan(_unit("/w/q"), b"/w")
    assert first.clusters == second.clusters
    assert paths(second) == ["/usr/include/sys/y.h", "/usr/include/sys/z.h", "/usr/include/x.h", "a.c"]


def test_what_a_system_header_wants_comes_from_an_own_directory() -> None:
    disk = MemoryDisk({"/w/a.c": "#include <x.h>", "/w/p/sys/y.h": "", "/w/q/q.h": "", **_TREE})
    scanner = Scanner(disk)
    assert paths(scanner.scan(_unit("/w/q"), b"/w"))[:1] == ["/usr/include/sys/y.h"]
    assert paths(scanner.scan(_unit("/w/p"), b"/w")) == ["/usr/include/x.h", "a.c", "p/sys/y.h"]


def test_an_own_directory_gets_what_a_system_header_wants() -> None:
    disk = MemoryDisk({"/w/a.c": "#include <x.h>", "/w/p/p.h": "", **_TREE})
    scanner = Scanner(disk)
    assert "p/sys/y.h" not in paths(scanner.scan(_unit("/w/p"), b"/w"))
    disk.write("/w/p/sys/y.h", "")
    assert paths(scanner.scan(_unit("/w/p"), b"/w")) == ["/usr/include/x.h", "a.c", "p/sys/y.h"]
    disk.remove("/w/p/sys/y.h")
    assert "/usr/include/sys/y.h" in paths(scanner.scan(_unit("/w/p"), b"/w"))
