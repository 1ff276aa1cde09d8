"""Resource limits of the calls. What is forced runs under those that gg-force and gg-infer have: a call with others cannot wait.

Told apart are the limits that may make a command fail, or let one succeed: for memory, stack, processor time, size and number of
files. More open files than we may have do no harm; core dumps, locked memory and processes are not looked at.
"""

from __future__ import annotations

import resource

_LOOKED_AT = (
    resource.RLIMIT_STACK,
    resource.RLIMIT_AS,
    resource.RLIMIT_DATA,
    resource.RLIMIT_CPU,
    resource.RLIMIT_FSIZE,
)
_OTHERS = "its resource limits are others than gg-infer's"


class CallerLimits:
    """Compares with those of this process, as they are now."""

    def __init__(self) -> None:
        self._own = _of(0)
        self._files = _bound(resource.getrlimit(resource.RLIMIT_NOFILE)[0])

    def why_at_once(self, pid: int) -> str:
        """Why the call that process `pid` makes cannot wait; empty if it can."""
        try:
            if _of(pid) == self._own and _bound(resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]) >= self._files:
                return ""
        except ProcessLookupError:  # nobody waits for the answer
            return ""
        except PermissionError:
            return ""  # another user's, which we may not ask
        return _OTHERS


def _of(pid: int) -> list[int]:
    """The soft limits."""
    return [resource.prlimit(pid, limit)[0] for limit in _LOOKED_AT]


def _bound(limit: int) -> float:
    return float("inf") if limit == resource.RLIM_INFINITY else limit
