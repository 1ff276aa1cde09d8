"""Finds the real program behind a called name: past our own shims, and past ccache's and distcc's masquerades.

What lies under a stable prefix is looked at once a session. In all other directories of PATH it is looked at each time:
a build may put a tool there, or take one away.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from gg.core.ids import sandbox_path


class Finder:
    """One session's. `shims` is our own directory, which PATH may name."""

    def __init__(self, shims: bytes, stable: Callable[[bytes], bool]) -> None:
        self._shims = shims
        self._stable = stable
        self._known: dict[tuple[bytes, bytes], bytes | None] = {}
        self._directories: dict[bytes, tuple[bytes, ...]] = {}

    def find(self, name: bytes, path: bytes, cwd: bytes) -> bytes | None:
        """The program for a bare name on PATH, or for an absolute path; None when there is none.

        Entries of PATH that are relative or empty mean what they mean in `cwd`.
        """
        key = (name, path)
        if key in self._known:
            return self._known[key]
        directories = self._directories.get(path)
        if directories is None:
            directories = tuple(d for d in path.split(b":") if d.rstrip(b"/") != self._shims)
            self._directories[path] = directories
        tried = [name] if name.startswith(b"/") else [_in(directory, name, cwd) for directory in directories]
        for at, candidate in enumerate(tried):
            if name.startswith(b"/") or _is_program(candidate):
                found = _real(_folded(candidate), [os.path.join(cwd, d or b".") for d in directories])
                if all(map(self._stable, (*tried[: at + 1], found))):
                    self._known[key] = found
                return found
        return None


def _in(directory: bytes, name: bytes, cwd: bytes) -> bytes:
    return directory + b"/" + name if directory.startswith(b"/") else os.path.join(cwd, directory, name)


def _is_program(path: bytes) -> bool:
    return os.access(path, os.X_OK) and os.path.isfile(path)


def _folded(path: bytes) -> bytes:
    """`path` without `.` and `..`, by its text if that leads to the same file."""
    if b"/." not in path and b"//" not in path:
        return path
    text = sandbox_path(path)
    try:
        if b".." not in path or os.path.samefile(text, path):
            return text
    except OSError:
        pass
    head, tail = os.path.split(path)
    return os.path.join(os.path.realpath(head), tail)


def _real(path: bytes, directories: list[bytes]) -> bytes:
    if not os.path.islink(path):
        return path
    from gg.models.toolchain import real_compiler

    return real_compiler(path, directories)
