"""A worker as a service: it listens, or reads a queue, until it is told to leave or has had nothing to do for long enough.

On SIGTERM or SIGINT it leaves: it takes no more requests, lets the running ones end for a while, and gives back the rest. A second
signal ends it at once. On a spot instance the notice of an interruption, or a recommendation to rebalance, counts as SIGTERM.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import NamedTuple, Protocol

import gg
from gg.errors import UsageError
from gg.wire.frames import Welcome
from gg.worker import hidden, walls
from gg.worker.disk_cache import room
from gg.worker.identity import Identity
from gg.worker.lent_objects import LentObjects
from gg.worker.listen import Listener
from gg.worker.notice import LOOK_S, Notices
from gg.worker.slots import Slots

_LOOK_S = 1.0


class WorkerOptions(NamedTuple):
    """`host`, `port`: where to listen; port 0 for any. `queue`: a queue's name or URL to read instead; `region`: where it is.
    `idle`: seconds without work after which it ends, 0 for never. `grace`: how long running requests may take when it leaves.
    `metadata`: the address of the metadata service to ask for notices. `exposed`: serve even if this kernel cannot keep commands
    from the network. `exchange`: the address and the port at which other workers may ask for what this one keeps.
    """

    directory: str
    host: str
    port: int
    cpus: int
    memory: int
    cache: int = 0
    idle: float = 0.0
    grace: float = 100.0
    queue: str = ""
    region: str = ""
    metadata: str = ""
    exposed: bool = False
    exchange: tuple[str, int] | None = None


class Taker(Protocol):
    """A part that takes work: it listens, or reads a queue."""

    async def leave(self, seconds: float) -> None: ...


Say = Callable[[str], None]


def run(options: WorkerOptions, identity: Identity | None, ready: Callable[[int], None], say: Say) -> None:
    """Serve until the end. `ready(port)` is called once it listens. UsageError when it cannot listen there; SetupError if the
    kernel cannot wall thunks in.

    With an `identity` it listens, without one it reads the queue.
    """
    asyncio.run(_run(options, identity, ready, say))


async def _run(options: WorkerOptions, identity: Identity | None, ready: Callable[[int], None], say: Say) -> None:
    hidden.hide()
    for lacking in walls.check(os.path.join(options.directory, "slot0"), exposed=options.exposed):
        say(lacking)
    os.makedirs(options.directory, exist_ok=True)
    half = (options.cache or room(options.directory)) // 2  # for all slots together; the other half is theirs
    slots = Slots(options.directory, cpus=options.cpus, memory=options.memory, cache=half, exposed=options.exposed)
    options = options._replace(cache=half)
    told = _told_to_leave()
    taker = await (_listening(options, slots, identity, ready, say) if identity else _reading(options, slots, say))
    watching = asyncio.get_running_loop().create_task(_watch(options, told, say))
    try:
        while not told.is_set():
            if options.idle and slots.idle_seconds >= options.idle:
                say(f"nothing to do for {options.idle:.0f} s")
                break
            try:
                await asyncio.wait_for(told.wait(), _LOOK_S)
            except TimeoutError:
                pass
        watching.cancel()
        await taker.leave(options.grace if told.is_set() else 0.0)
    finally:
        await asyncio.get_running_loop().run_in_executor(None, slots.close)


async def _listening(
    options: WorkerOptions, slots: Slots, identity: Identity, ready: Callable[[int], None], say: Say
) -> Taker:
    instance, machine = os.urandom(8).hex(), os.uname().machine
    welcome = Welcome(gg.__version__, instance, options.cpus, options.memory, machine)
    lent = LentObjects(options.directory, options.cache)
    listener = Listener(slots, lent, identity.key.token, welcome, say)
    try:
        port = await listener.start(options.host, options.port, identity.context())
    except OSError as error:
        where = f"{options.host or '*'}:{options.port}"
        raise UsageError(
            f"cannot listen on {where}: {error.strerror}", hint="choose another: --listen HOST:PORT"
        ) from error
    ready(port)
    return listener


async def _reading(options: WorkerOptions, slots: Slots, say: Say) -> Taker:
    from gg.aws.failures import RequestContext
    from gg.aws.http import Client
    from gg.aws.setup import AwsSession
    from gg.aws.sign import Scope
    from gg.aws.sqs import Queues
    from gg.worker.queue_worker import QueueWorker
    from gg.worker.s3_relay import SharedObjects

    session = AwsSession(options.region)
    region, endpoint = session.region(), session.endpoint("sqs")
    asked = RequestContext(
        what="take thunks from a queue",
        right="sqs:GetQueueUrl, ReceiveMessage, DeleteMessage, ChangeMessageVisibility and SendMessage",
        host=endpoint.name,
        region=region,
        access_key=session.renew().access_key,
    )
    queues = Queues(Client(endpoint, Scope(region, "sqs"), session), asked)
    url = await queues.url(options.queue)
    bucket = SharedObjects(options.directory, session.renew, session.s3_url(), options.cache, options.exchange)
    name = f"{os.uname().nodename}-{os.urandom(4).hex()}"
    worker = QueueWorker(slots, queues, url, bucket, name, gg.__version__, say)
    worker.start()
    say(f"takes work from {url}")
    return worker


async def _watch(options: WorkerOptions, told: asyncio.Event, say: Say) -> None:
    """Have the worker leave when the machine is about to be taken away."""
    if not options.metadata:
        return
    loop, notices = asyncio.get_running_loop(), Notices(options.metadata)
    if not await loop.run_in_executor(None, notices.there):
        return
    while not told.is_set():
        why = await loop.run_in_executor(None, notices.look)
        if why:
            say(f"leaves: {why}")
            told.set()
        await asyncio.sleep(LOOK_S)


def _told_to_leave() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hear(number: int) -> None:
        told.set()
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, hear, number)
    return told
