"""What DESIGN says of the way through the code is so: each function is in its file, each file exists, no room is entered twice."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gg.engines import registry
from gg.models.by_tool import MODELS
from gg.models.tool_names import NAMES
from gg.workspace.engine_names import ENGINES

ROOT = Path(__file__).parents[2]
DESIGN = (ROOT / "gg/DESIGN.md").read_text()
STEP = re.compile(r"^- `(?P<name>[\w.]+)` in `(?P<path>[\w./-]+)`: ", re.MULTILINE)
A_PAGE = 55  # lines
WALK = """
import sys, threading
seen = set()
def note(frame, event, argument):
    code = frame.f_code
    if event == "call" and "/gg/" in code.co_filename:
        seen.add(code.co_qualname + " in gg/" + code.co_filename.rpartition("/gg/")[2])
threading.setprofile(note)
sys.setprofile(note)
from gg.cli import main
def leave(status):
    sys.setprofile(None)
    print(*sorted(seen), sep="\\n")
    sys.exit(status)
main.leave = leave
sys.argv = ["gg-{command}", *{words!r}]
main.{command}()
"""
"""Runs a command, and prints each function of gg's that was called."""


def _section(title: str) -> str:
    return DESIGN.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def _journeys() -> dict[str, str]:
    parts = re.split(r"^\*\*(.+)\*\*$", _section("Three journeys"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


JOURNEYS = _journeys()


def _defines(path: Path, name: str) -> bool:
    text = path.read_text()
    if path.suffix == ".c":
        return re.search(rf"^[a-z][\w *]*\b{name}\(", text, re.MULTILINE) is not None
    body: list[ast.stmt] = ast.parse(text).body
    for part in name.split("."):
        found = [
            n for n in body if isinstance(n, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and n.name == part
        ]
        if not found:
            return False
        body = found[0].body
    return True


def _room(path: str) -> str:
    parts = path.split("/")
    return parts[1] if parts[0] == "gg" else parts[0]


def test_there_are_three() -> None:
    assert len(JOURNEYS) == 3
    assert all(len(STEP.findall(text)) >= 10 for text in JOURNEYS.values())


@pytest.mark.parametrize("title", JOURNEYS)
def test_each_function_is_in_its_file(title: str) -> None:
    assert len(JOURNEYS[title].strip().splitlines()) <= A_PAGE
    wrong = [f"{name} in {path}" for name, path in STEP.findall(JOURNEYS[title]) if not _defines(ROOT / path, name)]
    assert not wrong


def _walked(command: str, words: list[str], where: Path) -> set[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GG_", "XDG_", "MAKE"))} | {"HOME": str(where)}
    env["PYTHONPATH"] = os.pathsep.join([p for p in sys.path if p])
    program = WALK.format(command=command, words=words)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=where, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return set(done.stdout.splitlines())


def test_the_ways_on_this_machine_are_walked(tmp_path: Path) -> None:
    """Each function of the first two journeys is called when one file is recorded and forced."""
    (tmp_path / "x.c").write_text("int x;\n")
    recorded = _walked("infer", ["gcc", "-c", "x.c"], tmp_path)
    forced = _walked("force", [], tmp_path)
    assert (tmp_path / "x.o").read_bytes().startswith(b"\x7fELF")
    for title, walked in zip(JOURNEYS, (recorded, forced), strict=False):
        steps = [f"{name} in {path}" for name, path in STEP.findall(JOURNEYS[title]) if path.endswith(".py")]
        assert not [step for step in steps if step not in walked]


@pytest.mark.parametrize("title", JOURNEYS)
def test_no_room_is_entered_twice(title: str) -> None:
    entered: list[str] = []
    for _, path in STEP.findall(JOURNEYS[title]):
        if not entered or entered[-1] != _room(path):
            entered.append(_room(path))
    assert len(entered) == len(set(entered)), entered


def test_what_one_touches_exists_and_is_little() -> None:
    rows = [line for line in _section("What one touches").splitlines() if line.startswith("| a")]
    assert len(rows) == 4
    for row in rows:
        files = [word for word in re.findall(r"`([\w./-]+)`", row) if not word.endswith(("/", "_suite.py"))]
        assert len(files) == 5, files
        assert not [path for path in files if not (ROOT / path).is_file()]


def test_the_tables_agree() -> None:
    """A name that settings know has its engine, and a name that shims have its model."""
    assert tuple(registry._MAKERS) == ENGINES
    assert set(MODELS) == set(NAMES)
