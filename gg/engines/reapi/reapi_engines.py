"""Makes the reapi engine from the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gg.cost.meter import Meter
from gg.cost.prices import prices
from gg.engines.awslambda.lambda_engine import LambdaEngine
from gg.engines.reapi.cluster import ClusterConfig, cluster_of
from gg.errors import SetupError
from gg.schedule.events import EngineCaps
from gg.workspace.granted import granted_in
from gg.workspace.settings import Settings

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.engines.supplies import Supplies
    from gg.host.filedb import FileDB
    from gg.run.expand import Groups
    from gg.store.base import Store
    from gg.workspace.granted import Granted
    from gg.workspace.later import Later

WIDTH = 64
"""attempts at once by default: a cluster does not say how many workers it has."""
_OVERHEAD_S = 0.1
_CALL_S = 0.003  # of this machine's processor, for an action


class ReapiEngine(LambdaEngine):
    """A cluster. All but the way to it is the lambda engine's."""


def open_reapi_engine(settings: Settings, supplies: Supplies) -> LambdaEngine:
    """The engine. UsageError for wrong settings. SetupError, AccessError, Unreachable if the cluster cannot be used."""
    _need_extra()
    workspace = supplies.workspace
    return reapi_engine(
        cluster_of(settings),
        store=getattr(supplies.store, "near", supplies.store),
        groups=supplies.groups,
        files=supplies.files,
        slots=settings.jobs or WIDTH,
        renaming=supplies.renaming,
        granted=granted_in(workspace.root, settings),
        later=supplies.later,
    )


def reapi_engine(
    cluster: ClusterConfig,
    *,
    store: Store,
    groups: Groups,
    files: Callable[[], FileDB],
    slots: int,
    granted: Granted,
    renaming: Renaming | None = None,
    later: Later | None = None,
) -> LambdaEngine:
    """An engine for a cluster. SetupError, AccessError, Unreachable."""
    from gg.engines.reapi.action import ActionMaker
    from gg.engines.reapi.capabilities import ask_capabilities
    from gg.engines.reapi.cas import Cas
    from gg.engines.reapi.cluster_way import ClusterWay, Uploads
    from gg.engines.reapi.grpc_channel import Channel
    from gg.engines.reapi.hashed_blobs import HashedBlobs

    channel = Channel(cluster)
    try:
        able = ask_capabilities(channel)
        blobs = HashedBlobs(store, renaming.real_path if renaming else bytes)
        cas = Cas(channel, able)
        maker = ActionMaker(cluster, groups, blobs, paths=able.paths)
    except BaseException:
        channel.close()
        raise
    return ReapiEngine(
        ClusterWay(channel, cas, maker, groups, store, Meter(prices("us-east-1")), slots),
        store=store,
        groups=groups,
        files=files,
        remote=Uploads(cas, blobs, store),
        slots=slots,
        renaming=renaming,
        granted=granted,
        later=later,
        caps=EngineCaps(overhead=_OVERHEAD_S, announces=True, call=_CALL_S),
    )


def _need_extra() -> None:
    try:
        import grpc  # noqa: F401 (only asked whether it is there)
        import zstandard  # noqa: F401
    except ImportError as error:
        raise SetupError("the reapi engine needs grpcio and zstandard", hint="pip install 'ggbuild[reapi]'") from error
