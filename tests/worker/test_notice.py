"""Notices of a spot instance: what is said, how it is asked for, and where nobody answers."""

from __future__ import annotations

from gg.worker.notice import Notices
from tests.servers.metadata import metadata
from tests.servers.ports import free_ports


def test_nothing_is_said() -> None:
    with metadata() as service:
        notices = Notices(service.address)
        assert notices.there()
        assert notices.look() == ""
        assert service.refused == 0


def test_an_interruption_and_a_recommendation() -> None:
    with metadata() as service:
        notices = Notices(service.address)
        service.rebalance()
        assert notices.look() == "rebalance is recommended since 2026-11-30T01:00:00Z"
        service.interrupt()
        assert notices.look() == "it is interrupted: terminate at 2026-11-30T01:02:03Z"


def test_a_token_that_is_not_known_any_more_is_had_anew() -> None:
    with metadata() as service:
        notices = Notices(service.address)
        assert notices.look() == ""
        service.tokens.clear()
        service.interrupt()
        assert notices.look().startswith("it is interrupted")
        assert service.refused == 1


def test_what_is_no_notice_says_so() -> None:
    with metadata() as service:
        service.answers["/latest/meta-data/spot/instance-action"] = b"\x1b[31m" * 1000
        assert Notices(service.address).look() == "it is interrupted: ? at ?"


def test_elsewhere_nobody_answers() -> None:
    notices = Notices(f"http://127.0.0.1:{free_ports(1)[0]}")
    assert not notices.there()
    assert notices.look() == ""
