"""From a model's draft to a thunk: paths become blobs, placeholders become other thunks' outputs, scans become groups.

What is in the workspace is copied into the store now: it may be edited or removed (many builds remove the sources that
they generate) before anything is forced. What lies under a stable prefix is named by its digest only, and its bytes
are compared again when a thunk has read it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from gg.core.codec import encode_thunk, thunk_id
from gg.core.ids import GroupId, SandboxPath, ThunkId
from gg.core.thunk import Directory, Entry, File, Group, Output, OutputOf, Symlink, Thunk
from gg.light.slotted import slotted
from gg.models.drafts import Call, Draft, RunReal, Scan
from gg.record.depfiles.depfile import listed
from gg.record.outputs import NotCapturable, Outputs, check_apart, check_members, check_shown, edited, named
from gg.record.shelf import Shelf

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.models.includes import Closure, Cluster, Scanner
    from gg.record.many_looks import Trail
    from gg.record.recall.notes import RecallNotes
    from gg.record.renamed import Renamer
    from gg.record.world import World
    from gg.store.base import Store

_CLOCKS = frozenset({"__DATE__", "__TIME__"})
TELLS_THE_TIME = "__DATE__ or __TIME__ is the time of compiling"


@slotted()
class Captured:
    """A thunk that is in the store, with every path as it is on this machine.

    `headers` are for the dependency file, if there is to be one. `edited` are the outputs that are there already and are
    written to in place.
    """

    id: ThunkId
    draft: Draft
    cwd: bytes
    outputs: tuple[Output, ...]
    headers: tuple[bytes, ...] = ()
    edited: frozenset[bytes] = frozenset()


class Capture:
    """Makes thunks of drafts. One object serves one session: groups are memoised in it."""

    def __init__(
        self,
        world: World,
        store: Store,
        renaming: Renaming | None = None,
        recall: bytes | None = None,
        *,
        clocks: bool = False,
    ) -> None:
        """`recall`: the file of what earlier sessions found out. `clocks`: what tells the time is captured too, for a
        repetition at another time.
        """
        self._world = world
        self._clocks = clocks
        self._canon = world.canon
        self._shelf = Shelf(store, world)
        self._outputs = Outputs(world, self._canon, store)
        self._groups: dict[tuple[bytes, ...], GroupId] = {}
        self._system: dict[tuple[tuple[bytes, ...], tuple[GroupId, ...]], GroupId] = {}
        self._searched: dict[tuple[bytes, ...], tuple[GroupId, Trail]] = {}
        self._stable: dict[bytes, tuple[Entry, ...]] = {}
        self.recalled = 0
        self._started = time.time_ns()
        self._memory = recall
        self._about = (*renaming.fixed, b"", *renaming.aliases) if renaming and renaming.known_as else ()
        self._notes: RecallNotes | None = None
        self._renamer = self._make_renamer(renaming) if renaming and renaming.known_as else None

    @cached_property
    def _scanner(self) -> Scanner:
        from gg.models.includes import Scanner

        return Scanner(self._world)

    def _make_renamer(self, renaming: Renaming) -> Renamer:
        from gg.record.renamed import Renamer

        return Renamer(
            renaming,
            group=self._known_group,
            put_group=self._shelf.group,
            put=self._shelf.blob,
            stable=self._world.stable,
        )

    def is_new(self, name: ThunkId) -> bool:
        """Whether the store did not have the thunk before this session; told once."""
        return self._shelf.is_new(name)

    def close(self) -> None:
        """Write down what later sessions may know."""
        if self._notes is not None:
            self._notes.write()

    def capture(self, draft: Draft, call: Call) -> Captured | RunReal:
        """The thunk of `draft`, in the store; RunReal when something is found that cannot be deferred."""
        try:
            captured = self._capture(draft, call)
        except NotCapturable as reason:
            return RunReal(str(reason))
        except OSError as error:
            name = os.fsdecode(os.path.basename(error.filename)) if isinstance(error.filename, bytes) else ""
            return RunReal(f"cannot read an input: {error.strerror or error}" + (f" ({name})" if name else ""))
        self._shelf.flush()
        return captured

    def _capture(self, draft: Draft, call: Call) -> Captured:
        cwd, links = self._canon.directory(call.cwd)
        pwd = draft.env.get(b"PWD")
        if pwd and pwd != cwd:
            links = (*links, *self._canon.directory(pwd)[1])
        called = draft.argv[0]
        if b"/" in called and not self._world.stable(called):  # a driver looks for its parts beside that name
            links = (*links, *self._canon.file(named(called, call.cwd))[1])
        entries: dict[bytes, Entry] = {link.path: link for link in links}
        groups = [self._tools(draft.tools, entries)]
        if draft.plugins:  # apart, so that they need not travel with what they do nothing for
            groups.append(self._tools(draft.plugins, entries))
        outputs = self._outputs.of(draft, call, entries)
        ways = tuple(entries.values())
        notes = self._notes or self._open_notes(draft)
        if notes is None or not _may_be_kept(draft) or any(isinstance(e, OutputOf) for e in ways):
            return self._make(draft, call, cwd, outputs, entries, groups)[0]
        key = notes.recall.key(draft, cwd, ways, outputs, groups)
        recalled = notes.recall.find(key)
        if recalled is not None and self._shelf.holds(recalled.thunk):
            self.recalled += 1
            return Captured(recalled.thunk, draft, cwd, outputs, recalled.headers)
        captured, closures = self._make(draft, call, cwd, outputs, entries, groups)
        if not any(isinstance(e, OutputOf) for e in entries.values()):
            notes.note(key, captured.id, closures[0], captured.headers)
        return captured

    def _open_notes(self, draft: Draft) -> RecallNotes | None:
        """What earlier sessions found out, when a scan is first asked for."""
        if self._memory is not None and draft.scans:
            from gg.record.recall.notes import RecallNotes
            from gg.record.recall.recall import Recall

            recall = Recall(self._memory, self._about, self._world, self._canon)
            self._notes = RecallNotes(recall, self._world, self._canon, lambda: self._scanner, self._started)
            self._shelf.expect(recall.thunks())
        return self._notes

    def _make(
        self,
        draft: Draft,
        call: Call,
        cwd: bytes,
        outputs: tuple[Output, ...],
        entries: dict[bytes, Entry],
        tools: Sequence[GroupId],
    ) -> tuple[Captured, list[Closure]]:
        """The thunk, stored but for `Shelf.flush`. `entries` and `tools` are a part of its inputs, and get the rest."""
        groups = dict.fromkeys(tools)
        closures = self._scans(draft, call, entries, groups)
        for path in draft.inputs:
            self._input(named(path, call.cwd), entries)
        for path in draft.optional_inputs:
            full = named(path, call.cwd)
            if os.path.isfile(full):
                self._input(full, entries)
        check_members(draft, call.cwd)
        directories = [*draft.directories, *(d for closure in closures for d in closure.directories)]
        if directories:
            groups[self._directories(directories, call.cwd)] = None
        check_apart(draft.work, outputs, entries, closures)
        thunk = Thunk(
            argv=draft.argv,
            program=SandboxPath(draft.program),
            cwd=SandboxPath(cwd),
            env=tuple(sorted(draft.env.items())),
            entries=_sorted(entries.values(), cwd),
            groups=tuple(sorted(groups)),
            outputs=outputs,
            work=draft.work,
            model=draft.model,
        )
        encoded = encode_thunk(self._renamer.thunk(thunk) if self._renamer else thunk)
        name = thunk_id(encoded)
        self._shelf.thunk(name, encoded, thunk.entries)
        headers = listed(draft.depfile, closures) if draft.depfile else ()
        return Captured(name, draft, cwd, outputs, headers, edited(draft.work, outputs, entries)), closures

    # Scans

    def _scans(
        self, draft: Draft, call: Call, entries: dict[bytes, Entry], groups: dict[GroupId, None]
    ) -> list[Closure]:
        closures = []
        for scan in draft.scans:
            closure = self._scan(scan, draft, call)
            closures.append(closure)
            for source in scan.sources:
                self._input(named(source, call.cwd), entries)
            for cluster in closure.clusters:
                groups[self._cluster(cluster, entries)] = None
        return closures

    def _scan(self, scan: Scan, draft: Draft, call: Call) -> Closure:
        closure = self._scanner.scan(scan, call.cwd)
        hazards = closure.hazards
        if "__TIMESTAMP__" in hazards:
            raise NotCapturable("__TIMESTAMP__ is a source's own time")
        if hazards & _CLOCKS and b"SOURCE_DATE_EPOCH" not in draft.env and not self._clocks:
            raise NotCapturable(TELLS_THE_TIME)
        if closure.unresolved or closure.opaque:
            from gg.record.asked_compiler import completed

            return completed(closure, self._scanner, scan, draft, call)
        return closure

    def _cluster(self, cluster: Cluster, entries: dict[bytes, Entry]) -> GroupId:
        """The group of a cluster and all below it. Placeholders below it go to `entries`, and are not memoised."""
        if cluster.group is not None:
            return cluster.group
        order: list[Cluster] = []
        seen: set[int] = set()
        stack = [cluster]
        while stack:
            top = stack[-1]
            waiting = [c for c in top.children if c.group is None and id(c) not in seen]
            if waiting:
                seen.add(id(waiting[-1]))
                stack.append(waiting[-1])
                continue
            order.append(stack.pop())
        made: dict[int, GroupId] = {}
        for each in order:
            if id(each) in made:
                continue
            below = tuple(sorted({c.group or made[id(c)] for c in each.children}))
            made[id(each)], whole = self._own_group(each, below, entries)
            if whole and all(c.group is not None for c in each.children):
                each.group = made[id(each)]
        return made[id(cluster)]

    def _own_group(
        self, cluster: Cluster, below: tuple[GroupId, ...], entries: dict[bytes, Entry]
    ) -> tuple[GroupId, bool]:
        """The group of a cluster whose children's groups are `below`, and whether it holds all of the cluster's files.

        System headers make the same group in every directory of a build that has a search path of its own.
        """
        paths = tuple(header.path for header in cluster.files)
        known = self._system.get((paths, below))
        if known is not None:
            return known, True
        found: dict[bytes, Entry] = {}
        for path in paths:
            self._input(path, found)
        deferred = [e for e in found.values() if isinstance(e, OutputOf)]
        for entry in deferred:
            entries[entry.path] = entry
            del found[entry.path]
        group = self._group(found.values(), below)
        if all(path in self._stable for path in paths):
            self._system[paths, below] = group
        return group, not deferred

    # Files

    def _input(self, path: bytes, entries: dict[bytes, Entry]) -> None:
        """Declare the file at `path`, and the links on the way to it."""
        if not self._world.stable(path):
            self._look(path, entries)
            return
        known = self._stable.get(path)
        if known is None:
            found: dict[bytes, Entry] = {}
            self._look(path, found)
            known = tuple(found.values())
            if all(isinstance(e, Symlink) or self._world.stable(e.path) for e in known):
                self._stable[path] = known
        for entry in known:
            entries[entry.path] = entry

    def _look(self, path: bytes, entries: dict[bytes, Entry]) -> None:
        real, links = self._canon.file(path)
        check_shown(real)
        for link in links:
            entries[link.path] = link
        if real in entries:
            return
        placeholder = self._world.input_placeholder(real)
        if placeholder is not None:
            entries[real] = OutputOf(real, placeholder.thunk, placeholder.index)
            return
        try:
            info = self._world.files.digest(real)
        except IsADirectoryError:
            entries[real] = Directory(real)
            return
        entries[real] = File(real, info.blob, info.executable)
        self._shelf.keep(real, info.blob)

    def _tools(self, tools: Sequence[bytes], entries: dict[bytes, Entry]) -> GroupId:
        known = self._groups.get(tuple(tools))
        if known is not None:
            return known
        found: dict[bytes, Entry] = {}
        for tool in tools:
            self._input(tool, found)
        own = [
            e
            for e in found.values()
            if isinstance(e, OutputOf) or (isinstance(e, File) and not self._world.stable(e.path))
        ]
        for entry in own:  # a compiler that this very build makes: looked at again each time
            if isinstance(entry, OutputOf):
                entries[entry.path] = entry
                del found[entry.path]
        group = self._group(found.values(), ())
        if own:
            self._world.watch_tools(tools)
        else:
            self._groups[tuple(tools)] = group
        return group

    def _directories(self, directories: Sequence[bytes], cwd: bytes) -> GroupId:
        """A group of the search directories that exist, real names and links. Looked at in one system call a component."""
        key = (cwd, *directories)
        known = self._searched.get(key)
        if known is None or not self._canon.stands(known[1]):
            trail = self._canon.trail([named(path, cwd) for path in directories])
            known = self._searched[key] = self._directory_group(directories, cwd), trail
        return known[0]

    def _directory_group(self, directories: Sequence[bytes], cwd: bytes) -> GroupId:
        found: dict[bytes, Entry] = {}
        for path in directories:
            try:
                real, links = self._canon.directory(named(path, cwd))
            except OSError:
                continue
            check_shown(real + b"/")
            found[real] = Directory(SandboxPath(real))
            for link in links:
                found[link.path] = link
        return self._group(found.values(), ())

    def _group(self, entries: Iterable[Entry], groups: tuple[GroupId, ...]) -> GroupId:
        plain = tuple(sorted((e for e in entries if not isinstance(e, OutputOf)), key=_by_path))
        return self._shelf.group(Group(plain, groups))

    def _known_group(self, name: GroupId) -> Group:
        group = self._shelf.find_group(name)
        if group is None:
            raise NotCapturable("the store has lost a group of its inputs")
        return group


def _may_be_kept(draft: Draft) -> bool:
    """Whether all that it reads is found by one scan."""
    return len(draft.scans) == 1 and not (draft.optional_inputs or set(draft.inputs) - set(draft.scans[0].sources))


def _sorted(entries: Iterable[Entry], cwd: bytes) -> tuple[Entry, ...]:
    """By path; without directories that are there for any command, for it runs below them."""
    inside = cwd + b"/"
    wanted = [e for e in entries if not (isinstance(e, Directory) and inside.startswith(e.path + b"/"))]
    return tuple(sorted(wanted, key=_by_path))


def _by_path(entry: Entry) -> bytes:
    return entry.path
