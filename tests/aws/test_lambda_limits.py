"""Concurrency, reserved shares and the ramp, under a clock that the test holds."""

from __future__ import annotations

from tests.servers.lambda_service.config import Limits
from tests.servers.lambda_service.limits import ACCOUNT, RATE, RESERVED, Admission


def _enter(admission: Admission, number: int, now: float = 0.0, name: str = "f", *, warm: bool = False) -> list[str]:
    return [admission.enter(name, now, warm=warm) for _ in range(number)]


def test_the_accounts_concurrency_is_shared_by_all() -> None:
    admission = Admission(Limits(concurrency=10))
    assert _enter(admission, 6, name="f") + _enter(admission, 4, name="g") == [""] * 10
    assert _enter(admission, 1) == [ACCOUNT]
    admission.leave("g")
    assert _enter(admission, 2) == ["", ACCOUNT]


def test_a_reserved_share_is_kept_and_not_exceeded() -> None:
    admission = Admission(Limits(concurrency=10))
    admission.reserve("mine", 3, 0.0)
    assert _enter(admission, 8, name="f") == [""] * 7 + [ACCOUNT]
    assert _enter(admission, 4, name="mine") == ["", "", "", RESERVED]


def test_new_environments_come_a_thousand_in_ten_seconds_a_function() -> None:
    admission = Admission(Limits(concurrency=10_000))
    assert _enter(admission, 1001) == [""] * 1000 + [ACCOUNT]
    assert _enter(admission, 1001, name="another") == [""] * 1000 + [ACCOUNT]
    assert _enter(admission, 101, now=1.0) == [""] * 100 + [ACCOUNT]
    assert _enter(admission, 1001, now=100.0) == [""] * 1000 + [ACCOUNT]


def test_a_warm_environment_costs_nothing_of_the_ramp() -> None:
    admission = Admission(Limits(concurrency=100, ramp=1))
    assert _enter(admission, 1) == [""]
    assert _enter(admission, 5, warm=True) == [""] * 5
    assert _enter(admission, 1) == [ACCOUNT]


def test_calls_a_second_are_ten_times_the_concurrency() -> None:
    admission = Admission(Limits(concurrency=2))
    for _ in range(20):
        assert _enter(admission, 1, now=0.5, warm=True) == [""]
        admission.leave("f")
    assert _enter(admission, 1, now=1.4, warm=True) == [RATE]
    assert _enter(admission, 1, now=1.6, warm=True) == [""]
