"""What slots share of what coordinators lend: each object comes once, and what befalls one slot harms no other."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gg.core.ids import BlobId
from gg.store.base import Kind
from gg.wire import frames
from gg.wire.reply import Reply, WorkerInfo, encode_outputs, encode_reply
from gg.worker import lent_objects
from gg.worker.lent_objects import Ask, LentObjects

_BIG = bytes(range(256)) * 4096  # more than a part


class Coordinator:
    """Has these objects. `asked`: how often for each. `before(digest)` is called when it is about to send one."""

    def __init__(self, *objects: bytes, before: Callable[[bytes], None] = lambda digest: None) -> None:
        self.objects = {BlobId.of(data).digest: data for data in objects}
        self.asked: Counter[bytes] = Counter()
        self._before = before

    def ask(self, need: bytes) -> Iterator[bytes]:
        for index, (_, digest) in enumerate(frames.decode_need(need)):
            self.asked[digest] += 1
            self._before(digest)
            data = self.objects.get(digest)
            for at in range(0, len(data or b"") or 1, frames.PART):
                part = None if data is None else data[at : at + frames.PART]
                yield frames.encode_object(index, part, data is None or at + frames.PART >= len(data))


@pytest.fixture
def lent(tmp_path: Path) -> LentObjects:
    return LentObjects(str(tmp_path), 1 << 30)


def _digest(data: bytes) -> bytes:
    return BlobId.of(data).digest


def _lend(lent: LentObjects, ask: Ask, *digests: bytes) -> list[bytes | None]:
    need = frames.encode_need([(int(Kind.BLOB), digest) for digest in digests])
    found: list[bytes | None] = [None] * len(digests)
    ended = set()
    for part in lent.lend(need, ask):
        index, data, last = frames.decode_object(part)
        assert index not in ended
        if data is not None:
            found[index] = (found[index] or b"") + data
        if last:
            ended.add(index)
    assert ended == set(range(len(digests)))
    return found


def test_an_object_comes_once(lent: LentObjects) -> None:
    coordinator = Coordinator(b"", b"one", _BIG)
    all_three = [_digest(b"one"), _digest(_BIG), _digest(b"")]
    for _ in range(2):
        assert _lend(lent, coordinator.ask, *all_three) == [b"one", _BIG, b""]
    assert _lend(lent, coordinator.ask, *reversed(all_three)) == [b"", _BIG, b"one"]
    assert coordinator.asked == Counter(all_three)
    assert lent.size == 3 + len(_BIG)


def test_what_nobody_has_is_asked_for_again(lent: LentObjects) -> None:
    coordinator = Coordinator(b"one")
    for _ in range(2):
        assert _lend(lent, coordinator.ask, bytes(32), _digest(b"one")) == [None, b"one"]
    assert coordinator.asked == {bytes(32): 2, _digest(b"one"): 1}


def test_slots_that_ask_at_the_same_time(lent: LentObjects) -> None:
    """In every order, so that each brings what others wait for."""
    objects = [bytes([n]) * 1000 * n for n in range(1, 40)]
    together = threading.Barrier(8)
    coordinator = Coordinator(*objects)
    digests = [_digest(data) for data in objects]

    def slot(number: int) -> list[bytes | None]:
        turned = digests[number * 5 :] + digests[: number * 5]
        together.wait(10)
        found = _lend(lent, coordinator.ask, *turned)
        return found[-number * 5 :] + found[: -number * 5] if number else found

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(slot, range(8), timeout=60):
            assert found == objects
    assert set(coordinator.asked.values()) == {1}


def test_a_slot_that_dies_meanwhile(lent: LentObjects) -> None:
    """What it was about to bring comes for the one that waits."""
    begun, over = threading.Event(), threading.Event()

    def before(digest: bytes) -> None:
        if not begun.is_set():
            begun.set()
            assert over.wait(10)
            raise OSError("the coordinator has gone")

    dying, living = Coordinator(b"one", before=before), Coordinator(b"one")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(_lend, lent, dying.ask, _digest(b"one"))
        assert begun.wait(10)
        second = pool.submit(_lend, lent, living.ask, _digest(b"one"))
        over.set()
        with pytest.raises(OSError, match="has gone"):
            first.result(10)
        assert second.result(10) == [b"one"]


def test_nobody_waits_for_long(lent: LentObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is stuck in the middle of an object keeps no other slot from it."""
    monkeypatch.setattr(lent_objects, "_WAIT_S", 0.1)
    coordinator = Coordinator(_BIG)
    need = frames.encode_need([(int(Kind.BLOB), _digest(_BIG))])
    stuck = lent.lend(need, coordinator.ask)
    next(stuck)
    assert _lend(lent, coordinator.ask, _digest(_BIG)) == [_BIG]
    del stuck  # its slot has died
    assert _lend(lent, coordinator.ask, _digest(_BIG)) == [_BIG]
    assert coordinator.asked == {_digest(_BIG): 2}


def test_other_bytes_are_not_kept(lent: LentObjects) -> None:
    """The slot sees that they are wrong; the next slot gets what a coordinator says then."""
    liar, honest = Coordinator(), Coordinator(b"one")
    liar.objects[_digest(b"one")] = b"two"
    assert _lend(lent, liar.ask, _digest(b"one")) == [b"two"]
    assert _lend(lent, honest.ask, _digest(b"one")) == [b"one"]


def test_a_coordinator_that_sends_what_was_not_asked_for(lent: LentObjects) -> None:
    with pytest.raises(OSError, match="another object"):
        _lend(lent, lambda need: iter([frames.encode_object(7, b"x")]), bytes(32))


def test_what_was_made_here_need_not_come(lent: LentObjects) -> None:
    """By another slot: small outputs travel in its reply, and big ones pass by in parts."""
    reply = encode_reply(Reply(WorkerInfo("0"), (), objects=encode_outputs([b"small"])), b"request")
    lent.keep_outputs(reply, b"request")
    digest = _digest(_BIG)
    passing = lent.passing_outputs()
    for at in range(0, len(_BIG), 1000):
        passing.take(frames.encode_output(digest, _BIG[at : at + 1000]), last=at + 1000 >= len(_BIG))
    nobody = Coordinator()
    assert _lend(lent, nobody.ask, _digest(b"small"), digest) == [b"small", _BIG]
    assert not nobody.asked
    passing.take(frames.encode_output(_digest(b"whole"), b"who"), last=True)
    assert _lend(lent, nobody.ask, _digest(b"whole")) == [None]


def test_it_keeps_no_more_than_it_may(tmp_path: Path) -> None:
    lent = LentObjects(str(tmp_path), 5000)
    coordinator = Coordinator(*[bytes([n]) * 2000 for n in range(5)])
    for digest in coordinator.objects:
        assert _lend(lent, coordinator.ask, digest) == [coordinator.objects[digest]]
        assert lent.size <= 7000
