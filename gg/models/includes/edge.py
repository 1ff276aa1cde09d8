"""One name, looked up once in one working directory and search path (`gg.models.includes.lookup`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gg.models.includes.chain import Place
    from gg.models.includes.include_graph import Node
    from gg.models.includes.lookup import Context
    from gg.models.includes.tree import Directory

# Positions of nodes that were not found on the search path. `#include_next` in a source, or in a file that was named by
# an absolute name, is an ordinary #include; in one found beside its includer it starts with the search path.
ABSOLUTE, SOURCE, HERE = -3, -2, -1


class Edge:
    """One name looked up once. Watches the directories that the answer depends on."""

    __slots__ = (
        "context",
        "dead",
        "display",
        "key",
        "loose",
        "table",
        "targets",
        "through",
        "tried",
        "unprecompiled",
        "users",
    )

    def __init__(self, context: Context, table: dict[bytes, Edge], key: bytes) -> None:
        self.context = context
        self.table = table
        self.key = key
        self.dead = False
        self.loose = False  # units rely on it of whose files none says so
        self.unprecompiled: tuple[bytes, ...] | None = None  # for `Standing`
        self.targets: tuple[Node, ...] = ()
        self.display = b""  # the name found, as the compiler would print it; empty if it would not
        self.through: list[bytes] = []
        self.tried: list[tuple[Directory, Place]] = []  # where the name's last component was looked for
        self.users: list[Node] = []

    def stale(self) -> None:
        if self.dead:
            return
        self.dead = True
        self.table.pop(self.key, None)
        for node in self.users:
            node.targets = None
            self.context.dead |= node.bit
        if self.loose:
            self.context.standing.clear()
        self.context.unsure = True

    def watch(self, directory: Directory) -> None:
        self.context.watch(directory)

    def odd(self, path: bytes) -> None:
        self.context.odd(path, self)

    def beside(self) -> bool:
        """Whether the name was found without the search path."""
        return bool(self.targets) and self.tried[-1][1].position == HERE


def stripped(display: bytes) -> bytes:
    """A name as cpp writes it in a make rule: without `./` in front (and the slashes that follow it)."""
    while display.startswith(b"./"):
        display = display[2:].lstrip(b"/")
    return display
