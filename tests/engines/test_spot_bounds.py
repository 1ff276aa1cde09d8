"""What workers behind a queue say of themselves takes little memory, however much they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from gg.engines.spot import holders, present_workers
from gg.engines.spot.heard_workers import HeardWorkers
from gg.engines.spot.holders import Holders
from gg.engines.spot.present_workers import PresentWorkers
from gg.wire.peers import Holding, Peer


def test_who_keeps_ever_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blobs that were told of last are known."""
    monkeypatch.setattr(holders, "_MOST_BLOBS", 100)
    known = Holders(HeardWorkers(str(tmp_path), "q"))
    peer = Peer("10.0.0.5:1", "t" * 32)
    for n in range(1000):
        known.learn([Holding(peer, (n.to_bytes(32, "big"), bytes(32)))])
    assert len(known._by_digest) == 100
    assert (999).to_bytes(32, "big") in known._by_digest


def test_workers_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are known count; when they are silent there is room for others."""
    monkeypatch.setattr(present_workers, "_MOST", 10)
    present = PresentWorkers()
    for n in range(100):
        present.hear(f"{n}", 1, 0.0)
    present.hear("0", 5, 1.0)
    assert present.slots(1.0) == 14
    assert present.slots(100.0) == 0
    present.hear("other", 2, 101.0)
    assert present.slots(101.0) == 2
