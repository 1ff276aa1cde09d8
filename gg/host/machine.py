"""What this machine has for this process: processors, memory in bytes, open files, and whether the kernel had to kill for want
of memory.

The usual soft limit of open files, 1,024, is less than a thousand connections and the files beside them. It is raised as far as
the user may raise it, no further than needed; commands are started with the limit that this process was started with.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

_CGROUPS = "/sys/fs/cgroup"
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_FILES_BESIDE = 192  # a bucket's connections, commands on this machine, databases, libraries that are loaded late
_first_limit: tuple[int, int] | None = None


def memory_total(meminfo: str = "/proc/meminfo", limits: tuple[str, ...] = _CGROUP_LIMITS) -> int | None:
    """Physical memory, or what the control group allows if that is less. None when the kernel does not tell."""
    found: list[int] = []
    with suppress(OSError, ValueError, IndexError), open(meminfo) as file:
        found += [int(line.split()[1]) * 1024 for line in file if line.startswith("MemTotal:")]
    for limit in limits:
        with suppress(OSError, ValueError), open(limit) as file:  # "max" is no number
            found.append(int(file.read()))
    return min(found, default=None)


def processors(cgroup: str = "/proc/self/cgroup", top: str = _CGROUPS) -> int:
    """Those on which the kernel lets this process run, or as many as its control group's quota of time is worth, rounded up,
    if those are fewer: a container on a machine of 64 may have the time of 4.
    """
    return min([len(os.sched_getaffinity(0)), *_quotas(cgroup, top)])


def _quotas(cgroup: str, top: str) -> Iterator[int]:
    """Of the process's groups and of those above them, in versions 1 and 2 of control groups."""
    with suppress(OSError, ValueError), open(cgroup) as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            if not controllers:
                yield from _along(top, path, ("cpu.max",))
            elif "cpu" in controllers.split(","):
                yield from _along(f"{top}/cpu", path, ("cpu.cfs_quota_us", "cpu.cfs_period_us"))


def _along(top: str, path: str, names: tuple[str, ...]) -> Iterator[int]:
    while True:
        with suppress(OSError, ValueError, ZeroDivisionError):  # there is none, or it is `max`
            quota, period = " ".join(_text(f"{top}{path}/{name}") for name in names).split()
            if int(quota) > 0:
                yield -(-int(quota) // int(period))
        if path in ("", "/"):
            return
        path = os.path.dirname(path)


def _text(path: str) -> str:
    with open(path) as file:
        return file.read()


def oom_kills(vmstat: str = "/proc/vmstat") -> int:
    """How many processes the kernel has killed for want of memory since it started; 0 when it does not tell."""
    with suppress(OSError, ValueError, IndexError), open(vmstat) as file:
        for line in file:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


class KernelKills:
    """Tells, to any thread, whether the kernel has killed for want of memory while a command ran."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted = [(time.time(), oom_kills())]  # when, and what was counted

    def since(self, begun: float) -> bool:
        """Whether the kernel has killed since that time. When it kills several commands at once, each of them is told so."""
        with self._lock:
            before = max(each for each in self._counted if each[0] <= begun or each == self._counted[0])
            now = (time.time(), oom_kills())
            self._counted = [*self._counted[-64:], now]
        return now[1] > before[1]


def file_places(count: int, each: int = 1) -> int:
    """For how many of `count` attempts, or connections, that have `each` files open there is room; at least one."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count * each + _FILES_BESIDE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return count
    return max(1, min(count, (_raised(soft, hard, wanted) - _FILES_BESIDE) // each))


def _raised(soft: int, hard: int, wanted: int) -> int:
    """Raise the limit; what it is then."""
    import resource

    global _first_limit
    more = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if more <= soft:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
    except (OSError, ValueError):
        return soft
    _first_limit = _first_limit or (soft, hard)
    return more


def with_first_limit(pid: int) -> None:
    """Give a process that was just started the limit that this one was started with."""
    if _first_limit is None:
        return
    import resource

    with suppress(OSError):  # it is over already
        resource.prlimit(pid, resource.RLIMIT_NOFILE, _first_limit)
