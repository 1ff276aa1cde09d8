"""A link called gcc that leads to ccache stands for the next gcc on PATH. Unlike a model, this looks at the disk."""

from __future__ import annotations

import os
from collections.abc import Sequence

_MASQUERADES = frozenset((b"ccache", b"distcc", b"sccache", b"icecc", b"colorgcc", b"buildcache", b"gomacc"))


def real_compiler(path: bytes, path_dirs: Sequence[bytes]) -> bytes:
    """The compiler that a masquerade (a link to ccache, distcc, sccache, icecc, …) stands for.

    It is the first executable of the same name in `path_dirs` that is no masquerade itself. `path` is returned as it is
    when it is none, or when no compiler is behind it.
    """
    if not is_masquerade(path):
        return path
    name = os.path.basename(path)
    for directory in path_dirs:
        found = os.path.join(directory or b".", name)
        if os.path.isfile(found) and os.access(found, os.X_OK) and not is_masquerade(found):
            return os.path.abspath(found)
    return path


def is_masquerade(path: bytes) -> bool:
    """Whether `path` is a link to one of the programs that stand for compilers."""
    called, real = os.path.basename(path), os.path.basename(os.path.realpath(path))
    return real in _MASQUERADES and called not in _MASQUERADES
