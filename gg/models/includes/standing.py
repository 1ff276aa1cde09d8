"""Which answers of a context still hold, for a caller who wants to keep them beyond the session, and what they rest on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gg.models.includes.edge import Edge
    from gg.models.includes.lookup import Context
    from gg.models.includes.tree import Directory
    from gg.models.includes.unit import Unit


class Basis(NamedTuple):
    """What an answer rests on besides the names that its context has missed: files that may change, and files that are
    not there and would be read if they were."""

    files: tuple[bytes, ...]
    absent: tuple[bytes, ...]


class Standing:
    """The answers of one context, by the names that the caller has given them."""

    def __init__(self) -> None:
        self._masks: dict[bytes, int] = {}

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._masks)

    def add(self, name: bytes, unit: Unit) -> Basis | None:
        """Keep an eye on the answer for `unit`. None if it rests on what nobody can tell."""
        if unit.precompiled or unit.unresolved or unit.opaque:
            return None
        self._masks[name] = unit.mask
        absent = [path for edge in unit.first for path in edge.unprecompiled or _unprecompiled(edge)]
        return Basis(tuple([state.path for state in unit.volatile()]), tuple(dict.fromkeys(absent)))

    def drop(self, dead: int) -> None:
        """Files have changed, those with these bits."""
        self._masks = {name: mask for name, mask in self._masks.items() if not mask & dead}

    def clear(self) -> None:
        self._masks.clear()

    def missed(self, context: Context) -> Iterator[tuple[Directory, list[bytes]]]:
        """The directories that answers depend on, and may change, with the names that were looked for there in vain."""
        for directory in context.watched():
            names = {
                name
                for name, watchers in directory.absent.items()
                if any(watcher.context is context for watcher in watchers)
            }
            yield directory, sorted(names)


def _unprecompiled(edge: Edge) -> tuple[bytes, ...]:
    """Where a precompiled header would be taken instead of the header, and is not."""
    name = edge.key[max(edge.key.rfind(b"/"), 0) + 1 :] + b".gch"
    edge.unprecompiled = tuple([directory.join(name) for directory, _ in edge.tried if directory.volatile])
    return edge.unprecompiled
