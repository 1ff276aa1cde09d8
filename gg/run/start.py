"""How a program is started: by the dynamic loader, by an interpreter, or by the kernel alone.

The path map is a preloaded library, so it sees what a program does only if the dynamic loader starts that program. A
script's bytes may be kept elsewhere than at its path, and the kernel would tell the interpreter the wrong name. So its
interpreter is started here, as execve(2) would start it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from gg.core.ids import SandboxPath, sandbox_path
from gg.core.thunk import Entry, Symlink, Thunk
from gg.formats.elf import read_dynamic_file
from gg.light.slotted import field, slotted

_SCRIPT_DEPTH = 5  # as Linux has it: fs/exec.c
_SCRIPT_LINE = 256
_LINKS = 40


@slotted()
class Program:
    """A file that can be executed. `mapped`: the path map works in it. `interpreter` and `argument`: of a script.
    `loader`: the dynamic loader that it names.
    """

    mapped: bool
    interpreter: bytes = b""
    argument: bytes = b""
    loader: bytes = b""


@slotted()
class ExecArguments:
    """What to give to the kernel. `mapped`: the path map works in the program. `needs`: files that must be there, by their
    names in the sandbox: the thunk's program, the interpreters of scripts, the dynamic loader. `records` and `env`: for
    the path map, if the loader is not the host's own.
    """

    program: bytes
    argv: tuple[bytes, ...]
    mapped: bool
    needs: tuple[SandboxPath, ...]
    records: tuple[bytes, ...] = ()
    env: Mapping[bytes, bytes] = field(default_factory=dict)

    def lacking(self, entries: Mapping[SandboxPath, Entry]) -> tuple[SandboxPath, ...]:
        """The paths of `needs` that are not declared, after following links."""
        return tuple(path for need in self.needs if (path := through_links(need, entries)) not in entries)


class Programs:
    """Remembers what programs are, by their file. Not for several threads."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, int, int, int], Program] = {}

    def command(
        self, thunk: Thunk, places: Mapping[SandboxPath, bytes], links: Mapping[SandboxPath, Symlink]
    ) -> ExecArguments:
        """How to start `thunk`; OSError if it cannot be started. `places`: where the bytes of files are that are not at their own
        path. `links`: the declared links, which may lead elsewhere on the disk by now.
        """
        path = thunk.program
        argv = thunk.argv
        needs: list[SandboxPath] = []
        for _ in range(_SCRIPT_DEPTH):
            real = through_links(path, links)
            host = places.get(real) or real
            program = self.of(host)
            needs.append(path)
            if not program.interpreter:
                loader = [SandboxPath(program.loader)] if program.loader else []
                return ExecArguments(host, argv, program.mapped, (*needs, *loader))
            argument = (program.argument,) if program.argument else ()
            argv = (program.interpreter, *argument, path, *argv[1:])
            path = SandboxPath(program.interpreter)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(thunk.program))

    def of(self, path: bytes) -> Program:
        """What the file at `path` is; OSError if it cannot be read."""
        st = os.stat(path)
        key = (path, st.st_ino, st.st_size, st.st_mtime_ns)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _look(path)
        return known


def through_links(path: SandboxPath, entries: Mapping[SandboxPath, Entry]) -> SandboxPath:
    """The path with declared links on the way, and at its end, followed."""
    for _ in range(_LINKS):
        at = path.find(b"/", 1)
        while True:
            head = path if at < 0 else path[:at]
            link = entries.get(SandboxPath(head))
            if isinstance(link, Symlink):
                path = SandboxPath(sandbox_path(link.target, os.path.dirname(head)) + path[len(head) :])
                break
            if at < 0:
                return path
            at = path.find(b"/", at + 1)
    return path


def _look(path: bytes) -> Program:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        head = os.pread(fd, _SCRIPT_LINE, 0)
        if head.startswith(b"#!"):
            words = head[2:].partition(b"\n")[0].strip(b" \t").split(None, 1)
            if words:
                return Program(True, words[0], words[1].rstrip(b" \t") if len(words) > 1 else b"")
        dynamic = read_dynamic_file(path, lambda _, offset, size: os.pread(fd, size, offset))
    finally:
        os.close(fd)
    # A file that is not ELF cannot be executed either; the attempt to do so says it.
    if dynamic is None:
        return Program(True)
    return Program(bool(dynamic.interpreter) and dynamic.bits == 64, loader=dynamic.interpreter)
