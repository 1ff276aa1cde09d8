"""Where a call's outputs really go, and whether each can be deferred."""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from gg.core.codec import decode_thunk
from gg.core.ids import SandboxPath, sandbox_path
from gg.core.thunk import Entry, Output, Work
from gg.models.drafts import Call, Draft, Writes
from gg.store.base import Key, Kind, get_one

if TYPE_CHECKING:
    from gg.models.includes import Closure
    from gg.record.canon import Canon
    from gg.record.world import World
    from gg.store.base import Store

IN_PLACE = (Work.EDIT, Work.ARCHIVE)  # binutils write to the file that is there, whatever names it has

_AS_ON_THE_HOST = (b"/dev/", b"/proc/", b"/sys/")


class NotCapturable(Exception):
    """The call must run for real after all; the text says why."""


def check_shown(path: bytes) -> None:
    """NotCapturable for a file or directory in a place that each command sees as it is on its host: there a thunk has no file of
    its own, and no other one is hidden from it. `path`: its real name; a link of the workspace may lead there (to /dev/shm).
    """
    if path.startswith(_AS_ON_THE_HOST):
        raise NotCapturable("a file below /dev, /proc or /sys, which each command sees as it is at that moment")


class Outputs:
    """Declares outputs. NotCapturable for what a placeholder cannot stand for."""

    def __init__(self, world: World, canon: Canon, store: Store) -> None:
        self._world = world
        self._canon = canon
        self._store = store

    def of(self, draft: Draft, call: Call, links: dict[bytes, Entry]) -> tuple[Output, ...]:
        """The outputs by their real names. `links` gets those on the way to them, which the command follows too."""
        if draft.work is not Work.LINK and sum([len(scan.sources) for scan in draft.scans]) > 1:
            raise NotCapturable("several sources: what is made of the others stays where one fails")
        return tuple([self._declare(writes, draft, call, links) for writes in draft.outputs])

    def _declare(self, writes: Writes, draft: Draft, call: Call, links: dict[bytes, Entry]) -> Output:
        cwd = call.cwd
        path = self._path(writes, draft, call, links)
        if draft.work in IN_PLACE:
            self._check_known(path, draft, call)
        executable = writes.executable
        if draft.work is Work.EDIT and draft.inputs:
            with suppress(OSError):  # what cannot be read is for the tool to say
                if writes.path in draft.inputs:
                    executable = self._mode_kept(joined(writes.path, cwd))
                else:
                    copied = next((name for name in reversed(draft.inputs) if name in draft.argv), draft.inputs[0])
                    executable = self._is_program(joined(copied, cwd))
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
        from gg.formats.elf_header import is_linked

        return is_linked(self._world.read_part(path, 0, 64))

    def _made_executable(self, path: bytes) -> bool | None:
        """Of a placeholder, whether it was made executable; None for any other file."""
        placeholder = self._world.placeholder(path)
        data = get_one(self._store, Key(Kind.THUNK, placeholder.thunk)) if placeholder else None
        if not placeholder or not data:
            return None
        outputs = decode_thunk(data).outputs
        return outputs[placeholder.index].executable if placeholder.index < len(outputs) else None

    def _check_known(self, path: bytes, draft: Draft, call: Call) -> None:
        """What is edited in place must be known to the tool; a file that is made anew is written over whatever it is."""
        if not os.path.exists(path):
            return
        if draft.work is Work.EDIT and all(self._canon.file(named(i, call.cwd))[0] != path for i in draft.inputs):
            return
        from gg.record.editable import is_archive, makes_known

        placeholder = self._world.placeholder(path)
        if placeholder is None and draft.work is Work.ARCHIVE:
            known = is_archive(path, self._world.read_part)
        elif placeholder is None:
            known = self._world.is_object(path, draft.program, draft.env)
        else:
            data = get_one(self._store, Key(Kind.THUNK, placeholder.thunk))
            known = data is not None and makes_known(decode_thunk(data), path, draft.work)
        if not known:
            raise NotCapturable("it may not know the format of what it edits")

    def _path(self, writes: Writes, draft: Draft, call: Call, links: dict[bytes, Entry]) -> SandboxPath:
        full = joined(writes.path, call.cwd)
        head, _, tail = full.rpartition(b"/")
        try:
            real, way = self._canon.directory(head)
        except OSError:
            raise NotCapturable("the directory of an output does not exist") from None
        check_shown(real + b"/")
        links.update((link.path, link) for link in way)
        name = real + b"/" + tail if real != b"/" else b"/" + tail
        if not os.access(real, os.W_OK | os.X_OK):
            raise NotCapturable("the directory of an output cannot be written to")
        try:
            info = os.lstat(name)
        except FileNotFoundError:
            return SandboxPath(name)
        if stat.S_ISLNK(info.st_mode):
            raise NotCapturable("an output that is a symbolic link")
        if not stat.S_ISREG(info.st_mode):
            raise NotCapturable("an output that is no regular file")
        if draft.work in IN_PLACE:  # others: `gg.record.leave`
            _check_edited(name, info, call)
        return SandboxPath(name)


def _check_edited(path: bytes, info: os.stat_result, call: Call) -> None:
    """A placeholder takes a file's place with the mode that it had; whatever else it has must be as of any new file."""
    if info.st_nlink > 1:
        raise NotCapturable("an output that has several names")
    if (info.st_uid, info.st_gid) != (os.geteuid(), os.getegid()):
        raise NotCapturable("an output of another owner or group")
    if not os.access(path, os.W_OK):
        raise NotCapturable("an output that cannot be written to")
    if b"FAKEROOTKEY" in call.env:
        raise NotCapturable("fakeroot knows by its inode whose the output is")
    with suppress(OSError):  # a file system without attributes
        if set(os.listxattr(path, follow_symlinks=False)) - {"security.selinux"}:
            raise NotCapturable("an output that has attributes")


def check_members(draft: Draft, cwd: bytes) -> None:
    """No archiver takes a directory."""
    if draft.work in IN_PLACE and any(os.path.isdir(named(path, cwd)) for path in draft.inputs):
        raise NotCapturable("a directory among what it reads")


def check_apart(work: Work, outputs: Sequence[Output], read: Container[bytes], closures: Iterable[Closure]) -> None:
    """No file is two outputs, or an input too: what a tool makes of that is its own affair.

    What binutils edit in place is both; and an output that is no file yet is no input.
    """
    paths = {output.path for output in outputs}
    if len(paths) != len(outputs):
        raise NotCapturable("two outputs in one file")
    there = {path for path in paths if os.path.lexists(path)} if work not in IN_PLACE else set[SandboxPath]()
    if any(path in read for path in there):
        raise NotCapturable("an output that is an input as well")
    for closure in closures if there else ():
        if not there.isdisjoint(header.path for cluster in closure.clusters for header in cluster.order()):
            raise NotCapturable("an output that is a header as well")


def edited(work: Work, outputs: Iterable[Output], read: Iterable[bytes]) -> frozenset[bytes]:
    """The outputs that are files which the tool edits in place: what it reads itself, and writes to."""
    return frozenset(output.path for output in outputs).intersection(read) if work in IN_PLACE else frozenset()


def joined(path: bytes, cwd: bytes) -> bytes:
    """`path` as the kernel takes it in `cwd`."""
    return path if path.startswith(b"/") else cwd + b"/" + path


def named(path: bytes, cwd: bytes) -> bytes:
    """The same, without `.` and empty components. `..` stays: it leads where links before it lead."""
    return joined(path, cwd) if b".." in path else sandbox_path(path, cwd)
