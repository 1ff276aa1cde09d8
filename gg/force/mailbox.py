"""What comes to the driver from other threads: answers, what was sent, engines that come and go, what is wanted besides, and to
stop.
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
    """What is to be forced besides."""

    ticket: int
    root: ThunkId


class Changed(NamedTuple):
    """An engine takes another number of attempts at once; None: it is gone. `caps`: its capabilities, if they are others."""

    engine: str
    slots: int | None
    caps: EngineCaps | None


MailboxMessage = Answer | AttemptsSent | RootWanted | Changed | None
"""None: stop."""


class Mailbox:
    """Anybody puts, one takes, by its clock: `now`."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[MailboxMessage] = queue.SimpleQueue()
        self._tickets = itertools.count()
        self.now = Awake().now
        self.joined: set[int] = set()  # the tickets of what was wanted and is part of the run by now

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
        """All that has come, but not more than is well dealt with together; nothing when nothing comes within `timeout`, or a
        second.

        Answers are dealt with many at a time, for each costs a transaction otherwise.
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
