"""Command lines of compilers that are too large for every run: old and new clang, cross compilers, rustc, go.

The rows are in `tests/commands/slow.jsonl`; they are run and compared as those of `tests/commands` are.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.commands import batch, compare, elf
from tests.commands.case import load

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_same_as_plainly(tmp_path: Path) -> None:
    subprocess.run([HERE.parents[1] / ".ci" / "packages", HERE / "debian-packages"], check=True)
    cases, templates = load("slow"), elf.make(tmp_path)
    directory = tmp_path / "batch"
    plain = batch.plainly(directory, cases, templates)
    assert [case.name for case, seen in zip(cases, plain, strict=True) if seen.status] == []
    through = batch.through_gg(directory, cases, templates)
    wrong = [
        f"{row.name}:\n    " + "\n    ".join(said)
        for at, row in enumerate(cases)
        if (said := compare.case(at, row, plain, through))
    ]
    assert not wrong, "\n".join(wrong)
