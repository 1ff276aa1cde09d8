"""`gg verify` and `gg compare --patch` on mosh: 30 compiles of C++ with debug information, 6 archives, 2 links."""

from __future__ import annotations

import difflib
import os
import re
import shutil
from pathlib import Path

import pytest

from benchmarks.packages import recipe, sources
from tests.e2e.project import Project

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "gg-packages"
SECONDS = 3600.0
_PROGRAMS = ("src/frontend/mosh-server", "src/frontend/mosh-client")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * SECONDS)]


@pytest.fixture(scope="module")
def mosh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Recorded, and forced."""
    chosen = recipe.load()["mosh"]
    sources.install_dependencies(sources.missing_dependencies([chosen]))
    top = tmp_path_factory.mktemp("mosh").resolve()
    (top / "home").mkdir()
    project = Project(top / "tree", {"PATH": os.environ["PATH"], "HOME": str(top / "home"), "LC_ALL": "C"}, SECONDS)
    sources.unpack(sources.fetch(CACHE, chosen), project.root)
    project.run("./configure")
    project.build("make", "-j2")
    return project


def _told(mosh: Project, name: str, old: str, new: str) -> list[str]:
    """What a patch of one line changes."""
    before = mosh.path(name).read_text()
    assert before.count(old) == 1
    lines = difflib.unified_diff(
        before.splitlines(True), before.replace(old, new).splitlines(True), f"a/{name}", f"b/{name}"
    )
    mosh.write("../it.patch", "".join(lines))
    return mosh.gg("compare", "--patch", "../it.patch", status=1).stdout.decode().splitlines()


def test_nothing_is_found_where_nothing_is_planted(mosh: Project) -> None:
    told = mosh.gg("verify", *_PROGRAMS).text
    assert re.search(r"^\d+ thunks, each run 2 more times: all gave the same bytes$", told, re.MULTILINE)


def test_a_comment(mosh: Project) -> None:
    told = _told(mosh, "src/crypto/base64.cc", "/* Reverse maps from", "/* Maps back from")
    assert told[1] == "  compile: 1 called again: 1 made again in vain"
    assert "  link: 2 called again: 2 known to come out the same, and not made" in told
    assert not [line for line in told if "changed, for" in line]


def test_a_body(mosh: Project) -> None:
    """Of a static function, which is inlined; both programs are told of by the function that has grown."""
    told = _told(mosh, "src/crypto/base64.cc", "return reverse[c];", "return c == '!' ? 0xff : reverse[c];")
    assert told[1] == "  compile: 1 called again: 1 changed"
    for name in ("base64.o", "mosh-server", "mosh-client"):
        at = next(at for at, line in enumerate(told) if f"{name}: changed, for " in line)
        assert "section .text, symbol _Z13base64_decodePKcmPhPm: " in told[at + 1]


def _made(mosh: Project) -> dict[str, bytes]:
    """Objects and programs as they are, by their paths."""
    files = [*mosh.root.rglob("*.o"), *map(mosh.path, _PROGRAMS)]
    return {str(path.relative_to(mosh.root)): path.read_bytes() for path in files}


def _by_plain_make(mosh: Project, name: str, old: str, new: str) -> tuple[list[str], list[str]]:
    """What plain make makes again after an edit: what comes out otherwise, and what comes out the same."""
    aside = mosh.root.with_name("aside")
    mosh.run("cp", "-a", str(mosh.root), str(aside))
    before, times = _made(mosh), {name: mosh.path(name).stat().st_mtime_ns for name in _made(mosh)}
    mosh.write(name, mosh.path(name).read_text().replace(old, new))
    mosh.make("-j2")
    again = sorted(name for name, data in _made(mosh).items() if mosh.path(name).stat().st_mtime_ns != times[name])
    changed = [name for name in again if mosh.path(name).read_bytes() != before[name]]
    shutil.rmtree(mosh.root)
    aside.rename(mosh.root)
    return changed, [name for name in again if name not in changed]


def test_a_headers_constant(mosh: Project) -> None:
    """Told to be changed, or made again in vain, is what plain make makes so; the function that holds the constant is named."""
    edit = ("src/statesync/completeterminal.h", "ECHO_TIMEOUT = 50;", "ECHO_TIMEOUT = 60;")
    changed, same = _by_plain_make(mosh, *edit)
    told = _told(mosh, *edit)
    assert _named(told, "changed") == changed
    assert _named(told, "made again in vain") == same
    at = told.index(f"  src/statesync/completeterminal.o: changed, for {edit[0]}")
    assert told[at + 1].startswith("    section .text, symbol _ZN8Terminal8Complete12set_echo_ackEm: ")


def _named(told: list[str], how: str) -> list[str]:
    """The objects and programs of which something is told."""
    found = re.findall(rf"^  (\S+): {how}(?:, for .*)?$", "\n".join(told), re.MULTILINE)
    return sorted(name for name in found if not name.endswith(".a"))
