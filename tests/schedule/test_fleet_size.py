"""How many processors are started for what is left of a build."""

from __future__ import annotations

import pytest

from gg.schedule.fleet_size import processors


@pytest.mark.parametrize(
    ("work", "path", "width", "thunks", "wanted"),
    [
        pytest.param(100.0, 2.0, 2, 100, 0, id="over before machines are there"),
        pytest.param(100_000.0, 60.0, 1000, 50_000, 0, id="others are enough"),
        pytest.param(3600.0, 10.0, 2, 2000, 44, id="an hour of work for two processors"),
        pytest.param(36_000.0, 10.0, 2, 20_000, 64, id="no more than the user has said"),
        pytest.param(3600.0, 10.0, 2, 12, 12, id="no more than there are thunks"),
        pytest.param(3600.0, 1275.0, 2, 500, 1, id="a long chain gives the rest time"),
        pytest.param(1000.0, 900.0, 8, 20, 0, id="a chain alone"),
    ],
)
def test_it_goes_by_what_is_left(work: float, path: float, width: int, thunks: int, wanted: int) -> None:
    assert processors(work, path, width, thunks, 64, boot=75.0) == wanted
