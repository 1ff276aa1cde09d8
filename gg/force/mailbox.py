"""The messages that other threads send to the driver: answers, attempts sent, engines that come and go, further roots, and
the request to stop.
"""

from __future__ import annotations

import itertools
import queue
from collections.abc import Sequence
from contextlib import suppress

from gg.core.ids import ThunkId
from gg.engines.engine import Answer
from gg.host.awake import LOOK_S, Awake
from gg.light.named import NamedTuple
from gg.schedule.events import AttemptId, EngineCaps

_AT_ONCE = 256


class AttemptsSent(NamedTuple):
    """Attempts that an engine has sent."""

    attempts: tuple[AttemptId, ...]


class RootWanted(NamedTuple):
    """A further root to force."""

    ticket: int
    root: ThunkId


class Changed(NamedTuple):
    """An engine now takes `slots` attempts at once; None if it is gone. `caps`: its capabilities, if they have changed."""

    engine: str
    slots: int | None
    caps: EngineCaps | None


MailboxMessage = Answer | AttemptsSent | RootWanted | Changed | None
"""None: stop."""


class Mailbox:
    """Any thread puts messages in; the driver takes them out, and reads the clock `now`."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[MailboxMessage] = queue.SimpleQueue()
        self._tickets = itertools.count()
        self.now = Awake().now
        self.joined: set[int] = set()  # the tickets of the roots that are part of the run by now

    def answer(self, answer: Answer) -> None:
        self._queue.put(answer)

    def sent(self, attempts: Sequence[int]) -> None:
        """The clocks of these attempts start now."""
        self._queue.put(AttemptsSent(tuple([AttemptId(each) for each in attempts])))

    def changed(self, engine: str, slots: int | None, caps: EngineCaps | None) -> None:
        self._queue.put(Changed(engine, slots, caps))

    def want(self, root: ThunkId) -> int:
        ticket = next(self._tickets)
        self._queue.put(RootWanted(ticket, root))
        return ticket

    def stop(self) -> None:
        """Safe in a signal handler."""
        self._queue.put(None)

    def take(self, timeout: float | None) -> list[MailboxMessage]:
        """The messages that have come, up to a number; none when nothing comes within `timeout`, or a second.

        Answers are taken many at a time: one by one, each would cost a transaction.
        """
        try:
            came = [self._queue.get(timeout=LOOK_S if timeout is None else min(timeout, LOOK_S))]
        except queue.Empty:
            self.now()
            return []
        with suppress(queue.Empty):
            while len(came) < _AT_ONCE:
                came.append(self._queue.get_nowait())
        return came
