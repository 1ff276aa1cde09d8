"""Makes the spot engine from the settings: with the team's store, and a queue that workers read."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gg.aws.failures import RequestContext, need_extra
from gg.aws.http import Client
from gg.aws.loop import LoopThread
from gg.aws.setup import AwsSession
from gg.aws.sign import Scope
from gg.aws.sqs import Queues
from gg.cost.meter import Bill
from gg.cost.prices import prices
from gg.engines.awslambda.lambda_engine import LambdaEngine
from gg.engines.awslambda.shipping import S3Shipping
from gg.engines.coordinator import coordinator
from gg.engines.spot.heard_workers import HeardWorkers
from gg.engines.spot.queue_way import NAME, QueueWay
from gg.engines.spot.stored_bodies import StoredBodies
from gg.errors import SetupError, UsageError
from gg.schedule.events import EngineCaps
from gg.share.s3.store import S3Store
from gg.share.tiered import Tiered
from gg.workspace.granted import granted_in
from gg.workspace.settings import Settings

if TYPE_CHECKING:
    from gg.engines.supplies import Supplies
    from gg.share.s3.remote import Remote
    from gg.store.base import Store

_WIDTH = 256
_MEMORY = 4 << 30  # bytes that an attempt may be expected to need
_OVERHEAD_S = 0.2
_MOST_S = 900.0
_CALL_S = 0.0005
_BATCH = 10


class SpotEngine(LambdaEngine):
    """Workers behind a queue. All but the way to them is the lambda engine's."""


def open_spot_engine(settings: Settings, supplies: Supplies) -> LambdaEngine:
    """The engine. SetupError, AccessError if there is no store, or no queue, or no right to one of them."""
    need_extra("the spot engine")
    workspace = supplies.workspace
    near, remote = _stores(supplies.store)
    if not settings.queue:
        raise SetupError(
            "the spot engine needs a queue", hint="name the queue that its workers read: queue in gg.toml, or GG_QUEUE"
        )
    session = AwsSession(remote.where.region)
    session.renew()
    width = settings.jobs or _WIDTH
    queue, weight = split_weight(settings.queue)
    shipping = S3Shipping(remote, near, workspace.root)
    fleet = _find(session, queue)
    way = QueueWay(
        partial(open_queues, session),
        fleet,
        (supplies.bill or Bill()).meter(prices(session.region()), engine=NAME),
        slots=width,
        memory=_MEMORY,
        silence=settings.silence,
        bodies=StoredBodies(remote, shipping.place),
        heard=HeardWorkers(workspace.dot, fleet),
        caps=spot_caps(),
        weight=weight,
    )
    return SpotEngine(
        way,
        store=near,
        groups=supplies.groups,
        files=supplies.files,
        remote=shipping,
        slots=width,
        renaming=supplies.renaming,
        granted=granted_in(workspace.root, settings),
        coordinator=coordinator(),
        later=supplies.later,
        caps=spot_caps(),
    )


def _stores(store: Store) -> tuple[Store, Remote]:
    """This machine's store, and the team's bucket behind it. SetupError if there is no bucket."""
    if isinstance(store, Tiered) and isinstance(store.far, S3Store):
        return store.near, store.far.remote
    raise SetupError(
        "the spot engine needs a store", hint="set GG_STORAGE_URI=s3://BUCKET/PREFIX?region=R, as for its workers"
    )


def split_weight(queue: str) -> tuple[str, float]:
    """A queue's name or URL, and its weight, which may stand behind `?`. UsageError."""
    name, _, said = queue.partition("?")
    try:
        weight = float(said.removeprefix("weight=")) if said.startswith("weight=") else float(not said)
        if 0 < weight < float("inf"):
            return name, weight
    except ValueError:
        pass
    raise UsageError(
        f"{queue!r} is no queue", hint="such as gg-jobs, or gg-jobs?weight=2 for twice the share of others"
    )


def spot_caps() -> EngineCaps:
    """The capabilities of workers behind a queue."""
    return EngineCaps(
        max_seconds=_MOST_S, overhead=_OVERHEAD_S, announces=True, batch=_BATCH, call=_CALL_S, queued=True
    )


def open_queues(session: AwsSession) -> Queues:
    """The client of SQS. Call it in the loop."""
    endpoint = session.endpoint("sqs")
    what = RequestContext(
        what="pass thunks through queues of SQS",
        right="sqs:SendMessage, ReceiveMessage, DeleteMessage, CreateQueue and DeleteQueue",
        host=endpoint.name,
        region=session.region(),
        access_key=session.renew().access_key,
    )
    return Queues(Client(endpoint, Scope(session.region(), "sqs"), session), what)


def _find(session: AwsSession, name: str) -> str:
    async def find() -> str:
        queues = open_queues(session)
        try:
            return await queues.url(name)
        finally:
            await queues.close()

    loop = LoopThread("spot set-up")
    try:
        return loop.run(find())
    finally:
        loop.close()
