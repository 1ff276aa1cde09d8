"""The way to one machine: a connection, made again when it breaks, and what a break means for the attempts under way.

When the connection breaks, this side knocks again. If the same worker opens, the network was at fault. If another worker opens, or
nobody listens any more, the worker has died, and any attempt that ran there may be why. Attempts that only waited there are not
to blame.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from contextlib import suppress

from gg.cost.meter import Meter
from gg.engines.awslambda.deployed_functions import DeployedFunction
from gg.engines.awslambda.inputs import SMALL
from gg.engines.engine import Failure
from gg.engines.remote.hosts import Host
from gg.engines.remote.lending import Lending
from gg.engines.remote.worker_link import Link, OutstandingAttempt, hang_up, knock
from gg.engines.way import Question, TellChange
from gg.engines.worker_reply import judged
from gg.errors import SetupError
from gg.schedule.events import EngineCaps, Fault
from gg.store.base import Store
from gg.wire.frames import FrameKind, Welcome
from gg.wire.reply import Reply, asked
from gg.wire.request import Limits

DAY_S = 86400.0
_OVERHEAD_S = 0.03
_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
_PAUSE_S = 8.0
_MOMENTS_S = (0.0, 0.1, 0.2, 0.4, 0.8)
_GONE_S = 0.1  # the attempts under way are answered before the machine counts as gone
_NOT_NOW_S = 0.2
_AGAIN_S = 20.0  # before a worker that begins nothing is asked again; below `Policy.patience`, for it may only be busy
_BEGIN_S = 300.0  # in which a worker begins what it was sent, or others do it: its slots may be another build's, or it may be ill


class Machine:
    """One machine. It may ask for what `lending` grants. Its big outputs go into `store`, by way of files in `tmp`."""

    carries = SMALL  # a worker asks for what it lacks, and has much of what a link reads

    def __init__(self, name: str, host: Host, welcome: Welcome, meter: Meter, lending: Lending, store: Store, tmp: str):
        self.name = name
        self.host = host
        self.meter = meter
        self.functions = (DeployedFunction(str(host), welcome.memory, DAY_S),)
        self.caps = caps_of(welcome)
        self._instance = welcome.instance
        self._lending = lending
        self._store = store
        self._tmp = tmp
        self._link: Link | None = None
        self._opening: asyncio.Task[None] | None = None  # while it runs nobody knows yet whether there is a connection
        self._waiting: asyncio.Task[None] | None = None  # knocks until a worker is there again
        self._tell: TellChange = lambda slots, caps: None
        self._numbers = itertools.count(1)
        self._vain = 0  # connections that broke, since one was useful
        self._closed = False

    # The methods of `Way`

    async def warm(self) -> None:
        """Open the connection."""
        await self._open()

    def limits(self, memory: int) -> Limits:
        return Limits(memory=memory)

    def follow(self, tell: TellChange) -> None:
        self._tell = tell

    async def ask(self, question: Question) -> Reply | Failure:
        link = self._link or await self._open()
        if link is None or link.left:
            await asyncio.sleep(_NOT_NOW_S)
            return Failure(Fault.THROTTLED, f"{self.host} is not there")
        for part in question.parts:
            self._lending.grant(part.submission)
        number = next(self._numbers)
        attempt = link.expect(number, question.sent)
        late = asyncio.get_running_loop().call_later(_BEGIN_S, self._not_begun, link, number, attempt)
        try:
            with suppress(OSError):  # the end of the link answers every request
                await link.send(FrameKind.RUN, number, question.request)
            reply = await attempt.reply
        except _Broken as error:
            return error.failure
        except asyncio.CancelledError:
            link.send_soon(FrameKind.CANCEL, number)
            raise
        finally:
            late.cancel()
            link.forget(number)
        if reply is None:
            return Failure(Fault.CANCELLED, f"{self.host} has given it back")
        return judged(reply, asked(question.request))

    def _not_begun(self, link: Link, number: int, attempt: OutstandingAttempt) -> None:
        """Go on without an attempt that waits for too long; for a while without the machine, if nothing of ours runs there."""
        if attempt.started or attempt.reply.done():
            return
        does_nothing = not any(each.started for each in link.asked.values())
        why = f"{self.host} has not begun it for {_BEGIN_S:.0f} s"
        for each, waiting in list(link.asked.items()) if does_nothing else [(number, attempt)]:
            if not waiting.reply.done():
                link.send_soon(FrameKind.CANCEL, each)
                waiting.reply.set_exception(_Broken(Failure(Fault.THROTTLED, why)))
        if does_nothing and link is self._link:
            loop = asyncio.get_running_loop()
            loop.call_later(_GONE_S, self._tell, None, None)
            loop.call_later(_AGAIN_S, self._back)

    async def close(self) -> None:
        self._closed = True
        for task in (self._opening, self._waiting):
            if task is not None:
                task.cancel()
        if self._link is not None:
            await self._link.close()

    # The connection

    async def _open(self) -> Link | None:
        """The connection. Opens it if there is none yet; None if that does not work now."""
        if self._opening is None and self._waiting is None and not self._closed:
            self._opening = asyncio.get_running_loop().create_task(self._connect())
        if self._opening is not None:
            await asyncio.wait([self._opening])
        return self._link

    async def _connect(self) -> None:
        try:
            await self._knock()
        except (OSError, TimeoutError, EOFError, SetupError):
            self._gone()
        finally:
            self._opening = None

    async def _knock(self) -> None:
        """Connect, and be let in. OSError, TimeoutError, SetupError."""
        welcome, reader, writer = await knock(self.host, user())
        if self._closed:
            await hang_up(writer)
            return
        self._instance = welcome.instance
        self.caps = caps_of(welcome)
        self._link = Link(
            self.host,
            welcome,
            reader,
            writer,
            lending=self._lending,
            store=self._store,
            tmp=self._tmp,
            leaving=self._leaving,
            lost=self._lost,
        )

    def _leaving(self) -> None:
        self._tell(0, self.caps._replace(leaving=True))

    def _lost(self, link: Link) -> None:
        """The connection broke."""
        self._link = None
        self._opening = asyncio.get_running_loop().create_task(self._find_out(link))

    async def _find_out(self, link: Link) -> None:
        """Find out why the connection broke, tell all who wait for answers, and go on, or wait until a worker is there again."""
        before = self._instance
        self._vain = 0 if link.useful else self._vain + 1
        if self._vain > 1:  # who lets everybody in and hangs up would be asked again at once, without end
            await asyncio.sleep(min(_PAUSES_S[0] * 2.0 ** min(self._vain - 2, 30), _PAUSE_S))
        try:
            there, refused = await self._knock_again()
        finally:
            self._opening = None
        if there and self._instance == before:
            fault, why = Fault.INFRA, "the connection to {} broke"
        elif there or refused:
            fault, why = Fault.DIED, "the worker on {} has died"
        else:
            fault, why = Fault.LOST, "the worker on {} does not answer any more"
        self._tell_why(link, fault, why.format(self.host))
        if there:
            self._back()
        else:
            self._gone()

    async def _knock_again(self) -> tuple[bool, bool]:
        """Whether a worker opens, and whether nobody listens. A process that is just ending may still seem to listen."""
        for pause in _MOMENTS_S:
            await asyncio.sleep(pause)
            try:
                await self._knock()
                return True, False
            except ConnectionRefusedError:
                return False, True
            except (ConnectionError, EOFError):
                continue
            except (OSError, TimeoutError, SetupError):
                break
        return False, False

    def _tell_why(self, link: Link, fault: Fault, why: str) -> None:
        for attempt in link.asked.values():
            if attempt.reply.done():
                continue
            blamed = attempt.started and not link.left
            failure = Failure(fault, f"{why} while it ran this") if blamed else Failure(Fault.CANCELLED, why)
            attempt.reply.set_exception(_Broken(failure))

    def _gone(self) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(_GONE_S, self._say_gone)
        if not self._closed:
            self._waiting = loop.create_task(self._come_back())

    def _say_gone(self) -> None:
        if self._link is None:
            self._tell(None, None)

    def _back(self) -> None:
        """Tell that a worker is there, perhaps another one than before."""
        link = self._link
        if link is not None:
            self._tell(link.welcome.slots, self.caps)

    async def _come_back(self) -> None:
        """Knock until somebody opens."""
        try:
            for pause in itertools.chain(_PAUSES_S, itertools.repeat(_PAUSE_S)):
                await asyncio.sleep(pause)
                with suppress(OSError, TimeoutError, EOFError, SetupError):
                    await self._knock()
                if self._link is not None:
                    self._back()
                    return
        finally:
            self._waiting = None


class _Broken(Exception):
    """The connection ended before the reply came."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def caps_of(welcome: Welcome) -> EngineCaps:
    """What a machine can do."""
    return EngineCaps(memory_total=welcome.memory, overhead=_OVERHEAD_S, announces=True, keeps=True)


def user() -> str:
    """The name by which a worker's log calls us."""
    return f"{os.getuid()}@{socket.gethostname()}"[:200]
