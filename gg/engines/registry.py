"""Engines by name. An explicit table: an engine that is not here does not exist."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gg.engines.engine import Engine
from gg.errors import UsageError
from gg.light.slotted import replace
from gg.workspace.engine_names import ENGINES
from gg.workspace.settings import Settings

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.cost.meter import Bill
    from gg.engines.awslambda.lambda_engine import LambdaEngine
    from gg.engines.local.local_engine import LocalEngine
    from gg.host.filedb import FileDB
    from gg.run.expand import Groups
    from gg.store.base import Store
    from gg.workspace.later import Later
    from gg.workspace.older import Older
    from gg.workspace.workspace import Workspace

NAMES = ENGINES


def check_names(settings: Settings) -> None:
    """UsageError for an engine that does not exist, before any is made."""
    for name in (*settings.engine, *([] if settings.fallback == "never" else [settings.fallback])):
        if name not in NAMES:
            raise UsageError(f"there is no engine {name!r}", hint=f"one of: {', '.join(NAMES)}")


def make_engines(
    settings: Settings,
    *,
    store: Store,
    groups: Groups,
    files: Callable[[], FileDB],
    workspace: Workspace,
    bill: Bill | None = None,
    renaming: Renaming | None = None,
    later: Later | None = None,
    older: Older | None = None,
    report: Callable[[str], None] = lambda text: None,
) -> list[Engine]:
    """The engines that the settings name, for a workspace, and the one to fall back on, in reserve.

    What they spend goes on `bill`; `later` tells what a thunk may not see; `report(text)` is told of what has to be left out.

    UsageError for one that does not exist; SetupError, AccessError for one that is not set up.
    """
    check_names(settings)
    engines: list[Engine] = []

    def make(name: str, settings: Settings = settings) -> Sequence[LocalEngine | LambdaEngine]:
        return _make(
            name,
            settings,
            store=store,
            groups=groups,
            files=files,
            workspace=workspace,
            bill=bill,
            renaming=renaming,
            later=later,
            older=older,
            report=report,
        )

    try:
        for name in dict.fromkeys(settings.engine):
            engines += make(name)
        if settings.fallback not in ("never", *settings.engine):
            for spare in make(settings.fallback, replace(settings, regions=settings.regions[:1])):
                spare.caps = spare.caps._replace(reserve=True)
                engines.append(spare)
    except BaseException:
        for engine in engines:
            engine.close()
        raise
    return engines


def _make(
    name: str,
    settings: Settings,
    *,
    store: Store,
    groups: Groups,
    files: Callable[[], FileDB],
    workspace: Workspace,
    bill: Bill | None,
    renaming: Renaming | None,
    later: Later | None,
    older: Older | None,
    report: Callable[[str], None],
) -> Sequence[LocalEngine | LambdaEngine]:
    """One, or one a region or machine."""
    if name == "remote":
        from gg.engines.remote.remote_engines import open_remote_engines

        return open_remote_engines(
            settings,
            store=getattr(store, "near", store),
            groups=groups,
            files=files,
            workspace=workspace,
            renaming=renaming,
            later=later,
            report=report,
        )
    if name == "spot":
        from gg.engines.spot.spot_engines import open_spot_engine

        return [
            open_spot_engine(
                settings,
                store=store,
                groups=groups,
                files=files,
                workspace=workspace,
                renaming=renaming,
                later=later,
            )
        ]
    if name == "lambda":
        from gg.cost.meter import Bill
        from gg.engines.awslambda.opening import open_engines

        return open_engines(
            settings,
            store=store,
            groups=groups,
            files=files,
            workspace=workspace,
            bill=bill or Bill(),
            renaming=renaming,
            later=later,
            report=report,
        )
    from gg.engines.local.local_engine import LocalEngine
    from gg.run.job import Isolation

    alone = settings.engine == ("local",)
    local = LocalEngine(
        store=store,
        files=files,
        groups=groups,
        tmp=workspace.tmp,
        dot=workspace.store,
        slots=settings.width() if alone else min(settings.width(), len(os.sched_getaffinity(0))),
        isolation=Isolation(settings.isolation),
        memory=settings.memory,
        renaming=renaming,
        later=later,
        older=older,
    )
    return [local]
