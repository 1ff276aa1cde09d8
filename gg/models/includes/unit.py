"""One scan's sources with all that they reach, put together from a context's clusters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from gg.light.slotted import slotted
from gg.models.drafts import Lexer, Scan
from gg.models.includes.chain import SOURCE
from gg.models.includes.directives import Form
from gg.models.includes.include_graph import Cluster, Header, IncludeEdge, IncludeNode
from gg.models.includes.lexed_files import GAS, NASM, C, FileState
from gg.models.includes.lookup import SearchContext
from gg.models.includes.macros import expand

_KINDS = {Lexer.C: C, Lexer.GAS: GAS, Lexer.NASM: NASM}
# GNU compilers on Linux with glibc include it before all else (TARGET_C_PREINCLUDE in gcc/config/glibc-c.h).
_PREINCLUDED = b"stdc-predef.h"
# Macros of the compiler's own that stand for the including file or the source, which are there anyway.
_ITSELF = frozenset((b"__FILE__", b"__BASE_FILE__"))

_INCLUDED = Form.QUOTED, Form.BRACKETED
_ASKED = Form.ASKED_QUOTED, Form.ASKED_BRACKETED


@slotted()
class Computed:
    """An include whose name is no literal: the file with the directive, and what stands in the name's place."""

    path: bytes
    operand: bytes


class Unit:
    """What is known so far in one scan. Each scan makes a new one: if nothing has changed, all its parts are remembered."""

    def __init__(self, context: SearchContext, scan: Scan) -> None:
        self._context = context
        kind = _KINDS[scan.lexer]
        self.sources: list[IncludeNode] = [context.source(name, kind) for name in scan.sources]
        self.unresolved: list[Computed] = []
        self.opaque: list[Computed] = []
        self.precompiled = False  # there is a precompiled header that may be taken
        self.first: list[IncludeEdge] = []  # the lookups for which there might be one
        edges = [context.implicit(_PREINCLUDED)] if kind == C else []
        edges += [context.forced(name, kind) for name in scan.forced]
        self.through = tuple(chain.from_iterable(edge.through for edge in edges))  # that their names leave by `..`
        # In the compiler's order, since a file gets the name by which it is first found: -include first, then a source's own.
        first = [context.cluster(node) for edge in edges for node in edge.targets]
        self._own = [context.cluster(node) for node in self.sources]
        self._roots: list[Cluster] = []
        self.mask = 0
        for node in self.sources:
            self.mask |= node.bit
        for cluster in first:
            self._add(cluster)
        if kind == C:
            for edge in edges[1:] or chain.from_iterable(node.edges for node in self.sources):
                self._precompiled(edge)
        for cluster in self._own:
            for child in cluster.children:
                self._add(child)

    def _add(self, cluster: Cluster) -> None:
        if cluster.mask | self.mask != self.mask:
            self.mask |= cluster.mask
            self._roots.append(cluster)

    @property
    def roots(self) -> tuple[Cluster, ...]:
        return tuple(self._roots)

    def clusters(self) -> Iterator[Cluster]:
        """Clusters that hold all files, the sources' own first."""
        return chain(self._own, self._roots)

    def volatile(self) -> dict[FileState, None]:
        """The files that are read and may change."""
        return dict.fromkeys(chain.from_iterable(cluster.volatile for cluster in self.clusters()))

    def headers(self) -> dict[Header, None]:
        """All files, the sources too."""
        return dict.fromkeys(chain.from_iterable(cluster.order() for cluster in self.clusters()))

    def computed(self) -> dict[IncludeNode, None]:
        """The nodes that include what a macro names."""
        return dict.fromkeys(chain.from_iterable(cluster.computed for cluster in self.clusters()))

    def compute(self, node: IncludeNode, directive: bytes, bodies: Callable[[bytes], frozenset[bytes]]) -> None:
        """Follow a directive whose operand is no literal. `bodies` gives the bodies of a macro."""
        form, operand = directive[:1], directive[1:]
        if form == Form.OPAQUE:
            self.opaque.append(Computed(node.header.path, operand))
        elif form == Form.UNRESOLVED:
            self.unresolved.append(Computed(node.header.path, operand))
        elif operand not in _ITSELF:
            asked = form == Form.ASKED_MACRO
            expansion = expand(operand, bodies, form == Form.MACRO_CALL)
            quoted, bracketed = _ASKED if asked else _INCLUDED
            for name in expansion.names:
                self._include(node, (quoted if name.startswith(b'"') else bracketed) + name[1:-1])
            if not expansion.sure and not asked:
                self.unresolved.append(Computed(node.header.path, operand))

    def include(self, directives: Sequence[bytes]) -> None:
        """Follow directives as if they stood in the first source."""
        for directive in directives:
            self._include(self.sources[0], directive)

    def _include(self, node: IncludeNode, directive: bytes) -> None:
        edge = self._context.edge(node, directive)
        edge.loose = True
        for target in edge.targets:
            self._add(self._context.cluster(target))
        if node.position == SOURCE:
            self._precompiled(edge)

    def _precompiled(self, edge: IncludeEdge) -> None:
        self.first.append(edge)
        for directory, _ in edge.tried:
            if not directory.plain:
                for node in self._context.precompiled(edge):
                    self.precompiled = True
                    self._add(self._context.cluster(node))
                return
