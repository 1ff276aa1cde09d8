"""What the answer for a unit rests on, for a caller who wants to keep the answer beyond the session.

The caller notes its answers by name in `Validity.answers`. Those that are still there at the session's end still hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gg.models.includes.include_graph import IncludeEdge
from gg.models.includes.tree import SearchedDirectory
from gg.models.includes.unit import Unit
from gg.models.includes.validity import Validity


class Basis(NamedTuple):
    """What an answer rests on: files that may change, and files that would be read if they appeared. The names that its
    context has missed come on top (`missed`)."""

    files: tuple[bytes, ...]
    absent: tuple[bytes, ...]


def basis(unit: Unit) -> Basis | None:
    """What the answer for `unit` rests on; None if nobody can tell."""
    if unit.precompiled or unit.unresolved or unit.opaque:
        return None
    absent = [path for edge in unit.first for path in edge.unprecompiled or _unprecompiled(edge)]
    return Basis(tuple([state.path for state in unit.volatile()]), tuple(dict.fromkeys(absent)))


def missed(validity: Validity) -> Iterator[tuple[SearchedDirectory, list[bytes]]]:
    """The directories that answers depend on, and may change, with the names that were looked for there in vain."""
    for directory in validity.watched():
        names = {
            name
            for name, watchers in directory.absent.items()
            if any(watcher.validity is validity for watcher in watchers)
        }
        yield directory, sorted(names)


def _unprecompiled(edge: IncludeEdge) -> tuple[bytes, ...]:
    """The paths at which a precompiled header, if there were one, would be taken instead of the header."""
    name = edge.key[max(edge.key.rfind(b"/"), 0) + 1 :] + b".gch"
    edge.unprecompiled = tuple([directory.join(name) for directory, _ in edge.tried if directory.volatile])
    return edge.unprecompiled
