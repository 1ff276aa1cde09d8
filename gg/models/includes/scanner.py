"""The include scanner: which files can a compiler read for these sources? A superset, at a price that allows asking
for every unit of a build.

One `Scanner` serves one session. A call of `scan` looks at each directory and each workspace file that its answer
depends on once (`stat`, in two batches), and does real work only for what is new or has changed since: a header is
lexed once a change, a name looked up once a search path, a header's closure condensed once. Headers that appear
earlier on the search path, or for the first time, in the middle of a build are found by the next call.

Not covered, and left to the runner, which notices reads that nobody declared: C++20 header units (`import <x>;`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from gg.formats.make_rule import prerequisites
from gg.light.slotted import replace, slotted
from gg.models.drafts import Scan, SearchPath
from gg.models.includes.chain import SearchPlace
from gg.models.includes.directives import HAZARDS, SYSTEM_HAZARDS, Form, TimeMacro
from gg.models.includes.disk import Disk
from gg.models.includes.include_graph import Cluster, Header
from gg.models.includes.lex import preprocessed_assembler
from gg.models.includes.lexed_files import Files
from gg.models.includes.lookup import SearchContext
from gg.models.includes.macros import lookup, of_command_line
from gg.models.includes.tree import SearchedTree
from gg.models.includes.unit import Computed, Unit

_TOKENS = (
    ("__DATE__", HAZARDS[ord(TimeMacro.DATE)]),
    ("__TIME__", HAZARDS[ord(TimeMacro.TIME)]),
    ("__TIMESTAMP__", HAZARDS[ord(TimeMacro.TIMESTAMP)]),
)


@slotted(kw_only=True)
class Closure:
    """What a scan found. Its clusters stay good until the next call of the scanner.

    `clusters` with all below them and `sources` are all the files. `aliases` are second names by which a source
    includes a header. `unresolved` names may lead to more, which the compiler's own make rule tells; `opaque` ones too
    (.incbin of a macro's value), which the preprocessed text tells. `hazards` are those of __DATE__, __TIME__,
    __TIMESTAMP__ that occur as tokens, `user_hazards` outside system headers. `directories` must exist for the names
    to be found: those searched, and those that a name leaves by `..`.
    """

    sources: tuple[Header, ...]
    aliases: tuple[Header, ...]
    clusters: tuple[Cluster, ...]
    hazards: frozenset[str]
    user_hazards: frozenset[str]
    unresolved: tuple[Computed, ...]
    opaque: tuple[Computed, ...]
    directories: tuple[bytes, ...]
    context: SearchContext
    unit: Unit

    def files(self) -> tuple[Header, ...]:
        """All headers, the sources first, then about in the order in which the compiler meets them.

        A file that is included by several names is there under each; each `display` is there once.
        """
        below = chain.from_iterable(cluster.order() for cluster in self.clusters)
        every = dict.fromkeys(chain(self.sources, below, self.aliases))
        named = {header.display: header for header in every}
        if len(named) != len(every):  # the same file, read here and only asked for there
            named.update((header.display, header) for header in every if header.listed)
        return tuple(named.values())

    def displays(self, *, system: bool) -> tuple[bytes, ...]:
        """The names that the compiler would list, those of system headers only if asked for; as `files` has them."""
        named = [h.display for h in chain(self.sources, self.aliases) if h.listed and (system or not h.system)]
        sources, aliases = named[: len(self.sources)], named[len(self.sources) :]
        below = chain.from_iterable([cluster.displays(system=system) for cluster in self.clusters])
        return tuple(dict.fromkeys(chain(sources, below, aliases)))


class Scanner:
    """Scans for one session. Not for use by several threads at once."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._tree = SearchedTree(disk)
        self._files = Files(disk)
        self._contexts: dict[tuple[bytes, SearchPath], SearchContext] = {}
        self._lenders: dict[SearchPath, SearchContext] = {}

    def scan(self, scan: Scan, cwd: bytes, more: Sequence[bytes] = ()) -> Closure:
        """What can be read for `scan.sources` in the directory `cwd`; FileNotFoundError if a source is missing.

        `more`: directives that count as if the first source had them.
        """
        self._tree.epoch += 1
        self._files.epoch += 1
        key = (cwd, scan.search)
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = SearchContext(
                cwd, scan.search, self._disk, self._tree, self._files, self._lender
            )
        context.validity.refresh()
        context.settle()
        # A file is looked at once in an epoch, so each turn either finds a change in another file or is the last turn.
        while True:
            unit = Unit(context, scan)
            unit.include(more)
            self._files.check(unit.volatile())
            if any(cluster.computed for cluster in unit.clusters()):
                self._expand(unit, scan)
                self._files.check(unit.volatile())
            if not context.settle():
                return _closure(unit, context, scan)

    def contexts(self) -> list[SearchContext]:
        """All contexts, what no longer holds dropped from each."""
        self._tree.epoch += 1
        self._files.epoch += 1
        for context in self._contexts.values():
            context.validity.refresh()
            context.settle()
        return list(self._contexts.values())

    def stable(self) -> list[bytes]:
        """The files and directories, there or not, that were looked at once for the whole session."""
        return [*self._files.stable(), *self._tree.stable()]

    def signature(self, path: bytes) -> tuple[int, int, int] | None:
        """The signature of a file as it was scanned; None for one that was not, or that has just changed."""
        return self._files.signature(path)

    def _lender(self, places: Iterable[SearchPlace]) -> SearchContext:
        """The context that is shared by all contexts whose search paths end with `places`."""
        search = SearchPath(quote=(), bracket=tuple(place.prefix for place in places), user=0)
        lender = self._lenders.get(search)
        if lender is None:
            lender = self._lenders[search] = SearchContext(b"/", search, self._disk, self._tree, self._files)
        lender.settle()
        return lender

    def with_rule(self, closure: Closure, rule: bytes, cwd: bytes) -> Closure:
        """`closure` and the files that a make rule lists (what the compiler's -M prints), nothing unresolved."""
        mask = 0
        for cluster in closure.clusters:
            mask |= cluster.mask
        clusters = list(closure.clusters)
        sources = {source.path for source in closure.sources}
        for name in prerequisites(rule):
            extra = closure.context.leaf(name if name.startswith(b"/") else cwd + b"/" + name, name)
            if extra is not None and extra.mask | mask != mask and extra.files[0].path not in sources:
                mask |= extra.mask
                clusters.append(extra)
        return replace(closure, clusters=tuple(clusters), unresolved=())

    def with_assembled(self, scan: Scan, text: bytes, cwd: bytes) -> Closure:
        """What can be read for `scan`, and what the assembler reads by `text`, which the compiler's -E prints."""
        directives = preprocessed_assembler(text)
        named = tuple(directive for directive in directives if not directive.startswith(Form.OPAQUE))
        closure = self.scan(scan, cwd, named)
        return closure if len(named) < len(directives) else replace(closure, opaque=())

    def _expand(self, unit: Unit, scan: Scan) -> None:
        """Follow the names that macros give, until no new file is there that could define another."""
        options = of_command_line(scan.defines)
        while True:
            before = unit.mask
            paths = dict.fromkeys(header.path for header in unit.headers())
            states = [state for path in paths if (state := self._files.get(path)) is not None]
            memo: dict[bytes, frozenset[bytes]] = {}

            def bodies(name: bytes) -> frozenset[bytes]:
                known = memo.get(name)  # noqa: B023
                if known is None:
                    found = [self._files.bodies(state, name) for state in states]  # noqa: B023
                    known = memo[name] = lookup(options, name).union(*found)  # noqa: B023
                return known

            unit.unresolved.clear()
            unit.opaque.clear()
            for node in unit.computed():
                for directive in node.computed:
                    unit.compute(node, directive, bodies)
            if unit.mask == before:
                return


def _closure(unit: Unit, context: SearchContext, scan: Scan) -> Closure:
    bits = 0
    for cluster in unit.clusters():
        bits |= cluster.hazards
    user = bits & ((1 << SYSTEM_HAZARDS) - 1)
    options = b"\n".join(scan.defines)
    if b"__DATE__" in options or b"__TIME" in options:
        user |= sum(bit for token, bit in _TOKENS if token.encode() in options)
    everything = bits >> SYSTEM_HAZARDS | user
    through = [cluster.through for cluster in unit.clusters() if cluster.through]
    through += [unit.through] if unit.through else []
    directories = tuple(dict.fromkeys(chain(context.directories, *through))) if through else context.directories
    return Closure(
        sources=tuple(node.header for node in unit.sources),
        aliases=tuple(chain.from_iterable(node.aliases for node in unit.sources)),
        clusters=unit.roots,
        hazards=frozenset(token for token, bit in _TOKENS if everything & bit),
        user_hazards=frozenset(token for token, bit in _TOKENS if user & bit),
        unresolved=tuple(unit.unresolved),
        opaque=tuple(unit.opaque),
        directories=directories,
        context=context,
        unit=unit,
    )
