"""`python -m tests.commands [--gg] [NAME...]`: run rows of the table and show what they do.

Without --gg, plainly and twice: a row whose two runs differ, or a real one that fails, has no place in the table. With
--gg, as the test does. Exit status 1 if anything is wrong.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.commands import batch, compare, elf
from tests.commands.case import load


def main(words: list[str]) -> int:
    names = {word for word in words if not word.startswith("-")}
    cases = [
        case
        for case in load("real") + load("odd") + load("slow")
        if not names or case.name in names or case.origin in names
    ]
    with tempfile.TemporaryDirectory(prefix="gg-commands-") as scratch:
        templates = elf.make(Path(scratch))
        directory = Path(scratch) / "batch"
        first = batch.plainly(directory, cases, templates)
        if "--gg" in words:
            through = batch.through_gg(directory, cases, templates)
            wrong = [compare.case(at, case, first, through) for at, case in enumerate(cases)]
            print(through.said.decode(errors="replace"))
        else:
            second = batch.plainly(directory, cases, templates)
            wrong = [
                compare.plain_twice(case, one, two) + (["fails"] if case.origin != "hand" and one.status else [])
                for case, one, two in zip(cases, first, second, strict=True)
            ]
    for case, seen, said in zip(cases, first, wrong, strict=True):
        if names or said:
            print(case.name, f"status {seen.status}", seen.said.decode(errors="replace"), *said, sep="\n    ")
    failing, bad = sum(seen.status != 0 for seen in first), sum(map(bool, wrong))
    print(f"{len(cases)} rows, {failing} of them fail as they should, {bad} are no good")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
