"""The meaning of a status of gRPC: for an attempt, or for the whole run."""

from __future__ import annotations

from typing import Any

from gg.engines.reapi.cluster import ClusterConfig
from gg.errors import AccessError, GGError, NoRoom, SetupError, Unreachable
from gg.schedule.events import Fault

OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED = range(8)
RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = range(8, 15)
UNAUTHENTICATED = 16
_MOST_SAID = 300  # characters

PASSING = frozenset({UNAVAILABLE, ABORTED, INTERNAL, UNKNOWN, DEADLINE_EXCEEDED})
"""Statuses after which the same call may succeed."""

_FULL = ("OutOfSpaceException", "No space left on device")
"""Words that mean a full store, from servers that have no status for it: buildbox-casd, and any that pass on the system's words."""

_FAULTS = {
    CANCELLED: Fault.CANCELLED,
    ABORTED: Fault.CANCELLED,
    DEADLINE_EXCEEDED: Fault.TIMEOUT,
    INVALID_ARGUMENT: Fault.TOO_BIG,
    RESOURCE_EXHAUSTED: Fault.THROTTLED,
}


class ClusterFault(GGError):
    """One call did not succeed; another attempt may. `code`: the status of gRPC."""

    def __init__(self, fault: Fault, code: int, what: str) -> None:
        super().__init__(what)
        self.fault = fault
        self.code = code


def code_of(error: Any) -> int:
    """The number of an RpcError's status."""
    code: int = error.code().value[0]
    return code


def said(text: str | None) -> str:
    """The other side's message, fit for one line on a terminal."""
    plain = "".join([c if c.isprintable() else " " for c in text or ""]).strip()
    return plain[:_MOST_SAID] or "no reason given"


def error_of(code: int, message: str | None, what: str, cluster: ClusterConfig) -> GGError:
    """The error that a status means. `what`: the request, as in `asked to run actions`. Wrong set-up ends the run."""
    why = f"{cluster}, {what}: {said(message)}"
    if code == UNAUTHENTICATED:
        return AccessError(f"not let in by {why}", hint="see to reapi_headers: the token may have expired")
    if code == PERMISSION_DENIED:
        return AccessError(f"no right at {why}", hint="see to reapi_headers, and to the name of the instance")
    if code == UNIMPLEMENTED:
        return SetupError(f"not to be had at {why}", hint="name another cluster, or another instance of it")
    return ClusterFault(_FAULTS.get(code, Fault.INFRA), code, why)


def no_instance(message: str | None, cluster: ClusterConfig) -> GGError:
    """The error if there is no such instance."""
    name = f"no instance {cluster.instance!r}" if cluster.instance else "no instance without a name"
    return SetupError(
        f"{cluster.address} has {name}: {said(message)}",
        hint="write its name behind the address: grpcs://HOST:PORT/INSTANCE",
    )


def is_full(code: int, message: str | None) -> bool:
    """Whether this says that the CAS takes no more."""
    return code == RESOURCE_EXHAUSTED or any(words in (message or "") for words in _FULL)


def full(message: str | None, cluster: ClusterConfig) -> GGError:
    """The error if the CAS takes no more."""
    return NoRoom(
        f"the store of {cluster} is full: {said(message)}", hint="have its operator make room, or its limit higher"
    )


def unreachable(message: str | None, cluster: ClusterConfig) -> GGError:
    """The error if nobody has ever answered."""
    text = said(message)
    if "handshake" in text.lower() or "ssl" in text.lower() or "certificate" in text.lower():
        return SetupError(
            f"no trusted connection to {cluster.address}: {text}",
            hint="see to reapi_ca, reapi_certificate and reapi_key",
        )
    return Unreachable(f"nobody answers at {cluster.address}: {text}", hint="see to the address, and to the network")
