"""Which of the tasks that wait on a machine starts next. Pure: no threads, no clock.

Processors and memory are both consumed: a task takes one processor and the memory that it is expected to need, so heavy
links never pile up on one machine. Those who ask are served in turn, a task each; one owner's tasks start in the order in
which they came. A task that is too big for the memory that is left is passed over by smaller ones, but only so often: then
nothing starts until it fits. A task that is bigger than the machine runs alone.
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


class Admission:
    """`cpus` tasks at once, in `memory` bytes. Owners and tasks are whatever names the caller has for them."""

    def __init__(self, cpus: int, memory: int) -> None:
        self.cpus = cpus
        self.memory = memory
        self._waiting: OrderedDict[Hashable, deque[_Task]] = OrderedDict()  # whose turn is next comes first
        self._running: dict[Hashable, _Task] = {}
        self._used = 0
        self._passed = 0
        self._blocked: Hashable | None = None  # the task that is passed over

    def add(self, owner: Hashable, id: Hashable, memory: int) -> None:
        """A task has come that is expected to need so much memory."""
        self._waiting.setdefault(owner, deque()).append(_Task(owner, id, memory))

    def next(self) -> Hashable | None:
        """The task to start now, which counts as running; None if nothing can start before another ends."""
        if len(self._running) >= self.cpus:
            return None
        for owner in list(self._waiting):
            task = self._waiting[owner][0]
            if self._fits(task):
                self._start(task)
                return task.id
            if self._blocked is None:
                self._blocked, self._passed = task.id, 0
            if self._blocked == task.id and self._passed >= _MOST_PASSED:
                return None
        return None

    def ended(self, id: Hashable) -> None:
        """A task that was running is over."""
        self._used -= self._running.pop(id).memory

    def remove(self, id: Hashable) -> bool:
        """Forget a task that waits; False if it does not."""
        for owner, tasks in list(self._waiting.items()):
            for task in tasks:
                if task.id == id:
                    tasks.remove(task)
                    if not tasks:
                        del self._waiting[owner]
                    if self._blocked == id:
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
        tasks = self._waiting[task.owner]
        tasks.popleft()
        if tasks:
            self._waiting.move_to_end(task.owner)
        else:
            del self._waiting[task.owner]
        self._running[task.id] = task
        self._used += task.memory
        if self._blocked == task.id:
            self._blocked = None
        elif self._blocked is not None:
            self._passed += 1
