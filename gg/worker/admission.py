"""Which of the tasks that wait on a machine starts next. Pure: no threads, no clock.

Processors and memory are both consumed: a task takes one processor and the memory that it is expected to need, so heavy
links never pile up on one machine. The next task is that of the owner who has had least of the processors' time for its weight;
equal owners take turns. Nobody saves up time: an owner that comes back after a pause begins where the others are (start-time
fair queueing, Goyal, Vin and Cheng 1996). One owner's tasks start in the order in which they came. Smaller tasks may overtake a
task that is too big for the memory that is left, but only so often: then nothing starts until the big task fits. A task that is
bigger than the machine runs alone.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import NamedTuple

_MOST_PASSED = 16


class _Task(NamedTuple):
    owner: Hashable
    id: Hashable
    memory: int


class _Share:
    """What an owner has had: seconds of processors, over its weight. `running` tasks are counted up to `since`."""

    __slots__ = ("had", "running", "since", "weight")

    def __init__(self) -> None:
        self.had = self.since = 0.0
        self.running = 0
        self.weight = 1.0

    def count(self, now: float) -> float:
        self.had += self.running * max(now - self.since, 0.0) / self.weight
        self.since = now
        return self.had


class Admission:
    """`cpus` tasks at once, in `memory` bytes. Owners and tasks are whatever names the caller has for them."""

    def __init__(self, cpus: int, memory: int) -> None:
        self.cpus = cpus
        self.memory = memory
        self._waiting: OrderedDict[Hashable, deque[_Task]] = OrderedDict()  # among equal owners the first one is next
        self._running: dict[Hashable, _Task] = {}
        self._shares: dict[Hashable, _Share] = {}
        self._least = 0.0  # where an owner begins that comes back
        self._used = 0
        self._passed = 0
        self._blocked: _Task | None = None  # the task that smaller ones overtake

    def add(self, owner: Hashable, id: Hashable, memory: int, *, weight: float = 1.0, now: float = 0.0) -> None:
        """A task has come. `memory`: bytes that it is expected to need; `now`: seconds of any clock that does not go back."""
        share = self._shares.setdefault(owner, _Share())
        share.count(now)
        share.weight = weight
        if owner not in self._waiting:
            share.had = max(share.had, self._least)
        self._waiting.setdefault(owner, deque()).append(_Task(owner, id, memory))

    def next(self, now: float = 0.0) -> Hashable | None:
        """The task to start now, which counts as running; None if nothing can start before another ends."""
        if len(self._running) >= self.cpus:
            return None
        blocked = self._blocked
        if blocked is not None and self._passed >= _MOST_PASSED and not self._fits(blocked):
            return None
        for owner in sorted(self._waiting, key=lambda each: self._shares[each].count(now)):
            task = self._waiting[owner][0]
            if self._fits(task):
                self._start(task)
                return task.id
            if self._blocked is None:
                self._blocked, self._passed = task, 0
        return None

    def ended(self, id: Hashable, now: float = 0.0) -> None:
        """A task that was running is over."""
        task = self._running.pop(id)
        self._used -= task.memory
        share = self._shares[task.owner]
        share.count(now)
        share.running -= 1
        self._forget_idle(now)

    def remove(self, id: Hashable) -> bool:
        """Forget a task that waits. False if it does not wait."""
        for owner, tasks in list(self._waiting.items()):
            for task in tasks:
                if task.id == id:
                    tasks.remove(task)
                    if not tasks:
                        del self._waiting[owner]
                        self._forget_idle(self._shares[owner].since)
                    if self._blocked == task:
                        self._blocked = None
                    return True
        return False

    @property
    def waiting(self) -> list[Hashable]:
        return [task.id for tasks in self._waiting.values() for task in tasks]

    @property
    def running(self) -> list[Hashable]:
        return list(self._running)

    @property
    def used(self) -> int:
        """Bytes of memory set aside."""
        return self._used

    def _fits(self, task: _Task) -> bool:
        return not self._running or self._used + task.memory <= self.memory

    def _start(self, task: _Task) -> None:
        share = self._shares[task.owner]
        share.running += 1
        self._least = max(self._least, share.had)
        tasks = self._waiting[task.owner]
        tasks.popleft()
        if tasks:
            self._waiting.move_to_end(task.owner)
        else:
            del self._waiting[task.owner]
        self._running[task.id] = task
        self._used += task.memory
        if self._blocked == task:
            self._blocked = None
        elif self._blocked is not None:
            self._passed += 1

    def _forget_idle(self, now: float) -> None:
        """Forget the owners that have no task here and would begin where the others are."""
        for owner, share in list(self._shares.items()):
            if not share.running and owner not in self._waiting and (share.had <= self._least or not self._running):
                del self._shares[owner]
