"""What this machine has: memory in bytes, and whether the kernel had to kill for want of it."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_total(meminfo: str = "/proc/meminfo", limits: tuple[str, ...] = _CGROUP_LIMITS) -> int | None:
    """Physical memory, or what the control group allows if that is less. None when the kernel does not tell."""
    found: list[int] = []
    with suppress(OSError, ValueError, IndexError), open(meminfo) as file:
        found += [int(line.split()[1]) * 1024 for line in file if line.startswith("MemTotal:")]
    for limit in limits:
        with suppress(OSError, ValueError), open(limit) as file:  # "max" is no number
            found.append(int(file.read()))
    return min(found, default=None)


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
