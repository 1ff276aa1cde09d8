"""The lambda engine of this user's set-up: session, functions, and the store between."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from gg.aws.errors import Asked
from gg.aws.http import Client
from gg.aws.loop import LoopThread
from gg.aws.session import Session
from gg.aws.sign import Scope
from gg.config import Settings
from gg.cost.meter import Bill, Tariff
from gg.cost.prices import prices
from gg.engines.awslambda.engine import LambdaEngine
from gg.engines.awslambda.functions import Function, find
from gg.engines.awslambda.shipping import S3Shipping
from gg.errors import SetupError
from gg.execute.expand import Groups
from gg.store.base import Store
from gg.store.s3.store import S3Store
from gg.store.tiered import Tiered

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.store.filedb import FileDB

_WIDTH = 1000  # Lambda's own limit for a new account's functions together


def open_engine(
    settings: Settings,
    *,
    store: Store,
    groups: Groups,
    files: Callable[[], FileDB],
    dot: str,
    bill: Bill,
    renaming: Renaming | None = None,
) -> LambdaEngine:
    """Ready to run. SetupError, AccessError: what is wrong with the set-up, found by asking for the functions."""
    if not isinstance(store, Tiered) or not isinstance(store.far, S3Store):
        raise SetupError(
            "the lambda engine needs a store",
            hint="set one up with: gg deploy lambda; or set GG_STORAGE_URI=s3://BUCKET/PREFIX?region=R",
        )
    remote = store.far.remote
    session = Session(remote.where.region)
    width = settings.jobs or _WIDTH

    def client() -> Client:
        return Client(session.endpoint("lambda"), Scope(session.region(), "lambda"), session, limit=width)

    asked = Asked(
        what="run functions of AWS Lambda",
        right="lambda:ListFunctions and lambda:InvokeFunction",
        host=session.endpoint("lambda").name,
        region=session.region(),
        access_key=session.renew().access_key,
    )
    root = os.path.dirname(dot)
    found = _functions(client, f"{settings.functions}-{_architecture()}", asked)
    paid = prices(session.region())
    seconds = [(f.memory, paid.second(_architecture(), f.memory_mb, f.disk_mb)) for f in found]
    bill.tariffs[LambdaEngine.name] = Tariff(paid.invocation, tuple(seconds))
    return LambdaEngine(
        store=store.near,
        groups=groups,
        files=files,
        functions=found,
        open_client=client,
        asked=asked,
        remote=S3Shipping(remote, store.near, root),
        slots=width,
        meter=bill.meter(paid, _architecture()),
        renaming=renaming,
    )


def _architecture() -> str:
    """Of the machine that was recorded on, in Lambda's words: the toolchain travels, and must find its processor."""
    machine = os.uname().machine
    return "arm64" if machine == "aarch64" else machine


def _functions(open_client: Callable[[], Client], prefix: str, asked: Asked) -> tuple[Function, ...]:
    async def ask() -> tuple[Function, ...]:
        client = open_client()
        try:
            return await find(client, prefix, asked)
        finally:
            await client.close()

    loop = LoopThread("lambda set-up")
    try:
        return loop.run(ask())
    finally:
        loop.close()
