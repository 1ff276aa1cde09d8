"""Where a name leads: the search that the compiler would do, remembered, in one working directory and search path.

A *context* is one (working directory, search path). In it each (name, form, includer's directory) is looked up once;
the `IncludeEdge` that results is shared by all files that name the same. The edge is dropped when the name appears in a
directory where it was missed, or when a file that the edge led to changes. What was made of the edge (nodes' targets,
clusters) goes with it.

The order of the search is that of GNU cpp (`libcpp/files.c`): for the quoted form the directory of the including file,
as named, then the search path (`gg.models.includes.chain`). What `#include_next` sees depends on where the including
file was found. Directories and unreadable files of the right name are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gg.models.drafts import SearchPath
from gg.models.includes.borrowing import Borrowing, Lender
from gg.models.includes.chain import ABSOLUTE, HERE, SOURCE, SearchPlace, lasting, lay_out
from gg.models.includes.directives import (
    ASSEMBLERS,
    BRACKET,
    CLOCKS,
    FIRST,
    HAZARDS,
    NEXT,
    NO_NAME,
    SYSTEM_HAZARDS,
    UNLISTED,
    Form,
)
from gg.models.includes.disk import Disk
from gg.models.includes.include_graph import Cluster, Header, IncludeEdge, IncludeNode, condense, stripped
from gg.models.includes.lexed_files import GAS, NASM, C, Files
from gg.models.includes.tree import SearchedDirectory, SearchedTree
from gg.models.includes.validity import Validity

_LEAF = ""
# The lexer for the file that a directive leads to; a form that is missing here leads to a file that is only read.
_KIND = {
    Form.QUOTED: C,
    Form.BRACKETED: C,
    Form.NEXT_QUOTED: C,
    Form.NEXT_BRACKETED: C,
    Form.FORCED: C,
    Form.ASSEMBLER: GAS,
    Form.NASM: NASM,
}


class SearchContext:
    """All that is known in one working directory and search path.

    `lender` gives the context that shares the end of this one's search path; a lender itself has none.
    """

    def __init__(
        self,
        cwd: bytes,
        search: SearchPath,
        disk: Disk,
        tree: SearchedTree,
        files: Files,
        lender: Callable[[Iterable[SearchPlace]], Lender] | None = None,
    ) -> None:
        self.cwd = cwd
        self._lender = lender
        self._search = search
        self._disk = disk
        self._tree = tree
        self._files = files
        self._bits: dict[tuple[bytes, bytes, bool], int] = {}
        self.reset()

    def reset(self) -> None:
        """Forget everything. Called when a directory that names were followed through has been replaced."""
        self.validity = Validity(self._disk, self._tree)
        self._nodes: dict[tuple[bytes, str, int], IncludeNode] = {}
        self._headers: dict[tuple[bytes, bytes, bool, bool], Header] = {}
        self._sources: dict[bytes, SearchedDirectory] = {}
        self._brackets: dict[bytes, IncludeEdge] = {}
        self._locals: dict[bytes, dict[bytes, IncludeEdge]] = {}
        self._nexts: dict[int, dict[bytes, IncludeEdge]] = {}
        self._clusters: set[Cluster] = set()
        self._through: list[bytes] = []
        self._cwd = self._tree.locate(self.cwd, self._through)
        self.validity.watch(self._cwd)
        self._chain, self._bracket = lay_out(self._search, self._search_directory)
        self.directories = tuple(dict.fromkeys([*(place.directory.path for place in self._chain), *self._through]))
        self._steady = self.validity.count()
        self._borrowing: Borrowing | None = None
        self._shared = len(self._chain)
        if self._lender is not None and any(lasting(place) for place in self._chain):
            self._borrowing = Borrowing(self.validity, self._chain, self._lender, self._tree)
            self._shared = self._borrowing.positions[0]

    def _search_directory(self, name: bytes) -> SearchedDirectory:
        directory = self._tree.locate(name if name.startswith(b"/") else self.cwd + b"/" + name, self._through)
        self.validity.watch(directory)
        return directory

    # What may change

    def settle(self) -> bool:
        """Drop the clusters that no longer hold. True if anything was found to be wrong since the last call."""
        wrong = self.validity.unsure
        self.validity.unsure = False
        if self.validity.is_lost():
            self.reset()
            return True
        dead = self.validity.bury()
        if dead:
            gone = [cluster for cluster in self._clusters if cluster.mask & dead]
            self._clusters.difference_update(gone)
            for cluster in gone:
                for node in cluster.members:
                    node.cluster = None
        return wrong

    def lasting(self) -> bool:
        """Whether everything that was looked at stays as it is for the session, apart from what the search path itself needs."""
        return self.validity.count() == self._steady and not self.validity.has_unusable()

    # Nodes

    def source(self, name: bytes, kind: str) -> IncludeNode:
        """The node of a source named on the command line; FileNotFoundError if it cannot be read."""
        head, slash, base = name.rpartition(b"/")
        directory = self._sources.get(head + slash)
        if directory is None:
            full = head if name.startswith(b"/") else self.cwd + slash + head
            directory = self._sources[head + slash] = self._tree.locate(full, self._through)
            self.validity.watch(directory)
        node = self._node(
            SearchPlace(directory, head + slash, False, SOURCE), base, directory, head + slash, kind, True
        )
        if node is None:
            raise FileNotFoundError(2, "no such source", directory.join(base))
        return node

    def _node(
        self, place: SearchPlace, base: bytes, directory: SearchedDirectory, prefix: bytes, kind: str, listed: bool
    ) -> IncludeNode | None:
        """The node of the file `base` in `directory`; None if there is no such file."""
        path = directory.join(base)
        state = self._files.get(path)
        if state is None:
            return None
        position = place.position
        if kind != C or (position != SOURCE and not any(d[0] in NEXT for d in self._files.lexed(state, C))):
            position = HERE if kind else -int(listed)
        node = self._nodes.get((path, kind, position))
        if node is None:
            header = self._header(self._display(place, prefix + base, directory), path, place.system, listed)
            key = (path, kind, position)
            node = IncludeNode(self.validity, self._nodes, key, state, header, directory, self._bit(header))
            self._nodes[key] = node
            state.nodes.append(node)
        return node

    def _display(self, place: SearchPlace, name: bytes, directory: SearchedDirectory) -> bytes:
        """`name` as the compiler prints it: in a system directory the real name instead, if that is shorter.

        (-fcanonical-system-headers, which is GCC's default; a header that is itself a link is not followed here.)
        """
        if place.system:
            real = self._tree.real(directory).rstrip(b"/") + name[name.rfind(b"/") :]
            if len(real) < len(name):
                return real
        return stripped(name)

    def _header(self, display: bytes, path: bytes, system: bool, listed: bool) -> Header:
        key = (display, path, system, listed)
        header = self._headers.get(key)
        if header is None:
            header = self._headers[key] = Header(display, path, system, listed)
        return header

    def _bit(self, header: Header) -> int:
        # Files of a context and of its lender meet in one mask: lenders number by the odd bits, borrowers by the even ones.
        number = self._bits.setdefault((header.path, header.display, header.listed), len(self._bits))
        return 1 << 2 * number + (self._lender is None)

    def leaf(self, path: bytes, display: bytes) -> Cluster | None:
        """A cluster of one file that is only read; None if there is no such file. For files that the compiler itself has listed."""
        head, _, base = path.rpartition(b"/")
        directory = self._tree.locate(head, self._through)
        node = self._node(
            SearchPlace(directory, b"", False, 0), base, directory, display[: len(display) - len(base)], _LEAF, True
        )
        return self.cluster(node) if node is not None else None

    def cluster(self, node: IncludeNode) -> Cluster:
        """The cluster of `node`, made now if need be, with all that it reaches."""
        if node.cluster is None:
            if self._borrowing is not None and node.validity is not self.validity:
                return self._borrowing.lender.cluster(node)
            self._clusters.update(condense(node, self._follow))
        assert node.cluster is not None
        return node.cluster

    # Edges

    def _follow(self, node: IncludeNode) -> Iterator[IncludeNode]:
        """The nodes that `node` includes. Each is looked up in its turn: a file gets the name by which it is first found."""
        if node.targets is not None:
            yield from node.targets
            return
        edges: list[IncludeEdge] = []
        targets: list[IncludeNode] = []
        aliases: list[Header] = []
        through: list[bytes] = []
        for edge in self._edges(node) if node.kind else ():
            edge.users.append(node)
            edges.append(edge)
            targets += edge.targets
            yield from edge.targets
            for target in edge.targets:
                if edge.display and edge.display != target.header.display:
                    aliases.append(self._header(edge.display, target.header.path, target.header.system, True))
            if edge.through:
                through += edge.through
        if not any(edge.dead for edge in edges):
            node.targets = targets
        node.edges = edges if node.position == SOURCE else []
        node.aliases = tuple(aliases)
        node.through = tuple(through)
        if self._lender is None:
            node.wants = frozenset(edge.key[1:].partition(b"/")[0] for edge in edges if not edge.beside())

    def _edges(self, node: IncludeNode) -> Iterator[IncludeEdge]:
        directives = self._files.lexed(node.state, node.kind)
        brackets = self._brackets
        local = self._local(node)
        computed: list[bytes] = []
        for directive in directives:
            form = directive[0]
            if form in BRACKET:
                edge = brackets.get(directive)
            elif form in NO_NAME:
                if form == CLOCKS:
                    bits = sum(HAZARDS[letter] for letter in directive[1:])
                    node.hazards = bits << SYSTEM_HAZARDS if node.header.system else bits
                else:
                    computed.append(directive)
                continue
            elif form in NEXT:
                edge = None
            else:
                edge = local.get(directive)
            yield edge if edge is not None else self.edge(node, directive)
        node.computed = tuple(computed)

    def _local(self, node: IncludeNode) -> dict[bytes, IncludeEdge]:
        """The lookups done for the files in `node`'s directory, which is told by its name as displayed."""
        shown = node.header.display
        prefix = shown[: shown.rfind(b"/") + 1]
        local = self._locals.get(prefix)
        if local is None:
            local = self._locals[prefix] = {}
        return local

    def edge(self, node: IncludeNode, directive: bytes) -> IncludeEdge:
        """What `directive` in `node` leads to."""
        form = directive[:1]
        if form[0] in NEXT and node.position < HERE:
            directive = FIRST[form] + directive[1:]
            form = directive[:1]
        if form[0] in BRACKET:
            table = self._brackets
        elif form[0] in NEXT:
            table = self._nexts.setdefault(self._position(node), {})
        else:
            table = self._local(node)
        known = table.get(directive)
        if known is not None:
            return known
        return self._make(table, directive, self._places(node, directive))

    def _position(self, node: IncludeNode) -> int:
        """The position on this search path at which `node` was found."""
        if self._borrowing is None or node.validity is self.validity or node.position < 0:
            return node.position
        return self._borrowing.positions[node.position]

    def forced(self, name: bytes, kind: str) -> IncludeEdge:
        """What -include NAME leads to."""
        directive = (Form.FORCED if kind == C else Form.NASM) + name
        here = SearchPlace(self._cwd, b"./", False, HERE)
        edge = self._brackets.get(directive) or self._make(self._brackets, directive, [here, *self._chain])
        edge.loose = True
        return edge

    def implicit(self, name: bytes) -> IncludeEdge:
        """What <name> leads to, for a header that the compiler includes unasked."""
        edge = self.bracket(Form.BRACKETED + name)
        edge.loose = True
        return edge

    def bracket(self, directive: bytes) -> IncludeEdge:
        """What a directive leads to, for one that does not look beside the file it is in."""
        return self._brackets.get(directive) or self._make(self._brackets, directive, self._chain[self._bracket :])

    def _places(self, node: IncludeNode, directive: bytes) -> list[SearchPlace]:
        """The directories to search, in order."""
        form = directive[:1]
        if form[0] in NEXT:
            return self._chain[self._position(node) + 1 :]
        if form[0] in BRACKET:
            return self._chain[self._bracket :]
        shown = node.header.display
        beside = SearchPlace(node.directory, shown[: shown.rfind(b"/") + 1], node.header.system, HERE)
        if form in ASSEMBLERS:
            return [SearchPlace(self._cwd, b"", False, HERE), *self._chain, beside]
        return [beside, *self._chain]

    def _make(self, table: dict[bytes, IncludeEdge], directive: bytes, places: list[SearchPlace]) -> IncludeEdge:
        edge = table[directive] = IncludeEdge(self.validity, table, directive)
        form = directive[:1]
        name = directive[1:]
        targets: tuple[IncludeNode, ...]
        if form in ASSEMBLERS:
            # The assemblers differ in whether they look beside the including file, and when: both are taken.
            found = [self._first(edge, name, form, places[:-1]), self._first(edge, name, form, places[-1:])]
            targets = tuple(dict.fromkeys(node for node in found if node is not None))
        else:
            node = self._first(edge, name, form, places)
            targets = (node,) if node is not None else ()
        edge.targets = targets
        for node in targets:
            if node.validity is self.validity:
                node.users.append(edge)
        return edge

    def _first(self, edge: IncludeEdge, name: bytes, form: bytes, places: Iterable[SearchPlace]) -> IncludeNode | None:
        kind = _KIND.get(form, _LEAF)
        listed = form not in UNLISTED
        head, slash, base = name.rpartition(b"/")
        if base in (b"", b".", b".."):
            return None
        if name.startswith(b"/"):
            directory = self._tree.locate(head, edge.through)
            self.validity.watch(directory)
            places = [SearchPlace(directory, b"", False, ABSOLUTE)]
            parts: list[bytes] = []
        else:
            parts = head.split(b"/") if head else []
        for place in places:
            if self._borrowing is not None and place.position == self._shared:
                borrowed = self._borrowing.ask(name, form)
                if borrowed is not None:
                    edge.display = borrowed.display
                    edge.through += borrowed.through
                    edge.tried += borrowed.tried
                    return borrowed.targets[0] if borrowed.targets else None
            here: SearchedDirectory | None = place.directory
            if parts:
                here = self._tree.enter(place.directory, parts, edge, edge.through)
            if here is None:
                continue
            edge.tried.append((here, place))
            if not self._tree.has(here, base, edge):
                continue
            node = self._node(place, base, here, place.prefix + head + slash, kind, listed)
            if node is None:
                if here.volatile:
                    edge.watch_unusable(here.join(base))
                continue
            if listed:
                edge.display = self._display(place, place.prefix + name, here)
            return node
        return None

    def precompiled(self, edge: IncludeEdge) -> list[IncludeNode]:
        """Each NAME.gch where NAME was looked for, which is a file or a directory of them. Looked at in each scan.

        The compiler takes one for the first header that a source or the command line includes, so only the edges of
        sources are asked. A directory without any (nearly all) must cost nothing: `SearchedDirectory.plain` sees to that.
        """
        found: list[IncludeNode] = []
        for directory, place in edge.tried:
            if directory.plain or directory.signature is None:
                continue
            base = edge.key[edge.key.rfind(b"/") + 1 :] if b"/" in edge.key else edge.key[1:]
            name = base + b".gch"
            path = directory.join(name)
            if name not in directory.names if directory.names is not None else not self._disk.exists(path):
                continue
            prefix = place.prefix + edge.key[1 : len(edge.key) - len(base)]
            inner = self._tree.at(path)
            names = [name] if inner.signature is None else sorted(self._disk.names(path))
            where = (directory, prefix) if inner.signature is None else (inner, prefix + name + b"/")
            nodes = [self._node(place, each, *where, _LEAF, False) for each in names]
            found += [node for node in nodes if node is not None]
        return found
