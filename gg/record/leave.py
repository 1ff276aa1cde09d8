"""Leaves placeholders, and dependency files, where a call's outputs would be.

What stands there already matters: some tools write into it, so that it keeps names, owner and permissions, and some put
a new file there. Where the two come to the same, a placeholder is left; else only for tools that are known to make a new
file. All other calls run for real, and so does each that no file can be left for: its tool knows what to say.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from gg.core.placeholder import Placeholder, PlaceholderWriter
from gg.core.thunk import Work
from gg.errors import GGError
from gg.light.named import NamedTuple
from gg.record.depfiles.depfile import render
from gg.record.depfiles.softfiles import marked
from gg.record.newfiles import NewFile, NewFiles, attribute_names

if TYPE_CHECKING:
    from gg.models.drafts import Call
    from gg.record.capture import Captured
    from gg.record.depfiles.rules import Rules
    from gg.record.depfiles.softfiles import SoftFiles
    from gg.record.world import World
    from gg.workspace.older import Older


class CannotLeave(Exception):
    """Nothing can be left for this call, which must run for real; the text says why."""


class _How(NamedTuple):
    """What permissions a new file gets: see `NewFiles.begin`. `anew`: the tool never writes into one that is there. `of`: the
    placeholder whose command may leave what is there as it is, if it fails.
    """

    wanted: int
    umask: int
    mode: int | None = None
    more: int = 0
    anew: bool = False
    of: Placeholder | None = None


class Leaver:
    """Leaves what stands for outputs, in one session. `outside` is told of each path before, with its device.
    `dot`: the records.
    """

    def __init__(
        self,
        files: NewFiles,
        writer: PlaceholderWriter,
        world: World,
        soft: SoftFiles,
        rules: Rules,
        outside: Callable[[bytes, int], None],
        dot: str,
    ) -> None:
        self._files = files
        self._writer = writer
        self._world = world
        self._soft = soft
        self._rules = rules
        self._outside = outside
        self._dot = dot
        self._older: Older | None = None
        self._record: Callable[[], None] | None = None

    def leave(self, call: Call, captured: Captured, umask: int, record: Callable[[], None]) -> None:
        """All that the call leaves, or CannotLeave; `record` is called before a placeholder is seen.

        What comes first among the outputs is left last, as tools do, and no other is newer: make has rules that lead from
        one to the other.
        """
        outputs = [(i, o) for i, o in enumerate(captured.outputs) if not (o.soft or o.optional)]
        left: list[tuple[bytes, int]] = []
        try:
            self._leave_depfile(call, captured, umask)
            self._record = record
            if not outputs:
                record()
            for index, output in reversed(outputs):
                info = self._leave(call, captured, index, umask)
                self._world.wrote_placeholder(output.path, info, Placeholder(captured.id, index))
                left.append((output.path, index))
        except (OSError, GGError, CannotLeave) as error:  # GGError: what is known of the thunk cannot be written down
            for path, _ in left:
                with suppress(OSError):
                    os.unlink(path)
            why = f"no file can be made: {error.strerror}" if isinstance(error, OSError) else str(error)
            raise CannotLeave(why) from None
        for path, index in left[:-1]:
            os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
            self._world.wrote_placeholder(path, os.lstat(path), Placeholder(captured.id, index))

    def _leave_depfile(self, call: Call, captured: Captured, umask: int) -> None:
        """The dependency file, and the record by which a force finds it again, before any placeholder of the thunk is seen.

        In the other order a kill in between would leave our text for good: make, finding the placeholder, has nothing to do.
        """
        depfile, outputs = captured.draft.depfile, captured.outputs
        if depfile is None:
            return
        index = next(i for i, output in enumerate(outputs) if output.soft)
        sources = [source for scan in captured.draft.scans for source in scan.sources] or captured.draft.inputs
        if b"MAKELEVEL" in call.env:  # a header that make would not know of may go away before it is forced
            depfile = depfile._replace(phony=True)
        path, text = outputs[index].path, marked(render(depfile, captured.headers, sources))
        try:
            info = self._write(path, text, _How(0o666, umask))
        except OSError as error:
            raise CannotLeave(f"no file can be made: {error.strerror}") from None
        self._soft.wrote(path, text, info, captured.id, index)
        self._soft.flush()
        self._rules.wrote(path, text, captured, index, info, captured.cwd)

    def _leave(self, call: Call, captured: Captured, index: int, umask: int) -> os.stat_result:
        output = captured.outputs[index]
        executable, mode = output.executable, _mode_kept(captured, output.path)
        data = self._writer.encode(captured.id, index)
        expected = (0o777 if executable else 0o666) & ~umask if mode is None else mode
        how = _How(0o666, umask, mode, 0o111 if executable else 0, anew=index == 0 and _makes_anew(call, captured))
        if executable and mode is None and self._files.has_access_list(os.path.dirname(output.path)):
            how = _by_access_list(how, call, captured)
        if output.path not in captured.edited:
            how = how._replace(of=Placeholder(captured.id, index))
        if how.of is not None and not self._world.is_own(output.path, how.of.thunk):
            return self._write(output.path, data, how)
        return self._rewrite(output.path, data, expected) or self._write(output.path, data, how)

    def _rewrite(self, path: bytes, data: bytes, mode: int) -> os.stat_result | None:
        """Write over a placeholder of our own: one write of 256 bytes, which no kill can cut. None: do it otherwise.

        To make a file costs ext4 many times what it costs to write to one that is there.
        """
        if not self._world.is_own(path):
            return None
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            info = os.fstat(fd)
            if info.st_nlink != 1 or info.st_mode & 0o7777 != mode or info.st_size != len(data):
                return None
            if (info.st_uid, info.st_gid) != (os.geteuid(), os.getegid()) or attribute_names(fd):
                return None
            self._recorded()
            os.pwrite(fd, data, 0)
            return os.fstat(fd)
        finally:
            os.close(fd)

    def _recorded(self) -> None:
        record, self._record = self._record, None
        if record:
            record()

    def _write(self, path: bytes, data: bytes, how: _How) -> os.stat_result:
        """A reader sees what was there or the whole new file, whenever we are killed."""
        try:
            return self._write_once(path, data, how)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        return self._write_once(path, data, how)

    def _write_once(self, path: bytes, data: bytes, how: _How) -> os.stat_result:
        file = self._files.begin(path, wanted=how.wanted, umask=how.umask, mode=how.mode, more=how.more)
        drop = True
        try:
            os.write(file.fd, data)
            info = os.fstat(file.fd)
            if how.mode is None:
                _check_replaced(path, file, info, anew=how.anew, emptied=how.of is not None)
            self._outside(path, file.device)
            if how.of is not None:
                self._keep_older(path, how.of)
            self._recorded()
            file.put()
            drop = False
            return info
        finally:
            file.close(drop=drop)

    def _keep_older(self, path: bytes, of: Placeholder) -> None:
        """Keep what is there: the command may leave it as it is, if it fails."""
        if self._older is None and os.path.lexists(path):
            from gg.workspace.older import Older

            self._older = Older(self._dot)
        if self._older is not None:
            self._older.keep(path, of)


def _check_replaced(path: bytes, file: NewFile, new: os.stat_result, *, anew: bool, emptied: bool) -> None:
    """CannotLeave if it makes a difference whether the tool writes into what stands there or makes a new file, unless it
    is known to do the latter (`anew`). `emptied`: it does if that is empty, as the temporary file of a script is.
    """
    try:
        old = os.lstat(path)
    except FileNotFoundError:
        return
    if emptied and stat.S_ISREG(old.st_mode) and not old.st_size:
        raise CannotLeave("what stands at its output is empty, and may be open in who waits for what will be in it")
    same = (old.st_mode, old.st_uid, old.st_gid, old.st_nlink) == (new.st_mode, new.st_uid, new.st_gid, 1)
    if same and _same_attributes(path, file.fd):
        return
    if not (anew and old.st_size and os.access(path, os.W_OK)):  # what is empty is written into by BFD too
        raise CannotLeave("what stands at its output has other names, permissions, owner or attributes than a new file")


def _same_attributes(path: bytes, fd: int) -> bool:
    names = attribute_names(path)
    return names == attribute_names(fd) and all(os.getxattr(path, name) == os.getxattr(fd, name) for name in names)


def _mode_kept(captured: Captured, path: bytes) -> int | None:
    """The permissions of a file that is edited in place, which stay; None when the tool makes a new one."""
    if path not in captured.edited:
        return None
    try:
        return stat.S_IMODE(os.lstat(path).st_mode)
    except OSError:
        return None


def _by_access_list(how: _How, call: Call, captured: Captured) -> _How:
    """How this tool makes a program in a directory with an access list; CannotLeave if it sets the permissions itself.

    BFD makes a file as any other, and then adds what the umask leaves of execution; lld and gold make it executable.
    """
    names = [os.path.basename(path) for path in (call.tool.path, *captured.draft.tools)]
    if any(b"mold" in name or name.startswith(b"llvm-") for name in names):
        raise CannotLeave("its directory has an access list, which this tool replaces")
    if captured.draft.work is Work.LINK and any(b"lld" in name or b"gold" in name for name in names):
        return how._replace(wanted=0o777, more=0)
    return how


def _makes_anew(call: Call, captured: Captured) -> bool:
    """Whether this tool puts a new file in the place of a first output that is there and not empty.

    GNU as, ld, gold, objcopy and strip unlink it, and clang, lld and the LLVM tools rename theirs. cc1 (-S, -E, precompiled
    headers), mold, nasm, yasm and all that write dependency files, maps and notes open what is there.
    """
    draft = captured.draft
    if draft.work is Work.COMPILE:
        return b"-c" in draft.argv and not captured.outputs[0].path.endswith((b".gch", b".pch"))
    if draft.work is Work.LINK:
        return not any(b"mold" in os.path.basename(path) for path in (call.tool.path, *draft.tools))
    return draft.work in (Work.ASSEMBLE, Work.EDIT) and call.tool.name not in ("nasm", "yasm")
