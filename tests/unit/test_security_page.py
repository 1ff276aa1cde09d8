"""docs/security.md: each line of its tables of promises names tests, and each test that it names is one."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
HELD = PAGE.partition("\n## What holds it\n")[2]
LINES = [line for line in HELD.splitlines() if line.startswith("| ") and not line.startswith("| line |")]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", HELD)


@cache
def _tests_of(file: str) -> set[str]:
    """The tests of a file that run whatever the machine: those that are always skipped hold nothing."""
    return {
        node.name
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        and not any("mark.skip(" in ast.unparse(mark) or "xfail" in ast.unparse(mark) for mark in node.decorator_list)
    }  # fmt: skip


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split("|")[1].strip()[:60])
def test_each_line_names_what_holds_it(line: str) -> None:
    promise, held = (cell.strip() for cell in line.strip("|").split("|"))
    assert promise
    assert re.fullmatch(r"`tests/[\w/]+\.py::test_\w+`(, `tests/[\w/]+\.py::test_\w+`)*", held), line


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_each_test_that_is_named_is_there(file: str, name: str) -> None:
    assert (ROOT / file).is_file(), f"{file} is not there: docs/security.md names {name} of it"
    assert name in _tests_of(file), f"{file} has no test {name} that runs: docs/security.md names it"


def test_each_party_has_lines() -> None:
    sections = re.split(r"^### ", HELD, flags=re.MULTILINE)[1:]
    assert len(sections) >= 6
    for section in sections:
        assert "| line | held by |" in section, section.splitlines()[0]
        assert "::test_" in section, section.splitlines()[0]
