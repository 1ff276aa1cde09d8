"""Makes the lambda engines from the settings, one a region: session, functions, and the store between."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from gg.aws.failures import RequestContext
from gg.aws.http import Client
from gg.aws.loop import LoopThread
from gg.aws.setup import AwsSession
from gg.aws.sign import Scope
from gg.cost.meter import Bill, Meter, Tariff
from gg.cost.prices import prices
from gg.deploy.found import regions
from gg.engines.awslambda.asking import Region
from gg.engines.awslambda.deployed_functions import DeployedFunction, find
from gg.engines.awslambda.function_list_cache import FunctionListCache
from gg.engines.awslambda.inputs import no_store
from gg.engines.awslambda.lambda_engine import NAME, LambdaEngine
from gg.engines.awslambda.shipping import S3Shipping
from gg.engines.coordinator import coordinator
from gg.errors import GGError
from gg.host.machine import file_places
from gg.light.named import NamedTuple
from gg.share.s3.store import S3Store
from gg.share.tiered import Tiered
from gg.workspace.granted import granted_in
from gg.workspace.settings import Settings

if TYPE_CHECKING:
    from gg.engines.supplies import Supplies

_STARTUP_S = 0.5  # of a new environment, its first fetch included (gg.cost.models)
_WIDTH = 1000  # Lambda's own limit for a new account's functions together


class _Found(NamedTuple):
    """A region in which functions were found."""

    session: AwsSession
    asked: RequestContext
    functions: tuple[DeployedFunction, ...]

    @property
    def name(self) -> str:
        return self.session.region()


def open_engines(settings: Settings, supplies: Supplies) -> list[LambdaEngine]:
    """An engine for each region of the settings. The scheduler trusts and distrusts each by itself. The first one has the name
    that it would have alone. Reports regions that have to be left out.

    SetupError, AccessError if the set-up is wrong in all regions, which the request for the functions shows.
    """
    store, workspace, bill = supplies.store, supplies.workspace, supplies.bill or Bill()
    if not isinstance(store, Tiered) or not isinstance(store.far, S3Store):
        raise no_store()
    remote = store.far.remote
    width = settings.jobs or _WIDTH
    session = AwsSession(remote.where.region)
    session.renew()
    listed = FunctionListCache(workspace.dot)
    names = regions(settings.regions, session.region(), workspace.dot, _architecture())
    found = _find(settings, session, names, listed, supplies.report)
    width = max(1, file_places(width * len(found)) // len(found))
    shipping = S3Shipping(remote, store.near, workspace.root)
    granted = granted_in(workspace.root, settings)
    asking = coordinator()
    price = _second(found[0])  # of all regions: the user says which one comes first
    engines: list[LambdaEngine] = []
    for region in found:
        name = f"{NAME}/{region.name}" if engines else NAME
        engine = LambdaEngine(
            _way(region, name, width, _metered(bill, name, region), listed, alone=len(found) == 1),
            store=store.near,
            groups=supplies.groups,
            files=supplies.files,
            remote=shipping,
            slots=width,
            renaming=supplies.renaming,
            granted=granted,
            coordinator=asking,
            later=supplies.later,
        )
        engine.caps = engine.caps._replace(price=price, startup=_STARTUP_S)
        engines.append(engine)
    return engines


def _second(region: _Found) -> float:
    """What a second of the smallest function costs there, in dollars."""
    smallest = region.functions[0]
    return prices(region.name).second(_architecture(), smallest.memory_mb, smallest.disk_mb)


def _way(region: _Found, name: str, width: int, meter: Meter, listed: FunctionListCache, *, alone: bool) -> Region:
    return Region(
        name,
        region.functions,
        partial(_client, region.session, width),
        region.asked,
        meter,
        alone=alone,
        forget=listed.forget,
    )


def _metered(bill: Bill, name: str, region: _Found) -> Meter:
    """What the engine `name` spends goes on `bill`, at the region's prices."""
    paid = prices(region.name)
    seconds = [(f.memory, paid.second(_architecture(), f.memory_mb, f.disk_mb)) for f in region.functions]
    bill.tariffs[name] = Tariff(paid.invocation, tuple(seconds))
    return bill.meter(paid, _architecture(), name)


def _client(session: AwsSession, width: int) -> Client:
    return Client(session.endpoint("lambda"), Scope(session.region(), "lambda"), session, limit=width)


def _find(
    settings: Settings,
    session: AwsSession,
    names: Sequence[str],
    listed: FunctionListCache,
    report: Callable[[str], None],
) -> list[_Found]:
    """The regions that have functions. Asks all regions at once whose functions are not remembered."""
    sessions = [session if name == session.region() else session.elsewhere(name) for name in names]
    asked = [_asked(each) for each in sessions]
    prefix = f"{settings.functions}-{_architecture()}"
    known = {each: listed.find(prefix, each) for each in asked}
    places = [
        (partial(_client, s, _WIDTH), prefix, a) for s, a in zip(sessions, asked, strict=True) if known[a] is None
    ]
    answers = dict(zip([place[2] for place in places], ask_all(places), strict=True))
    found: list[_Found] = []
    wrong: dict[str, GGError] = {}
    for each, said in zip(sessions, asked, strict=True):
        answer = known[said] or answers[said]
        if isinstance(answer, GGError):
            wrong[each.region()] = answer
            continue
        if said in answers:
            listed.keep(prefix, said, answer)
        found.append(_Found(each, said, answer))
    if not found:
        raise next(iter(wrong.values()))
    for name, error in wrong.items():
        report(f"region {name} is left out: {error}")
    return found


def _asked(session: AwsSession) -> RequestContext:
    return RequestContext(
        what="run functions of AWS Lambda",
        right="lambda:ListFunctions and lambda:InvokeFunction",
        host=session.endpoint("lambda").name,
        region=session.region(),
        access_key=session.renew().access_key,
    )


def _architecture() -> str:
    """The architecture of the machine that was recorded on, as Lambda calls it: the toolchain travels and needs that processor."""
    machine = os.uname().machine
    return "arm64" if machine == "aarch64" else machine


def ask_all(
    places: Sequence[tuple[Callable[[], Client], str, RequestContext]],
) -> list[tuple[DeployedFunction, ...] | GGError]:
    """The functions in each place whose names begin so, or why they cannot be listed."""
    if not places:
        return []

    async def ask(
        open_client: Callable[[], Client], prefix: str, asked: RequestContext
    ) -> tuple[DeployedFunction, ...] | GGError:
        client = open_client()
        try:
            return await find(client, prefix, asked)
        except GGError as error:
            return error
        finally:
            await client.close()

    async def ask_each() -> list[tuple[DeployedFunction, ...] | GGError]:
        return await asyncio.gather(*[ask(*place) for place in places])

    loop = LoopThread("lambda set-up")
    try:
        return loop.run(ask_each())
    finally:
        loop.close()
