"""What gg adds to an action of a cluster can be measured: the same actions are found and run again without gg."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import clusters


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_same_actions_are_run_without_gg(tmp_path: Path) -> None:
    found = clusters.measure(tmp_path, actions=3, rounds=1)
    for side in ("gg-force", "the same actions without gg", "a static program"):
        assert found[side]["actions"] == 3
        assert found[side]["median ms"] > 0
