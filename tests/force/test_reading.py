"""Everyone who waits for a file while it is recorded is answered, by itself, whatever becomes of what forces."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import pytest

from gg.core.ids import ThunkId
from gg.core.placeholder import Placeholder, PlaceholderWriter
from gg.errors import GGError, SetupError, StoreError
from gg.force.composition import Composition
from gg.force.outcome import Hearing, Outcome
from gg.force.reading import Reading
from gg.observe.build_events import BuildEvent, ThunkFailed
from gg.record.readers import ReaderAnswer

SECONDS = 20.0
Elsewhere = dict[ThunkId, list[tuple[bytes, Placeholder]]]


class Forcing:
    """In the place of a composition and its forcer: each `serve` does `work`."""

    def __init__(self, work: Callable[[Forcing, list[ThunkId]], None]) -> None:
        self.forcer = self
        self.work = work
        self.served: list[list[ThunkId]] = []
        self.wanted: queue.SimpleQueue[ThunkId] = queue.SimpleQueue()
        self.tickets = 0
        self.too_late = False  # what is wanted comes when the run is over
        self.stopped = threading.Event()

    def serve(self, roots: Sequence[ThunkId], elsewhere: Elsewhere, hearing: Hearing) -> Outcome | None:
        self.served.append(list(roots))
        self.hearing = hearing
        self.elsewhere = elsewhere
        self.work(self, list(roots))
        return None

    def place(self, roots: Sequence[ThunkId], known: Elsewhere | None = None) -> None:
        """Put real files in their places, those in `known` or all that are known now, and tell of it."""
        for root in roots:
            for path, _ in (known or self.elsewhere)[root]:
                Path(os.fsdecode(path)).write_bytes(b"real")
        self.hearing.placed(roots)

    def want(self, root: ThunkId) -> int:
        self.wanted.put(root)
        self.tickets += 1
        return self.tickets

    def has_joined(self, ticket: int) -> bool:
        return ticket <= self.tickets and not self.too_late

    def ran_below(self, root: ThunkId) -> int:
        return 3

    def stop(self) -> None:
        self.stopped.set()

    def spent(self) -> dict[str, object]:
        return {}

    def close(self) -> None:
        pass


def reading(work: Callable[[Forcing, list[ThunkId]], None]) -> tuple[Reading, Forcing]:
    forcing = Forcing(work)

    def compose(observe: Callable[[BuildEvent], None]) -> Composition:
        forcing.see = observe  # type: ignore[attr-defined]
        return cast("Composition", forcing)

    return Reading(compose), forcing


def placeholder(directory: Path, number: int) -> bytes:
    path = directory / f"{number}.o"
    path.write_bytes(PlaceholderWriter(b"/launcher").encode(bytes([number]) * 32, 0))
    return bytes(path)


def asked(served: Reading, *names: bytes) -> list[ReaderAnswer]:
    """Ask for each name by itself; the answers, in the order in which they come."""
    answers: queue.SimpleQueue[ReaderAnswer] = queue.SimpleQueue()
    for name in names:
        served.force([name], answers.put, b"nm")
    return [answers.get(timeout=SECONDS) for _ in names]


def test_what_is_no_placeholder_needs_nothing(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("x")
    served, forcing = reading(lambda forcing, roots: None)
    assert asked(served, bytes(tmp_path / "real"), bytes(tmp_path / "gone")) == [ReaderAnswer(), ReaderAnswer()]
    assert not forcing.served
    served.close()


def test_a_bug_answers_all_who_wait_and_all_who_come(tmp_path: Path) -> None:
    def work(forcing: Forcing, roots: list[ThunkId]) -> None:
        raise KeyError("a.o")

    served, _ = reading(work)
    for done in asked(served, placeholder(tmp_path, 1), placeholder(tmp_path, 2), placeholder(tmp_path, 3)):
        assert done.status == 70
        assert b"internal error: KeyError" in done.stderr
    assert isinstance(served.broken, KeyError)
    with pytest.raises(OSError, match="internal error"):
        served.now([placeholder(tmp_path, 4)])
    served.close()


@pytest.mark.parametrize("error", [StoreError("the disk is full"), SetupError("no bucket", hint="make one")])
def test_trouble_is_told_with_its_status(tmp_path: Path, error: GGError) -> None:
    def work(forcing: Forcing, roots: list[ThunkId]) -> None:
        raise error

    served, _ = reading(work)
    (done,) = asked(served, placeholder(tmp_path, 1))
    assert done.status == error.exit_code
    assert error.what.encode() in done.stderr
    assert served.broken is None
    served.close()


def test_each_is_answered_when_its_own_is_in_its_place(tmp_path: Path) -> None:
    """The first is under way until the end; who comes meanwhile joins, and is done before it."""
    let_go = threading.Event()

    def work(forcing: Forcing, roots: list[ThunkId]) -> None:
        second = forcing.wanted.get(timeout=SECONDS)
        forcing.place([second])
        let_go.wait(SECONDS)
        forcing.place(roots)

    served, forcing = reading(work)
    first: queue.SimpleQueue[ReaderAnswer] = queue.SimpleQueue()
    served.force([placeholder(tmp_path, 1)], first.put, b"slow")
    while not forcing.served:
        time.sleep(0.001)
    assert asked(served, placeholder(tmp_path, 2)) == [ReaderAnswer()]
    assert first.empty()
    let_go.set()
    assert first.get(timeout=SECONDS) == ReaderAnswer()
    assert [(read.reader, read.thunks) for read in served.reads] == [("nm", 3), ("slow", 3)]
    assert len(forcing.served) == 1
    served.close()


def test_of_several_who_wait_each_is_told_its_own(tmp_path: Path) -> None:
    names = [placeholder(tmp_path, number) for number in (1, 2, 3)]
    bad, cause = ThunkId(bytes([2]) * 32), ThunkId(bytes([9]) * 32)
    begin = threading.Event()

    def work(forcing: Forcing, roots: list[ThunkId]) -> None:
        begin.wait(SECONDS)
        forcing.see(ThunkFailed(cause.hex(), "x.o", 4, b"", b"no\n"))  # type: ignore[attr-defined]
        forcing.hearing.given_up([(bad, cause)])
        forcing.place([ThunkId(bytes([1]) * 32)])
        forcing.hearing.unplaced([ThunkId(bytes([3]) * 32)], StoreError("full"))

    served, _ = reading(work)
    answers: queue.SimpleQueue[tuple[bytes, ReaderAnswer]] = queue.SimpleQueue()
    for name in names:
        served.force([name], lambda done, name=name: answers.put((name, done)))  # type: ignore[misc]
    begin.set()
    got = dict(answers.get(timeout=SECONDS) for _ in names)
    assert [got[name].status for name in names] == [0, 4, 74]
    assert b"could not be forced" in got[names[1]].stderr
    served.close()


def test_the_end_answers_who_still_waits(tmp_path: Path) -> None:
    served, forcing = reading(lambda forcing, roots: cast("None", forcing.stopped.wait(SECONDS)))
    answers: queue.SimpleQueue[ReaderAnswer] = queue.SimpleQueue()
    served.force([placeholder(tmp_path, 1)], answers.put)
    while not forcing.served:
        time.sleep(0.001)
    served.close()
    assert answers.get(timeout=SECONDS).status


def test_a_copy_that_came_while_files_were_placed_is_placed_too(tmp_path: Path) -> None:
    """`cp a b; echo >>b` beside a reader of a: the places were known before b was."""
    original, copy = placeholder(tmp_path, 1), bytes(tmp_path / "copy.o")
    ready, answers = threading.Event(), queue.SimpleQueue[ReaderAnswer]()

    def work(forcing: Forcing, roots: list[ThunkId]) -> None:
        known = {root: list(forcing.elsewhere[root]) for root in roots}
        if len(forcing.served) == 1:
            ready.set()
            late.wait(SECONDS)
            forcing.too_late = True
        forcing.place(roots, known)

    late = threading.Event()
    served, _ = reading(work)
    served.force([original], answers.put, b"nm")
    assert ready.wait(SECONDS)
    Path(os.fsdecode(copy)).write_bytes(Path(os.fsdecode(original)).read_bytes())
    served.force([copy], answers.put, b"sh")
    late.set()
    assert [answers.get(timeout=SECONDS) for _ in range(2)] == [ReaderAnswer(), ReaderAnswer()]
    assert Path(os.fsdecode(copy)).read_bytes() == b"real"
    served.close()
