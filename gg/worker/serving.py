"""A worker as a service: it listens, until it is told to leave or has had nothing to do for long enough.

SIGTERM and SIGINT have it leave: it takes nothing more, lets what runs end for a while, and gives back the rest. A second one
ends it at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import NamedTuple

import gg
from gg.errors import UsageError
from gg.wire.frames import Welcome
from gg.worker import hidden
from gg.worker.identity import Identity
from gg.worker.listen import Listener
from gg.worker.slots import Slots

_LOOK_S = 1.0


class Options(NamedTuple):
    """`host`, `port`: where to listen; port 0 for any. `idle`: seconds without work after which it ends, 0 for never. `grace`: how
    long what runs may take when it is to leave.
    """

    directory: str
    host: str
    port: int
    cpus: int
    memory: int
    cache: int = 0
    idle: float = 0.0
    grace: float = 100.0


def run(options: Options, identity: Identity, ready: Callable[[int], None], say: Callable[[str], None]) -> None:
    """Serve until the end; `ready(port)` is called once it listens. UsageError when it cannot listen there."""
    asyncio.run(_run(options, identity, ready, say))


async def _run(options: Options, identity: Identity, ready: Callable[[int], None], say: Callable[[str], None]) -> None:
    hidden.hide()
    slots = Slots(options.directory, cpus=options.cpus, memory=options.memory, cache=options.cache)
    instance, machine = os.urandom(8).hex(), os.uname().machine
    welcome = Welcome(gg.__version__, instance, options.cpus, options.memory, machine)
    listener = Listener(slots, identity.key.token, welcome, say)
    try:
        port = await listener.start(options.host, options.port, identity.context())
    except OSError as error:
        where = f"{options.host or '*'}:{options.port}"
        raise UsageError(
            f"cannot listen on {where}: {error.strerror}", hint="choose another: --listen HOST:PORT"
        ) from error
    told = _told_to_leave()
    ready(port)
    try:
        while not told.is_set():
            if options.idle and slots.idle_seconds >= options.idle:
                say(f"nothing to do for {options.idle:.0f} s")
                break
            try:
                await asyncio.wait_for(told.wait(), _LOOK_S)
            except TimeoutError:
                pass
        await listener.leave(options.grace if told.is_set() else 0.0)
    finally:
        await asyncio.get_running_loop().run_in_executor(None, slots.close)


def _told_to_leave() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hear(number: int) -> None:
        told.set()
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, hear, number)
    return told
