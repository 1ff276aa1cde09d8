"""The processes of one sandbox: how much memory they hold, freezing and thawing them, and killing the biggest.

Memory is what the processes have for themselves (anonymous pages): files in `/tmp` are on a disk of their own in Lambda, though
on a tmpfs here. That is why a kernel limit alone would not do; where this host lets us have a memory cgroup, its limit stands
behind ours, and the kernel's own choice of a victim (the biggest process) is ours too. A shared CPU is a cgroup's, or not at all.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_V1_MEMORY, _V1_CPU = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup/cpu")
_V2 = Path("/sys/fs/cgroup")
_MB = 1 << 20
_CPU_PERIOD_US, _ONE_CPU_MB = 100_000, 1769
_PAGE_KB = 1024


@dataclass(frozen=True, slots=True)
class Cell:
    """The processes below `root`, and the cgroups that they are in."""

    root: int
    groups: tuple[Path, ...] = ()

    def members(self) -> list[int]:
        """All processes inside, the supervising bubblewrap not among them."""
        return list(_descendants(self.root))

    def memory(self) -> int:
        """Bytes that the processes hold for themselves."""
        return sum(_anonymous(pid) for pid in self.members())

    def biggest(self) -> int | None:
        return max(self.members(), key=_anonymous, default=None)

    def freeze(self) -> None:
        """Stop everything. A process that is born meanwhile is a child of one that was not stopped yet: look again."""
        stopped: set[int] = set()
        while new := set(self.members()) - stopped:
            for pid in new:
                send(pid, signal.SIGSTOP)
            stopped |= new

    def thaw(self) -> None:
        for pid in self.members():
            send(pid, signal.SIGCONT)

    def kill(self) -> None:
        """End everything, stopped or not."""
        for pid in [*self.members(), self.root]:
            send(pid, signal.SIGKILL)

    def removed(self) -> bool:
        """Give the cgroups back; False when the kernel has not let go of the last process yet."""
        with suppress(OSError):
            for group in self.groups:
                if group.exists():
                    group.rmdir()
            return True
        return False


def send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _descendants(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _descendants(child)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def _anonymous(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * _PAGE_KB
    return 0


@cache
def _parents() -> tuple[Path, ...]:
    """The cgroups below which we may make our own: memory and CPU of version 1, or one of version 2, or none."""
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    own = {name: path.lstrip("/") for _, names, path in lines for name in names.split(",")}
    version_1 = [_V1_MEMORY / own["memory"], _V1_CPU / own.get("cpu", "")] if "memory" in own else []
    return tuple(path for path in version_1 or [_V2 / own.get("", "")] if _may_divide(path))


def _may_divide(parent: Path) -> bool:
    probe = parent / f"gg-probe-{os.getpid()}"
    try:
        probe.mkdir()
        usable = (
            (probe / "memory.max").exists()
            or (probe / "memory.limit_in_bytes").exists()
            or (probe / "cpu.cfs_quota_us").exists()
        )
        probe.rmdir()
    except OSError:
        return False
    return usable


def make_groups(name: str, memory_mb: int, disk_mb: int, *, share_cpu: bool) -> tuple[Path, ...]:
    """New cgroups with the limits, as far as this host lets us; a process enters by writing to their `cgroup.procs`."""
    groups = []
    for parent in _parents():
        group = parent / f"gg-lambda-{os.getpid()}-{name}"
        group.mkdir()
        limit = str((memory_mb + disk_mb) * _MB)
        quota = max(1000, memory_mb * _CPU_PERIOD_US // _ONE_CPU_MB)
        _set(group / "memory.limit_in_bytes", limit)
        _set(group / "memory.max", limit)
        if share_cpu:
            _set(group / "cpu.cfs_quota_us", str(quota))
            _set(group / "cpu.max", f"{quota} {_CPU_PERIOD_US}")
        groups.append(group)
    return tuple(groups)


def _set(path: Path, value: str) -> None:
    if path.exists():
        path.write_text(value)


def enter(groups: tuple[Path, ...]) -> None:
    """Between fork and exec: this process goes into the groups."""
    for group in groups:
        descriptor = os.open(group / "cgroup.procs", os.O_WRONLY)
        os.write(descriptor, b"0")
        os.close(descriptor)
