"""Engines by name. An explicit table: an engine that is not here does not exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from gg.engines.engine import Engine
from gg.errors import UsageError
from gg.host.machine import file_places, processors
from gg.light.slotted import replace
from gg.workspace.engine_names import ENGINES
from gg.workspace.settings import Settings

if TYPE_CHECKING:
    from gg.engines.awslambda.lambda_engine import LambdaEngine
    from gg.engines.local.local_engine import LocalEngine
    from gg.engines.supplies import Supplies

    OpenedEngine = LocalEngine | LambdaEngine

NAMES = ENGINES
_MANY = 64
_FILES = 8  # that an attempt on this machine has open


def check_names(settings: Settings) -> None:
    """UsageError for an engine that does not exist, before any is made."""
    for name in (*settings.engine, *([] if settings.fallback == "never" else [settings.fallback])):
        if name not in NAMES:
            raise UsageError(f"there is no engine {name!r}", hint=f"one of: {', '.join(NAMES)}")


def make_engines(settings: Settings, supplies: Supplies) -> list[Engine]:
    """The engines that the settings name, and the one to fall back on, in reserve.

    UsageError for one that does not exist; SetupError, AccessError for one that is not set up.
    """
    check_names(settings)
    engines: list[Engine] = []
    try:
        for name in dict.fromkeys(settings.engine):
            engines += _make(name, settings, supplies)
        if settings.fallback not in ("never", *settings.engine):
            for spare in _make(settings.fallback, replace(settings, regions=settings.regions[:1]), supplies):
                spare.caps = spare.caps._replace(reserve=True)
                engines.append(spare)
    except BaseException:
        for engine in engines:
            engine.close()
        raise
    return engines


def _make(name: str, settings: Settings, supplies: Supplies) -> Sequence[OpenedEngine]:
    """One, or one a region or machine."""
    return _MAKERS[name](settings, supplies)


def _local(settings: Settings, supplies: Supplies) -> Sequence[LocalEngine]:
    from gg.engines.local.local_engine import LocalEngine
    from gg.run.job import Isolation

    slots = settings.width() if settings.engine == ("local",) else min(settings.width(), processors())
    if slots > _MANY:
        slots = file_places(slots, _FILES)
    engine = LocalEngine(
        store=supplies.store,
        files=supplies.files,
        groups=supplies.groups,
        tmp=supplies.workspace.tmp,
        dot=supplies.workspace.store,
        slots=slots,
        isolation=Isolation(settings.isolation),
        memory=settings.memory,
        renaming=supplies.renaming,
        later=supplies.later,
        older=supplies.older,
        printed=supplies.printed,
    )
    return [engine]


def _lambda(settings: Settings, supplies: Supplies) -> Sequence[LambdaEngine]:
    from gg.engines.awslambda.opening import open_engines

    return open_engines(settings, supplies)


def _remote(settings: Settings, supplies: Supplies) -> Sequence[LambdaEngine]:
    from gg.engines.remote.remote_engines import open_remote_engines

    return open_remote_engines(settings, supplies)


def _spot(settings: Settings, supplies: Supplies) -> Sequence[LambdaEngine]:
    from gg.engines.spot.spot_engines import open_spot_engine

    return [open_spot_engine(settings, supplies)]


def _reapi(settings: Settings, supplies: Supplies) -> Sequence[LambdaEngine]:
    from gg.engines.reapi.reapi_engines import open_reapi_engine

    return [open_reapi_engine(settings, supplies)]


_MAKERS: Mapping[str, Callable[[Settings, Supplies], Sequence[OpenedEngine]]] = {
    "local": _local,
    "lambda": _lambda,
    "remote": _remote,
    "spot": _spot,
    "reapi": _reapi,
}
"""An engine for each name of `gg.workspace.engine_names`, which settings may say without loading one."""
