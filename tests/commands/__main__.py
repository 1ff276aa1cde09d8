"""`python -m tests.commands [NAME...]`: run rows of the table plainly, twice, and show what they do.

A row whose two plain runs differ, or a real one that fails, has no place in the table. Exit status 1 if there is one.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.commands import batch, compare, elf
from tests.commands.case import load


def main(names: list[str]) -> int:
    cases = [case for case in load("real") + load("odd") if not names or case.name in names]
    with tempfile.TemporaryDirectory(prefix="gg-commands-") as scratch:
        templates = elf.make(Path(scratch))
        directory = Path(scratch) / "batch"
        first = batch.plainly(directory, cases, templates)
        second = batch.plainly(directory, cases, templates)
    bad = 0
    for case, one, two in zip(cases, first, second, strict=True):
        differs = compare.plain_twice(case, one, two)
        failed = case.origin != "hand" and one.status != 0
        bad += bool(differs or failed)
        if names or differs or failed:
            print(case.name, "status", one.status, *differs, one.said.decode(errors="replace"), sep="\n  ")
    failing = sum(seen.status != 0 for seen in first)
    print(f"{len(cases)} rows, {failing} of them fail as they should, {bad} are no good")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
