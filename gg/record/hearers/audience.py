"""Who hears what a call prints: the one rule for what may be deferred.

A call is deferred only where nobody can tell before its output itself is read. What it prints tells, and so does that it
prints nothing: the warnings in a log, the error in `$(...)`. Where its standard output and error lead decides:

- to what gg-infer itself was given, or its terminal: who reads that reads what gg-force prints as well. It waits.
- to a process that only passes on what it reads (`_PASSES_ON`, `_COLLECTS`): it depends on where that one writes.
- to a file, which anybody may read at any time, to any other process, or to nobody knows whom: it runs at once.
- to /dev/null: nobody hears it. But who puts aside what just this one call prints, `if gcc -c try.c 2>/dev/null; then`,
  is about to look how it went, so that runs at once; what a make or a whole script prints may be dropped all the same.

Nothing is looked at for a call whose streams are gg-infer's own, as those of a make are. Else it is /proc that knows. Where
it does not tell, for processes of another user, say, the call runs at once.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress

from gg.core.colour import By
from gg.record.hearers import processes
from gg.record.hearers.processes import descriptors, name_of, parent_of
from gg.record.protocol import NULL, CallerStream, stream_of

_ALL: tuple[int, ...] = ()  # passes on to every descriptor that it may write to
_PASSES_ON: Mapping[bytes, tuple[int, ...]] = {
    **dict.fromkeys((b"ninja", b"ninja-build", b"samu", b"n2"), (1,)),
    **dict.fromkeys((b"tee", b"cat", b"less", b"more", b"most"), _ALL),
}
"""Who only shows what it reads from a pipe, and by which of its descriptors."""
_STRIPS = (b"ninja", b"ninja-build")
_COLLECTS: Mapping[bytes, tuple[int, ...]] = {b"make": (1, 2), b"gmake": (1, 2)}
"""Who collects what commands print in a file without a name, and shows it: make --output-sync."""

_SHELLS = (b"sh", b"dash", b"ash", b"bash", b"busybox", b"ksh", b"ksh93", b"mksh", b"zsh", b"yash")
_WRAPPERS = (b"timeout", b"time", b"flock", b"xargs", b"find", b"sudo", b"runuser", b"su", b"strace", b"setarch")
_KEPT_FROM = 10  # where a shell that redirects itself for the time of one command keeps what it had

_TERMINAL = os.makedev(5, 0)  # /dev/tty: whichever is the process's own
_DEPTH = 8  # processes that pass on to each other
_REMEMBERED = 64

ASIDE = "what it prints is put aside by its caller"
UNKNOWN = "nobody can tell who reads what it prints"
FILE = "what it prints goes to a file"
CLOSED = "its standard output or error is closed"
TERMINAL = "it prints to another terminal"


class Audience:
    """Answers for the calls of one session. `own`: what gg-infer was given for standard output and error."""

    by = By.NOBODY
    """Who passes on the errors of the call that was asked about last."""

    def __init__(self, own: tuple[CallerStream, ...]) -> None:
        self._own = {_key(stream) for stream in own if stream.mode}
        self._pipes = _pipes()
        self._readers: dict[int, dict[int, None]] = {}  # who was seen to read a pipe: by which descriptors

    def why_at_once(self, out: CallerStream, errors: CallerStream, pid: int, *, tried: bool) -> str:
        """Why the call of process `pid` cannot wait; empty if it can.

        `tried`: its caller may want to know no more than whether it works.
        """
        self.by = By.NOBODY
        try:
            if tried and errors.special == NULL:
                why = self._put_aside(pid, errors)
                if why:
                    return why
            why = self._heard(pid, out, 0) if out != errors else ""
            self.by = By.NOBODY
            return why or self._heard(pid, errors, 0)
        except OSError:
            return UNKNOWN

    def _heard(self, pid: int, stream: CallerStream, depth: int) -> str:
        """Who may act on what process `pid` writes to `stream`; empty: nobody."""
        if _key(stream) in self._own or stream.special == NULL:
            return ""
        if depth > _DEPTH:
            return UNKNOWN
        if stat.S_ISFIFO(stream.mode) and stream.device == self._pipes:  # not one with a name
            return self._read_by(pid, stream, depth)
        if stat.S_ISREG(stream.mode):
            return FILE if stream.links else self._collected(pid, stream, depth)
        if stat.S_ISCHR(stream.mode):
            return "" if stream.special == _TERMINAL and processes.same_terminal(pid) else TERMINAL
        return UNKNOWN if stream.mode else CLOSED

    def _read_by(self, pid: int, stream: CallerStream, depth: int) -> str:
        reader = self._reader_of(pid, stream.inode)
        return self._passed_on(reader, _PASSES_ON, depth) if reader else UNKNOWN

    def _collected(self, pid: int, stream: CallerStream, depth: int) -> str:
        """A file without a name can be read by each process that holds it open, but as one of its standard streams."""
        for process in _ancestors(pid):
            if any(fd > 2 and _is(process, fd, stream) for fd, _ in descriptors(process)):
                return self._passed_on(process, _COLLECTS, depth)
        return FILE

    def _passed_on(self, process: int, table: Mapping[bytes, tuple[int, ...]], depth: int) -> str:
        name = name_of(process)
        if name not in table:
            return f"{os.fsdecode(name)} reads what it prints"
        self.by = By.NINJA if name in _STRIPS or self.by is By.NINJA else By.SOMEBODY
        where = table[name] or [fd for fd, _ in descriptors(process) if processes.writes(process, fd)]
        for fd in where:
            why = self._heard(process, stream_of(os.stat(processes.descriptor(process, fd))), depth + 1)
            if why:
                return why
        return ""

    def _reader_of(self, pid: int, inode: int) -> int:
        """Who reads a pipe that process `pid` writes to; 0: nobody can tell.

        Looked for first among those who have read others (ninja has a pipe for each command, by the same few descriptors),
        then among those that started the writer, then among their children, then everywhere.
        """
        pipe = b"pipe:[%d]" % inode
        for process, seen in self._readers.items():
            for fd in seen:
                if processes.link(process, fd) == pipe and processes.reads(process, fd):
                    return process
        above = []
        for process in _ancestors(pid):
            if self._reads(process, pipe):
                return process
            above.append(process)
        beside = [child for process in above for child in processes.children(process)]
        for process in dict.fromkeys((*beside, *processes.everybody())):
            if self._reads(process, pipe):
                return process
        return 0

    def _reads(self, process: int, pipe: bytes) -> bool:
        """Does `process` read `pipe`, as far as anybody can tell?"""
        with suppress(OSError):
            for fd, link in descriptors(process):
                if link == pipe and processes.reads(process, fd):
                    if sum(map(len, self._readers.values())) >= _REMEMBERED:
                        self._readers.clear()
                    self._readers.setdefault(process, {})[fd] = None
                    return True
        return False

    # /dev/null

    def _put_aside(self, pid: int, errors: CallerStream) -> str:
        """Whether somebody puts aside what just this one call prints as errors, /dev/null being where it goes.

        The way up is by shells, and what merely starts a command: who else drops what it prints drops all of it.
        """
        if processes.same_file(pid, os.getpid(), 2):
            return ""
        for parent in _ancestors(pid):
            same = processes.same_file(pid, parent, 2)
            name = name_of(parent)
            shell = name in _SHELLS
            if not same and shell and processes.script_of(parent).endswith(b"libtool"):
                # It compiles once more what it has compiled just before, for which errors were shown.
                above = stream_of(os.stat(processes.descriptor(parent, 2)))
                return self._put_aside(parent, above) if above.special == NULL else ""
            if not same or (shell and _keeps_another(parent, errors)):
                return ASIDE
            if not shell and name not in _WRAPPERS:
                return ""
            pid = parent
        return ""


def _pipes() -> int:
    """The device that pipes without a name are on."""
    ends = os.pipe()
    try:
        return os.fstat(ends[0]).st_dev
    finally:
        for end in ends:
            os.close(end)


def _key(stream: CallerStream) -> tuple[int, int, int]:
    return stream.device, stream.inode, stream.special


def _ancestors(pid: int) -> Iterator[int]:
    """The processes above `pid`, up to this one."""
    own = os.getpid()
    while (pid := parent_of(pid)) > 1 and pid != own:
        yield pid


def _is(process: int, fd: int, stream: CallerStream) -> bool:
    with suppress(OSError):
        return _key(stream_of(os.stat(processes.descriptor(process, fd)))) == _key(stream)
    return False


def _keeps_another(shell: int, errors: CallerStream) -> bool:
    """Whether a shell sends its errors to /dev/null and keeps another open file, to which it may send them again."""
    return any(
        fd >= _KEPT_FROM and processes.writes(shell, fd) and not _is(shell, fd, errors) for fd, _ in descriptors(shell)
    )
