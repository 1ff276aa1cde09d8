"""Several tasks at once on one machine: a process with a `WorkerInfo` for each, and a thread here that serves it.

    slots = Slots("/var/cache/gg", cpus=8, memory=16 << 30)
    slots.submit(SlotRequest(connection, 7, request, memory, relay, started, done))

Each request is answered once, by `done`: with a reply, or with None if it is given back because the machine leaves or the
request's owner has gone. `done` and `started` are called from the threads of the slots, and must not wait.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable
from functools import partial
from typing import NamedTuple, Protocol

from gg.schedule.events import Fault
from gg.wire.reply import Refused
from gg.worker.admission import Admission
from gg.worker.disk_cache import room
from gg.worker.refused_reply import refuse_all
from gg.worker.slot_front import Relay, SlotDied, SlotFront, end_strays

_DEFAULT_MEMORY = 256 << 20  # bytes set aside for a request that does not say how much it needs
_END_S = 10.0
_LEAST_ROOM = 8 << 20


class SlotRequest(NamedTuple):
    """One request. `owner` and `number` name it. `memory`: bytes that it is expected to need, 0 if nobody knows. `weight`: its
    owner's.
    """

    owner: Hashable
    number: int
    request: bytes
    memory: int
    relay: Relay
    started: Callable[[], None]
    done: Callable[[bytes | None], None]
    weight: float = 1.0


class Handler(Protocol):
    """The part of `SlotFront` that is used here."""

    @property
    def pid(self) -> int: ...
    def handle(self, data: bytes, *, relay: Relay, stop: threading.Event) -> bytes: ...
    def cancel(self) -> None: ...
    def close(self) -> None: ...


class _Running(NamedTuple):
    worker: Handler
    stop: threading.Event


_Id = tuple[Hashable, int]


class Slots:
    """Runs `cpus` requests at once in `memory` bytes, with `cache` bytes of objects, 0 for most of the file system's room.
    `exposed`: even if this kernel cannot wall slots in. `make`: makes the handler of one slot, which has its own directory.
    """

    def __init__(
        self,
        directory: str,
        *,
        cpus: int,
        memory: int,
        cache: int = 0,
        exposed: bool = False,
        make: Callable[[str], Handler] | None = None,
    ) -> None:
        os.makedirs(directory, exist_ok=True)
        self.cpus = cpus
        self.memory = memory
        self._directory = directory
        self._make = make or partial(
            SlotFront, memory=memory, cache=(cache or room(directory)) // cpus, exposed=exposed
        )
        self._handlers: list[Handler] = []
        self._admission = Admission(cpus, memory)
        self._change = threading.Condition()
        self._work: dict[_Id, SlotRequest] = {}
        self._running: dict[_Id, _Running] = {}
        self._threads: list[threading.Thread] = []
        self._free = 0
        self._leaving = False
        self._closed = False
        self._busy_until = time.monotonic()

    def submit(self, work: SlotRequest) -> None:
        """Run a request when there is room for it."""
        id = (work.owner, work.number)
        with self._change:
            refused = self._leaving or id in self._work
            if not refused:
                self._work[id] = work
                memory = min(work.memory or _DEFAULT_MEMORY, self.memory)
                self._admission.add(work.owner, id, memory, weight=work.weight, now=time.monotonic())
                if not self._free and len(self._threads) < self.cpus:
                    self._add_thread()
                self._change.notify()
        if refused:
            work.done(None)

    def cancel(self, owner: Hashable, number: int) -> None:
        """End a request. It is answered all the same."""
        self._end([(owner, number)])

    def drop(self, owner: Hashable) -> None:
        """End all requests of an owner, and wait until none of them runs any more."""
        with self._change:
            ids = [id for id in self._work if id[0] == owner]
        self._end(ids)
        with self._change:
            self._change.wait_for(lambda: not any(id in self._work for id in ids), _END_S)

    def leave(self, seconds: float) -> None:
        """Take no more requests, give back those that wait, let the running ones end within `seconds`, and give back the rest."""
        with self._change:
            self._leaving = True
            waiting = [id for id in self._work if id not in self._running]
        self._end(waiting)
        with self._change:
            self._change.wait_for(lambda: not self._work, seconds)
            left = list(self._work)
        self._end(left)
        with self._change:
            self._change.wait_for(lambda: not self._work, _END_S)

    @property
    def idle_seconds(self) -> float:
        """How long there has been nothing to do."""
        with self._change:
            return 0.0 if self._work else time.monotonic() - self._busy_until

    @property
    def has_disk(self) -> bool:
        """Whether the disk has room to run anything. Without room every request would fail."""
        found = os.statvfs(self._directory)
        return found.f_bavail * found.f_frsize >= _LEAST_ROOM

    @property
    def under_way(self) -> int:
        """How many requests wait or run."""
        return len(self._work)

    def close(self) -> None:
        """End all running requests. Those without an answer are given back."""
        self.leave(0.0)
        with self._change:
            self._closed = True
            self._change.notify_all()
        for thread in self._threads:
            thread.join(_END_S)

    # The threads

    def _add_thread(self) -> None:
        number = len(self._threads)
        thread = threading.Thread(target=self._serve, args=(number,), name=f"slot-{number}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self, number: int) -> None:
        worker = self._make(os.path.join(self._directory, f"slot{number}"))
        self._handlers.append(worker)
        try:
            while (begun := self._next(worker)) is not None:
                work, stop = begun
                self._finish(work, stop, self._handle(worker, work, stop))
        finally:
            worker.close()

    def _next(self, worker: Handler) -> tuple[SlotRequest, threading.Event] | None:
        """Wait for a request that may start; None at the end."""
        with self._change:
            self._free += 1
            try:
                while not self._closed:
                    id = self._admission.next(time.monotonic())
                    if id is not None:
                        assert isinstance(id, tuple)
                        stop = threading.Event()
                        self._running[id] = _Running(worker, stop)
                        return self._work[id], stop
                    self._change.wait()
                return None
            finally:
                self._free -= 1

    def _handle(self, worker: Handler, work: SlotRequest, stop: threading.Event) -> bytes | None:
        work.started()
        try:
            return worker.handle(work.request, relay=work.relay, stop=stop)
        except SlotDied:
            end_strays({each.pid for each in self._handlers})
            died = Refused(Fault.DIED, "it has killed the worker's process that ran it")
            return refuse_all(died, work.request)
        except Exception as error:  # malformed bytes, or a fault of the worker: the owner must hear of it
            refused = Refused(Fault.INFRA, f"worker: {type(error).__name__}: {error}")
            return refuse_all(refused, work.request)
        finally:
            work.relay.end()

    def _finish(self, work: SlotRequest, stop: threading.Event, reply: bytes | None) -> None:
        id = (work.owner, work.number)
        with self._change:
            del self._running[id], self._work[id]
            self._busy_until = time.monotonic()
            self._admission.ended(id, self._busy_until)
            self._change.notify_all()
        work.done(None if stop.is_set() else reply)

    def _end(self, ids: list[_Id]) -> None:
        """End these requests. Waiting ones are given back here; running ones are killed, and their threads give them back."""
        given_back: list[SlotRequest] = []
        with self._change:
            for id in ids:
                running = self._running.get(id)
                if running is not None:
                    running.stop.set()
                    running.worker.cancel()
                elif id in self._work and self._admission.remove(id):
                    given_back.append(self._work.pop(id))
            self._busy_until = time.monotonic()
            self._change.notify_all()
        for work in given_back:
            work.done(None)
