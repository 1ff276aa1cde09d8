"""From a model's draft to a thunk: paths become blobs, placeholders become other thunks' outputs, scans become groups.

What is in the workspace is copied into the store now: it may be edited or removed (many builds remove the sources that
they generate) before anything is forced. What lies under a stable prefix is named by its digest only, and its bytes
are compared again when a thunk has read it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from gg.core.codec import decode_group, decode_thunk, encode_group, encode_thunk, group_id, thunk_id
from gg.core.ids import BlobId, GroupId, SandboxPath, ThunkId, sandbox_path
from gg.core.slotted import slotted
from gg.core.thunk import Directory, Entry, File, Group, Output, OutputOf, Symlink, Thunk, Work
from gg.models.base import Call, Draft, RunReal, Scan, Writes
from gg.record.canon import Canon
from gg.store.base import Key, Kind, get_one

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.models.includes import Closure, Cluster, Scanner
    from gg.record.renamed import Renamer
    from gg.record.world import World
    from gg.store.base import Store

IN_PLACE = (Work.EDIT, Work.ARCHIVE)  # binutils write to the file that is there, whatever names it has
_CLOCKS = frozenset({"__DATE__", "__TIME__"})


@slotted()
class Captured:
    """A thunk that is in the store, and what was found by scanning. `thunk` has every path as it is on this machine."""

    id: ThunkId
    thunk: Thunk
    draft: Draft
    closures: tuple[Closure, ...]


class NotCapturable(Exception):
    """The call must run for real after all; the text says why."""


class Capture:
    """Makes thunks of drafts. One object serves one session: groups are memoised in it."""

    def __init__(
        self,
        world: World,
        scanner: Scanner,
        store: Store,
        memory: set[bytes] | None = None,
        renaming: Renaming | None = None,
    ) -> None:
        self._world = world
        self._scanner = scanner
        self._store = store
        self._canon = Canon()
        self._stored: set[bytes] = memory if memory is not None else set()
        self._groups: dict[tuple[bytes, ...], GroupId] = {}
        self._system: dict[tuple[tuple[bytes, ...], tuple[GroupId, ...]], GroupId] = {}
        self._stable: dict[bytes, tuple[Entry, ...]] = {}
        self._loose: dict[bytes, tuple[BlobId, bytes, bytes | None]] = {}
        self._pending: dict[Key, bytes] = {}
        self._pending_files: dict[BlobId, bytes] = {}
        self._renamer = self._make_renamer(renaming) if renaming and renaming.known_as else None

    def _make_renamer(self, renaming: Renaming) -> Renamer:
        from gg.record.renamed import Renamer

        return Renamer(
            renaming, group=self._known_group, put_group=self._put_group, put=self._put_blob, stable=self._world.stable
        )

    def capture(self, draft: Draft, call: Call) -> Captured | RunReal:
        """The thunk of `draft`, in the store; RunReal when something is found that cannot be deferred."""
        try:
            captured = self._capture(draft, call)
        except NotCapturable as reason:
            return RunReal(str(reason))
        except OSError as error:
            name = os.fsdecode(os.path.basename(error.filename)) if isinstance(error.filename, bytes) else ""
            return RunReal(f"cannot read an input: {error.strerror or error}" + (f" ({name})" if name else ""))
        self._flush()
        return captured

    def _capture(self, draft: Draft, call: Call) -> Captured:
        cwd, links = self._canon.directory(call.cwd)
        entries: dict[bytes, Entry] = {link.path: link for link in links}
        groups: dict[GroupId, None] = {}
        closures: list[Closure] = []
        groups[self._tools(draft.tools, entries)] = None
        if draft.plugins:  # apart, so that they need not travel with what they do nothing for
            groups[self._tools(draft.plugins, entries)] = None
        for scan in draft.scans:
            closure = self._scan(scan, draft, call)
            closures.append(closure)
            for source in scan.sources:
                self._input(sandbox_path(source, call.cwd), entries)
            for cluster in closure.clusters:
                groups[self._cluster(cluster, entries)] = None
        for path in draft.inputs:
            self._input(sandbox_path(path, call.cwd), entries)
        for path in draft.optional_inputs:
            full = sandbox_path(path, call.cwd)
            if os.path.isfile(full):
                self._input(full, entries)
        directories = [*draft.directories, *(d for closure in closures for d in closure.directories)]
        if directories:
            groups[self._directories(directories, call.cwd)] = None
        outputs = tuple(self._declare(writes, draft, call) for writes in draft.outputs)
        pwd = draft.env.get(b"PWD")
        if pwd and pwd != cwd:
            for link in self._canon.directory(pwd)[1]:
                entries[link.path] = link
        thunk = Thunk(
            argv=draft.argv,
            program=SandboxPath(draft.program),
            cwd=SandboxPath(cwd),
            env=tuple(sorted(draft.env.items())),
            entries=tuple(sorted(entries.values(), key=_by_path)),
            groups=tuple(sorted(groups)),
            outputs=outputs,
            work=draft.work,
            model=draft.model,
        )
        encoded = encode_thunk(self._renamer.thunk(thunk) if self._renamer else thunk)
        name = thunk_id(encoded)
        self._store_blobs(thunk.entries, known=name in self._stored)
        self._put(Key(Kind.THUNK, name), encoded)
        return Captured(name, thunk, draft, tuple(closures))

    # Scans

    def _scan(self, scan: Scan, draft: Draft, call: Call) -> Closure:
        closure = self._scanner.scan(scan, call.cwd)
        hazards = closure.hazards
        if "__TIMESTAMP__" in hazards:
            raise NotCapturable("__TIMESTAMP__ is a source's own time")
        if hazards & _CLOCKS and b"SOURCE_DATE_EPOCH" not in draft.env:
            raise NotCapturable("__DATE__ or __TIME__ is the time of compiling")
        if closure.unresolved:
            return self._ask_compiler(scan, draft, call, closure)
        return closure

    def _ask_compiler(self, scan: Scan, draft: Draft, call: Call, closure: Closure) -> Closure:
        if not scan.fallback:
            raise NotCapturable("an include that only the compiler can follow")
        env = dict(draft.env)
        import subprocess

        done = subprocess.run(
            list(scan.fallback), env=env, cwd=call.cwd, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if done.returncode:
            raise NotCapturable("an include that only the compiler can follow")
        return self._scanner.with_rule(closure, done.stdout, call.cwd)

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
        for link in links:
            entries[link.path] = link
        if real in entries:
            return
        placeholder = self._world.placeholder(real)
        if placeholder is not None:
            entries[real] = OutputOf(real, placeholder.thunk, placeholder.index)
            return
        try:
            info = self._world.files.digest(real)
        except IsADirectoryError:
            entries[real] = Directory(real)
            return
        entries[real] = File(real, info.blob, info.executable)
        self._keep(real, info.blob)

    def _keep(self, path: bytes, blob: BlobId) -> None:
        """Have the blob at hand for the store, in case that the group or thunk that names it turns out to be new."""
        fresh = self._world.take_fresh(blob.digest)
        if blob.digest not in self._stored and not self._world.stable(path):
            self._loose[blob.digest] = (blob, path, fresh)

    def _store_blobs(self, entries: Iterable[Entry], *, known: bool) -> None:
        """Store the blobs of these entries. Those of a known group or thunk were stored with it."""
        for entry in entries:
            if isinstance(entry, File):
                loose = self._loose.pop(entry.blob.digest, None)
                if loose is not None:
                    blob, path, fresh = loose
                    self._stored.add(blob.digest)
                    if known:
                        continue
                    if fresh is not None:
                        self._pending[Key(Kind.BLOB, blob.digest)] = fresh
                    else:
                        self._pending_files[blob] = path

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
        if not own:
            self._groups[tuple(tools)] = group
        return group

    def _directories(self, directories: Sequence[bytes], cwd: bytes) -> GroupId:
        """A group of the search directories that exist, real names and links."""
        found: dict[bytes, Entry] = {}
        for path in directories:
            try:
                real, links = self._canon.directory(
                    sandbox_path(path, cwd) if b".." not in path else _joined(path, cwd)
                )
            except OSError:
                continue
            found[real] = Directory(SandboxPath(real))
            for link in links:
                found[link.path] = link
        key = tuple(sorted(found))
        known = self._groups.get((b"\0directories", *key))
        if known is None:
            known = self._groups[(b"\0directories", *key)] = self._group(found.values(), ())
        return known

    def _declare(self, writes: Writes, draft: Draft, call: Call) -> Output:
        cwd = call.cwd
        path = self._output(writes.path, call, draft.work)
        executable = writes.executable
        if draft.work is Work.EDIT and draft.inputs:
            with suppress(OSError):  # what cannot be read is for the tool to say
                if writes.path in draft.inputs:
                    executable = self._mode_kept(_joined(writes.path, cwd))
                else:
                    executable = self._is_program(_joined(draft.inputs[0], cwd))
        return Output(path, executable, writes.optional, writes.soft)

    def _mode_kept(self, path: bytes) -> bool:
        """Whether a file that is edited in place can be executed: it keeps its mode.

        If that was changed while it was a placeholder (`install -m 644 lib.so`), a thunk would be given the linker's.
        """
        executable = bool(os.stat(path).st_mode & 0o111)
        made = self._made_executable(path)
        if made is not None and made != executable:
            raise NotCapturable("the permissions of what it edits were changed")
        return executable

    def _is_program(self, path: bytes) -> bool:
        """Whether BFD makes a copy of this file executable: it does so with linked ELF files, whatever their mode."""
        made = self._made_executable(path)
        if made is not None:
            return made
        head = self._world.read_part(path, 0, 18)
        return head[:4] == b"\x7fELF" and (head[16:18] if head[5] == 1 else head[17:15:-1]) in (b"\2\0", b"\3\0")

    def _made_executable(self, path: bytes) -> bool | None:
        """Of a placeholder, whether it was made executable; None for any other file."""
        placeholder = self._world.placeholder(path)
        data = get_one(self._store, Key(Kind.THUNK, placeholder.thunk)) if placeholder else None
        return decode_thunk(data).outputs[placeholder.index].executable if placeholder and data else None

    def _output(self, path: bytes, call: Call, work: Work) -> SandboxPath:
        full = _joined(path, call.cwd)
        head, _, tail = full.rpartition(b"/")
        try:
            real, _ = self._canon.directory(head)
        except OSError:
            raise NotCapturable("the directory of an output does not exist") from None
        name = real + b"/" + tail if real != b"/" else b"/" + tail
        try:
            info = os.lstat(name)
        except OSError:
            return SandboxPath(name)
        if stat.S_ISLNK(info.st_mode):
            raise NotCapturable("an output that is a symbolic link")
        if not stat.S_ISREG(info.st_mode):
            raise NotCapturable("an output that is no regular file")
        if work in IN_PLACE:  # compilers and linkers make a new file
            _check_edited(name, info, call)
        return SandboxPath(name)

    # Storing

    def _group(self, entries: Iterable[Entry], groups: tuple[GroupId, ...]) -> GroupId:
        plain = tuple(sorted((e for e in entries if not isinstance(e, OutputOf)), key=_by_path))
        return self._put_group(Group(plain, groups))

    def _put_group(self, group: Group) -> GroupId:
        encoded = encode_group(group)
        name = group_id(encoded)
        self._store_blobs(group.entries, known=name in self._stored)
        self._put(Key(Kind.GROUP, name), encoded)
        return name

    def _known_group(self, name: GroupId) -> Group:
        key = Key(Kind.GROUP, name)
        data = self._pending.get(key) or get_one(self._store, key)
        if data is None:
            raise NotCapturable("the store has lost a group of its inputs")
        return decode_group(data)

    def _put_blob(self, data: bytes) -> BlobId:
        blob = BlobId.of(data)
        self._put(Key(Kind.BLOB, blob.digest), data)
        return blob

    def _put(self, key: Key, value: bytes) -> None:
        if key.digest not in self._stored:
            self._stored.add(key.digest)
            self._pending[key] = value

    def _flush(self) -> None:
        """All that the thunk needs is in the store before its placeholder is seen by anyone."""
        if self._pending_files:
            keys = {Key(Kind.BLOB, blob.digest): blob for blob in self._pending_files}
            for key in self._store.has(list(keys)):
                del self._pending_files[keys[key]]
            if self._pending_files:
                self._store.put_files(self._pending_files)
            self._pending_files = {}
        if self._pending:
            self._store.put(self._pending)
            self._pending = {}


def _check_edited(path: bytes, info: os.stat_result, call: Call) -> None:
    """A placeholder takes a file's place with the mode that it had; whatever else it has must be as of any new file."""
    if info.st_nlink > 1:
        raise NotCapturable("an output that has several names")
    if (info.st_uid, info.st_gid) != (os.geteuid(), os.getegid()):
        raise NotCapturable("an output of another owner or group")
    if b"FAKEROOTKEY" in call.env:
        raise NotCapturable("fakeroot knows by its inode whose the output is")
    with suppress(OSError):  # a file system without attributes
        if set(os.listxattr(path, follow_symlinks=False)) - {"security.selinux"}:
            raise NotCapturable("an output that has attributes")


def _by_path(entry: Entry) -> bytes:
    return entry.path


def _joined(path: bytes, cwd: bytes) -> bytes:
    return path if path.startswith(b"/") else cwd + b"/" + path
