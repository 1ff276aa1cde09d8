"""What the runner is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING

from gg.core.ids import SandboxPath
from gg.core.thunk import Directory, File, Thunk, Usage
from gg.light.slotted import field, slotted

if TYPE_CHECKING:
    from gg.run.output_follower import Said


class Isolation(Enum):
    """How a command is kept to its declared inputs."""

    PATHMAP = "pathmap"
    NAMESPACE = "namespace"


@slotted(kw_only=True)
class Job:
    """One resolved thunk to run (no `OutputOf` among its entries).

    `place(file)`: where the bytes of one of the thunk's own files are, or None for its own path. `moved`: the same for
    files of its groups that are not at their own path. `extra`: files and directories that are let in beside those declared,
    because an earlier try asked for them. `passed`: what a dynamic thunk may use to make further thunks (gg itself and the
    store); `env` tells the command where that is. Neither is part of the thunk's identity. `libraries`: what the dynamic loader
    needs to start the programs in `passed`. (The path map notes libraries by itself; a jail must have them from the start.)
    `hidden`: paths that do not exist for the command, whatever is on the disk. `misses`: a path that is neither declared nor
    there is reported too. `said`: told, from a thread, what the command prints as output while it runs.
    """

    thunk: Thunk
    place: Callable[[File], str | None]
    moved: Mapping[SandboxPath, str] = field(default_factory=dict)
    extra: tuple[File | Directory, ...] = ()
    passed: tuple[bytes, ...] = ()
    hidden: tuple[SandboxPath, ...] = ()
    libraries: tuple[bytes, ...] = ()
    env: Mapping[bytes, bytes] = field(default_factory=dict)
    isolation: Isolation = Isolation.PATHMAP
    observe: bool = True
    misses: bool = False
    said: Said | None = None


@slotted(frozen=False, kw_only=True)
class RunResult:
    """How a command ended. `status` is as a shell gives it: 128 + N for signal N.

    `written`: files in the overlay, real path to (path in the overlay, executable). `removed`: declared files that the command
    removed. `reads`: declared files that were opened; None when that could not be observed. `undeclared`: undeclared files
    that exist and were asked for; `directories`: undeclared ones that were asked for, and declared ones that were listed.
    `missing`: paths that were asked for and are not in the sandbox. `mapped`: declared files whose bytes were read elsewhere
    than at their own path. `static`: programs that would have escaped the path map, so they were not run: the command must run
    in a jail.
    """

    status: int
    stdout: bytes
    stderr: bytes
    usage: Usage
    written: Mapping[SandboxPath, tuple[str, bool]]
    removed: tuple[SandboxPath, ...] = ()
    reads: tuple[File, ...] | None = None
    undeclared: tuple[SandboxPath, ...] = ()
    directories: tuple[SandboxPath, ...] = ()
    missing: tuple[SandboxPath, ...] = ()
    started: float = 0.0
    signal: int = 0
    mapped: frozenset[SandboxPath] = frozenset()
    static: tuple[SandboxPath, ...] = ()
