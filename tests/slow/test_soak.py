"""A sample of the soak (`python -m benchmarks.soak`): random edits of the small project, each as a clean build has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.soak.__main__ import Soak
from benchmarks.soak.subjects import SUBJECTS
from tests.commands.batch import programs


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 2])
def test_each_edit_gives_what_a_clean_build_gives(seed: int, tmp_path: Path) -> None:
    small = next(subject for subject in SUBJECTS if subject.name == "small")
    soak = Soak(small, tmp_path, programs(), seed=seed)
    soak.prepare(tmp_path)
    soak.steps(10)
    assert not soak.failures, "\n".join(soak.failures)
    assert soak.compared > 0
