"""Each command line of the table gives through infer and force what it gives plainly.

All files that it leaves (bytes and executable bit; dependency files by their meaning), what it says and its exit
status are compared. A batch is recorded by one `gg-infer` and forced by one `gg-force`, as a build would be.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import batch, compare, elf
from tests.commands.case import Case, load

SIZE = 48
REAL = load("real")
ODD = load("odd")


def _batches(cases: list[Case]) -> list[list[Case]]:
    """Cases dealt round, so that each batch has some of each package."""
    count = -(-len(cases) // SIZE)
    return [cases[at::count] for at in range(count)]


BATCHES = [(f"real-{at}", part) for at, part in enumerate(_batches(REAL))]
BATCHES += [(f"odd-{at}", part) for at, part in enumerate(_batches(ODD))]


def test_the_table_is_wide() -> None:
    names = [case.name for case in REAL + ODD]
    assert len(set(names)) == len(names)
    assert len(REAL) >= 330
    assert len({case.origin for case in REAL}) >= 20
    assert len(ODD) >= 70


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> elf.Templates:
    return elf.make(tmp_path_factory.mktemp("templates"))


@pytest.mark.parametrize("cases", [part for _, part in BATCHES], ids=[name for name, _ in BATCHES])
def test_same_as_plainly(cases: list[Case], templates: elf.Templates, tmp_path: Path) -> None:
    directory = tmp_path / "batch"
    plain = batch.plainly(directory, cases, templates)
    through = batch.through_gg(directory, cases, templates)
    wrong = [
        f"{row.name}: {b' '.join(row.run[-1]).decode(errors='replace')}\n    " + "\n    ".join(said)
        for at, row in enumerate(cases)
        if (said := compare.case(at, row, plain, through))
    ]
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)
