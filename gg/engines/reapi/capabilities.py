"""The capabilities of a cluster, and whether they are enough."""

from __future__ import annotations

from gg.engines.reapi import cluster_errors as errors
from gg.engines.reapi.cluster import ClusterConfig
from gg.engines.reapi.grpc_channel import CAPABILITIES, Channel
from gg.engines.reapi.messages import (
    SHA256,
    ZSTD,
    CacheCapabilities,
    ExecutionCapabilities,
    GetCapabilitiesRequest,
    SemVer,
    ServerCapabilities,
)
from gg.errors import GGError, SetupError
from gg.light.named import NamedTuple

_MOST_BATCH = (4 << 20) - (64 << 10)  # gRPC's limit of a message, less room for what is around the blobs
_ASK_S = 20.0
_OUTPUT_PATHS = SemVer(2, 1)  # from this version on


class Able(NamedTuple):
    """`batch`: bytes of the blobs in one message. `zstd`: streams may be compressed, `zstd_batch`: messages too.
    `paths`: it knows `output_paths`.
    """

    batch: int = _MOST_BATCH
    zstd: bool = False
    zstd_batch: bool = False
    paths: bool = True


def ask_capabilities(channel: Channel) -> Able:
    """The cluster's capabilities. SetupError if it lacks something that gg needs; AccessError, Unreachable."""
    cluster = channel.cluster
    try:
        told = channel.ask(
            CAPABILITIES + "GetCapabilities",
            GetCapabilitiesRequest(cluster.instance),
            ServerCapabilities,
            "asked what it can do",
            _ASK_S,
        )
    except errors.ClusterFault as error:
        raise _explained(error, cluster) from error
    return able_of(told, cluster)


def able_of(told: ServerCapabilities, cluster: ClusterConfig) -> Able:
    """The capabilities that gg uses. SetupError if one is lacking."""
    cache = told.cache_capabilities or CacheCapabilities()
    execution = told.execution_capabilities or ExecutionCapabilities()
    low, high = told.low_api_version or SemVer(2), told.high_api_version or SemVer(2)
    if low.major > 2 or high.major < 2:
        raise _lacks(
            cluster, f"speaks version {low.major}.{low.minor} to {high.major}.{high.minor} of the API, and gg version 2"
        )
    if not execution.exec_enabled:
        raise _lacks(cluster, "does not run actions: it is a cache only")
    if SHA256 not in (*execution.digest_functions, execution.digest_function) or SHA256 not in cache.digest_functions:
        raise _lacks(cluster, "does not take SHA-256 for digests")
    most = cache.max_batch_total_size_bytes
    return Able(
        min(most, _MOST_BATCH) if most > 0 else _MOST_BATCH,
        ZSTD in cache.supported_compressors,
        ZSTD in cache.supported_batch_update_compressors,
        high >= _OUTPUT_PATHS,
    )


def _lacks(cluster: ClusterConfig, what: str) -> SetupError:
    return SetupError(f"{cluster} {what}", hint="name another cluster, or another instance of it")


def _explained(error: errors.ClusterFault, cluster: ClusterConfig) -> GGError:
    message = error.what.partition(": ")[2]
    if error.code in (errors.INVALID_ARGUMENT, errors.NOT_FOUND):
        return errors.no_instance(message, cluster)
    return errors.unreachable(message, cluster)
