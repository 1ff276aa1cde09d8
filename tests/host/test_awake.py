"""The clock that stands still while nothing runs here."""

from __future__ import annotations

from gg.host.awake import Awake


def test_time_in_which_nothing_ran_does_not_pass() -> None:
    real = [100.0]
    awake = Awake(lambda: real[0])
    start = awake.now()
    real[0] += 1.0
    assert awake.now() - start == 1.0
    real[0] += 60.0
    assert awake.now() - start == 1.0
    real[0] += 0.5
    assert awake.now() - start == 1.0, "a second is left for what has come to be read"
    real[0] += 1.5
    assert awake.now() - start == 2.0
    real[0] += 1.0
    assert awake.now() - start == 3.0
