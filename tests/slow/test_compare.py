"""`gg verify` and `gg compare --patch` on mosh: 30 compiles of C++ with debug information, 6 archives, 2 links."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

import pytest

from benchmarks.packages import recipe, sources
from tests.e2e.project import Project

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "gg-packages"
SECONDS = 3600.0

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
    told = mosh.gg("verify", "src/frontend/mosh-server", "src/frontend/mosh-client").text
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
