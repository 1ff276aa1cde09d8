"""Forcing on demand: who asks while others run joins them, and everybody is answered, whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from queue import Queue

import pytest

from gg.core.ids import ThunkId
from gg.errors import GGError, Interrupted, StoreError
from gg.force.demand import Demand, NotDone
from gg.force.outcome import Outcome
from tests.e2e.project import SECONDS


def name(number: int) -> ThunkId:
    return ThunkId(bytes([number]) * 32)


class Settling:
    """What settles thunks, by hand: `runs` are begun, and end when the test says."""

    def __init__(self) -> None:
        self.demand: Demand[str] = Demand(self, "test")
        self.runs: Queue[list[ThunkId]] = Queue()
        self.ends: Queue[BaseException | None] = Queue()
        self.answers: Queue[tuple[str, GGError | None]] = Queue()
        self.wanted: list[ThunkId] = []
        self.joined: set[int] = set()

    def run(self, roots: Sequence[ThunkId]) -> Outcome | None:
        self.runs.put(list(roots))
        error = self.ends.get(timeout=SECONDS)
        if error is not None:
            raise error
        return None

    def want(self, root: ThunkId) -> int:
        self.wanted.append(root)
        return len(self.wanted)

    def has_joined(self, ticket: int) -> bool:
        return ticket in self.joined

    def stop(self) -> None:
        self.ends.put(None)

    def fail(self, one: str, error: GGError) -> None:
        self.answers.put((one, error))

    def settle(self, root: ThunkId) -> list[str]:
        return self.demand.take(root)


def test_each_is_answered_when_its_own_is_settled() -> None:
    work = Settling()
    work.demand.ask(name(1), "a")
    assert work.runs.get(timeout=SECONDS) == [name(1)]
    work.demand.ask(name(2), "b")
    work.demand.ask(name(1), "c")
    assert work.wanted == [name(2), name(1)]
    work.joined = {1, 2}
    assert work.settle(name(2)) == ["b"]
    assert work.settle(name(1)) == ["a", "c"]
    work.ends.put(None)
    work.demand.close()
    assert work.answers.empty()


def test_who_comes_too_late_is_begun_with_next() -> None:
    work = Settling()
    work.demand.ask(name(1), "a")
    work.runs.get(timeout=SECONDS)
    work.demand.ask(name(2), "late")
    work.settle(name(1))
    work.ends.put(None)
    assert work.runs.get(timeout=SECONDS) == [name(2)]
    work.settle(name(2))
    work.ends.put(None)
    work.demand.close()
    assert work.answers.empty()


def test_what_a_run_leaves_undone_is_answered() -> None:
    work = Settling()
    work.demand.ask(name(1), "a")
    work.ends.put(None)
    one, error = work.answers.get(timeout=SECONDS)
    assert (one, type(error)) == ("a", NotDone)
    work.demand.close()


@pytest.mark.parametrize("error", [StoreError("full"), KeyError("a bug")])
def test_an_error_is_the_answer_for_all_and_not_the_end(error: Exception) -> None:
    work = Settling()
    work.demand.ask(name(1), "a")
    work.runs.get(timeout=SECONDS)
    work.demand.ask(name(2), "b")
    work.ends.put(error)
    answered = [work.answers.get(timeout=SECONDS) for _ in range(2)]
    assert sorted(one for one, _ in answered) == ["a", "b"]
    assert all(str(error) in str(told) for _, told in answered)
    work.demand.ask(name(3), "c")
    assert work.runs.get(timeout=SECONDS) == [name(3)]
    work.settle(name(3))
    work.ends.put(None)
    work.demand.close()


def test_closing_answers_who_still_waits() -> None:
    work = Settling()
    work.demand.ask(name(1), "a")
    work.runs.get(timeout=SECONDS)
    closing = threading.Thread(target=work.demand.close)
    closing.start()
    one, error = work.answers.get(timeout=SECONDS)
    closing.join()
    assert (one, type(error)) == ("a", Interrupted)
    assert not work.demand.ask(name(2), "b")
