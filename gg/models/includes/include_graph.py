"""The graph of inclusion, condensed: headers that include each other are one *cluster*, and clusters form no cycle.

A cluster knows its whole closure as an `int` with one bit a file, so a union is one `|` and "is all of that here
already" is one comparison. Clusters are never mended: when a file in the closure changes, the clusters above it are
dropped with everything that depends on them, and made again when somebody asks.

A *node* is one file in one role: lexed as C, as GAS, as NASM, or not at all (its existence or its bytes matter, not
what it names). A file that says `#include_next` is one node for each place on the search path it is found at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import TypeVar

from gg.core.ids import GroupId
from gg.light.slotted import slotted
from gg.models.includes.chain import HERE, SearchPlace
from gg.models.includes.lexed_files import FileState
from gg.models.includes.tree import SearchedDirectory
from gg.models.includes.validity import Validity

T = TypeVar("T")


@slotted(eq=False)
class Header:
    """One file of a closure, under one of its names.

    `display` is the name that the compiler prints in a make rule; `path` is absolute, without `.` and `..`, links not
    followed. `system`: found in a system directory. `listed`: the compiler would list it (not if it was only asked
    for). Compared by identity: a scanner's context makes one object for one header under one name.
    """

    display: bytes
    path: bytes
    system: bool
    listed: bool = True


class IncludeNode:
    """One file in one role. `kind` is the lexer's name, or "" for a file that is not looked into.

    `position` is the index on the search path at which `#include_next` goes on.
    """

    __slots__ = (
        "aliases", "bit", "cluster", "computed", "directory", "edges", "hazards", "header", "key", "kind", "position",
        "state", "table", "targets", "through", "users", "validity", "wants",
    )  # fmt: skip

    def __init__(
        self,
        validity: Validity,
        table: dict[tuple[bytes, str, int], IncludeNode],
        key: tuple[bytes, str, int],
        state: FileState,
        header: Header,
        directory: SearchedDirectory,
        bit: int,
    ) -> None:
        self.validity = validity
        self.table = table
        self.key = key
        self.state = state
        self.kind = key[1]
        self.position = key[2]
        self.header = header
        self.directory = directory
        self.bit = bit
        self.cluster: Cluster | None = None
        self.targets: list[IncludeNode] | None = None  # None: not yet followed
        self.users: list[IncludeEdge] = []  # the lookups that found it
        self.edges: list[IncludeEdge] = []  # the lookups that it does, for a source
        self.aliases: tuple[Header, ...] = ()  # other names by which it includes files
        self.through: tuple[bytes, ...] = ()  # directories that names in it leave by `..`
        self.computed: tuple[bytes, ...] = ()
        self.hazards = 0
        self.wants: frozenset[bytes] = frozenset()  # where names that it takes from the search path start

    def drop(self) -> None:
        """Its file has changed or gone."""
        if self.table.get(self.key) is self:
            del self.table[self.key]
            self.validity.dead |= self.bit
            self.validity.unsure = True
            for edge in self.users:
                edge.stale()


class IncludeEdge:
    """One name, looked up once in one working directory and search path. It watches what its answer depends on."""

    __slots__ = (
        "dead", "display", "key", "loose", "table", "targets", "through", "tried", "unprecompiled", "users", "validity",
    )  # fmt: skip

    def __init__(self, validity: Validity, table: dict[bytes, IncludeEdge], key: bytes) -> None:
        self.validity = validity
        self.table = table
        self.key = key
        self.dead = False
        self.loose = False  # units rely on it, though none of their files names it
        self.unprecompiled: tuple[bytes, ...] | None = None  # kept by `gg.models.includes.standing`
        self.targets: tuple[IncludeNode, ...] = ()
        self.display = b""  # the name found, as the compiler would print it; empty if it would not
        self.through: list[bytes] = []
        self.tried: list[tuple[SearchedDirectory, SearchPlace]] = []  # where the name's last component was looked for
        self.users: list[IncludeNode] = []

    def stale(self) -> None:
        if self.dead:
            return
        self.dead = True
        self.table.pop(self.key, None)
        validity = self.validity
        for node in self.users:
            node.targets = None
            validity.dead |= node.bit
        if self.loose:
            validity.answers.clear()
        validity.unsure = True

    def watch(self, directory: SearchedDirectory) -> None:
        self.validity.watch(directory)

    def watch_unusable(self, path: bytes) -> None:
        self.validity.watch_unusable(path, self)

    def beside(self) -> bool:
        """Whether the name was found without the search path."""
        return bool(self.targets) and self.tried[-1][1].position == HERE


class Cluster:
    """Files that include each other (mostly one), and the clusters that they include besides.

    `mask` has a bit for each file in the closure (one for each name it is found by), numbered by the context. `group`
    is for the caller: it is None in a new cluster, and a cluster whose closure has changed is a new one.
    """

    __slots__ = (
        "_displays",
        "_order",
        "_wants",
        "children",
        "computed",
        "files",
        "group",
        "hazards",
        "mask",
        "members",
        "through",
        "volatile",
    )

    def __init__(self, members: tuple[IncludeNode, ...]) -> None:
        self.mask = 0
        self.hazards = 0
        self.members = members
        self.group: GroupId | None = None
        self._order: tuple[Header, ...] | None = None
        self._displays: list[tuple[bytes, ...] | None] = [None, None]  # without system headers, and with them
        self._wants: frozenset[bytes] | None = None
        names: dict[Header, None] = {}
        mask = 0
        hazards = 0
        for node in members:
            names[node.header] = None
            names.update(dict.fromkeys(node.aliases))
            mask |= node.bit
            hazards |= node.hazards
        self.files: tuple[Header, ...] = tuple(names)
        # A child that brings no new file is left out: what it names, the others name.
        children: list[Cluster] = []
        for node in members:
            for target in node.targets or ():
                child = target.cluster
                if child is not None and child.mask | mask != mask:
                    children.append(child)
                    mask |= child.mask
                    hazards |= child.hazards
        self.children: tuple[Cluster, ...] = tuple(children)
        self.mask = mask
        self.hazards = hazards
        self._gather()

    def _gather(self) -> None:
        """Collect from the whole closure what the scan of a unit needs: the files that may change, and what few files have."""
        members, children = self.members, self.children
        own = [node.state for node in members if node.state.volatile]
        self.volatile: tuple[FileState, ...] = _union(own, [child.volatile for child in children if child.volatile])
        self.computed: tuple[IncludeNode, ...] = _union(
            [node for node in members if node.computed], [child.computed for child in children if child.computed]
        )
        self.through: tuple[bytes, ...] = _union(
            [path for node in members for path in node.through], [child.through for child in children if child.through]
        )

    def order(self) -> tuple[Header, ...]:
        """All headers of the closure, each includer before what it includes, depth first. Kept once computed."""
        for each in self._below(lambda cluster: cluster._order is None):
            below = chain.from_iterable(child._order or () for child in each.children)
            each._order = tuple(dict.fromkeys(chain(each.files, below)))
        assert self._order is not None
        return self._order

    def displays(self, *, system: bool) -> tuple[bytes, ...]:
        """The names that the compiler would list, in the order of `order`, each once. Kept."""
        for each in self._below(lambda cluster: cluster._displays[system] is None):
            own = [header.display for header in each.files if header.listed and (system or not header.system)]
            below = chain.from_iterable(child._displays[system] or () for child in each.children)
            each._displays[system] = tuple(dict.fromkeys(chain(own, below)))
        return self._displays[system] or ()

    def wants(self) -> frozenset[bytes]:
        """The first components of all names in the closure that are looked for on the search path (`IncludeNode.wants`). Kept."""
        for each in self._below(lambda cluster: cluster._wants is None):
            own = [node.wants for node in each.members]
            each._wants = frozenset().union(*own, *[child._wants or () for child in each.children])
        assert self._wants is not None
        return self._wants

    def _below(self, lacks: Callable[[Cluster], bool]) -> Iterator[Cluster]:
        """The clusters from here down that lack something, children first. The caller supplies each before it takes the next."""
        stack = [self] if lacks(self) else []
        while stack:
            waiting = [child for child in stack[-1].children if lacks(child)]
            if waiting:
                stack += waiting
            elif lacks(top := stack.pop()):
                yield top


def _union(own: list[T], below: list[tuple[T, ...]]) -> tuple[T, ...]:
    if not below:
        return tuple(own)
    if not own and len(below) == 1:
        return below[0]
    return tuple(dict.fromkeys(chain(own, *below)))


def stripped(display: bytes) -> bytes:
    """A name as cpp writes it in a make rule: without `./` in front (and the slashes that follow it)."""
    while display.startswith(b"./"):
        display = display[2:].lstrip(b"/")
    return display


def condense(root: IncludeNode, follow: Callable[[IncludeNode], Iterator[IncludeNode]]) -> Iterator[Cluster]:
    """Give every node that `root` reaches a cluster, those below first (Tarjan 1972, without recursion).

    `follow` gives the nodes that a node includes; it is called once for each node that has no cluster.
    """
    number: dict[IncludeNode, int] = {root: 0}
    low: dict[IncludeNode, int] = {root: 0}
    component: list[IncludeNode] = [root]
    walk: list[tuple[IncludeNode, Iterator[IncludeNode]]] = [(root, follow(root))]
    while walk:
        node, targets = walk[-1]
        for target in targets:
            if target.cluster is not None:
                continue
            seen = number.get(target)
            if seen is None:
                number[target] = low[target] = len(number)
                component.append(target)
                walk.append((target, follow(target)))
                break
            low[node] = min(low[node], seen)
        else:
            walk.pop()
            if walk:
                above = walk[-1][0]
                low[above] = min(low[above], low[node])
            if low[node] == number[node]:
                start = component.index(node)
                members = tuple(component[start:])
                del component[start:]
                cluster = Cluster(members)
                for member in members:
                    member.cluster = cluster
                yield cluster
