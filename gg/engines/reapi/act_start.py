"""How gg-act starts a thunk's program, and the programs that the thunk starts.

If the action's root is `/`, the kernel finds loader and libraries where they belong. In any other root the loader that was shipped
starts the programs, and libraries are in directories of the action's own (`gg.run.elsewhere` does the same for a worker of gg).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping

from blake3 import blake3

from gg.core.ids import SandboxPath
from gg.core.thunk import Entry, File, Thunk
from gg.errors import FormatError
from gg.formats.elf import Dynamic
from gg.light.named import NamedTuple
from gg.run import pathmap, processor
from gg.run.elsewhere import Lacking
from gg.run.loading import Entries, Libraries
from gg.run.start import Programs, through_links

ROOT = b"\1"
"""gg-act puts the path of the action's root in the place of this."""
INPUTS = b"/root"
"""The folder for inputs in a root that is not `/`."""
SPECS = b"/gg-action/native.specs"
_LIBRARIES = b"/gg-action/lib/"
_SCRIPT_DEPTH = 5
_MOST_LOADERS = 60


class ProgramStart(NamedTuple):
    """`program` and `argv`: what gg-act executes. `records` and `env` are for the path map; `libraries` are files for the root.
    `lacking`: paths at which the loader would look for libraries that are not declared.
    """

    program: bytes
    argv: tuple[bytes, ...]
    mapped: bool
    records: tuple[bytes, ...] = ()
    env: tuple[tuple[bytes, bytes], ...] = ()
    libraries: tuple[tuple[bytes, File], ...] = ()
    lacking: tuple[SandboxPath, ...] = ()


class _Shipped(Libraries):
    """Directories of libraries that exist in the action alone, and not on this disk."""

    def __init__(self, place: Callable[[File], str], dynamics: dict[bytes, Dynamic | None]) -> None:
        """`dynamics`: what is known of ELF files, by their blobs."""
        super().__init__("", place)
        self.files: dict[bytes, File] = {}
        self._dynamics = dynamics

    def directory(self, program: SandboxPath, interpreter: bytes, entries: Entries, path: bytes = b"") -> bytes:
        found = sorted(self.closure(program, interpreter, entries, path).items())
        names = b"".join([name + b"\0" + file.blob.digest for name, file in found])
        directory = _LIBRARIES + blake3(names).hexdigest(length=16).encode()
        self.files.update({directory + b"/" + name: file for name, file in found})
        return ROOT + directory


class Starter:
    """`place` gives the path of a file's bytes on this machine. `relative`: the root is not `/`. For any thread."""

    def __init__(self, place: Callable[[File], bytes], *, relative: bool) -> None:
        self._place = place
        self._relative = relative
        self._dynamics: dict[bytes, Dynamic | None] = {}

    def start(self, thunk: Thunk, entries: Mapping[SandboxPath, Entry]) -> ProgramStart:
        """How to start the thunk. Lacking, OSError; FormatError if it cannot be started."""
        programs = Programs()
        called, argv = thunk.program, arguments_of(thunk)[0]
        for _ in range(_SCRIPT_DEPTH):
            real, file = _found(called, entries)
            program = programs.of(self._place(file))
            if not program.interpreter:
                if program.loader:
                    _found(SandboxPath(program.loader), entries)
                if not program.mapped or not program.loader:
                    return ProgramStart(ROOT + real, argv, program.mapped)
                return self._by_loader(thunk, real, argv, program.loader, entries)
            argument = (program.argument,) if program.argument else ()
            argv = (program.interpreter, *argument, called, *argv[1:])
            called = SandboxPath(program.interpreter)
        raise FormatError(f"{os.fsdecode(thunk.program)} is a script of scripts")

    def _by_loader(
        self,
        thunk: Thunk,
        path: SandboxPath,
        argv: tuple[bytes, ...],
        loader: bytes,
        entries: Mapping[SandboxPath, Entry],
    ) -> ProgramStart:
        shipped = _Shipped(lambda file: os.fsdecode(self._place(file)), self._dynamics)
        library_path = dict(thunk.env).get(b"LD_LIBRARY_PATH", b"")
        libraries = shipped.directory(path, loader, entries, library_path)
        if not self._relative:
            return ProgramStart(ROOT + path, argv, True, lacking=tuple(sorted(shipped.lacking)))
        loader_path, _ = _found(SandboxPath(loader), entries)
        words = (
            loader,
            b"--library-path",
            libraries,
            b"--argv0",
            argv[0] if argv else path,
            ROOT + INPUTS + path,
            *argv[1:],
        )
        return ProgramStart(
            ROOT + INPUTS + loader_path,
            words,
            True,
            self._loaders(entries, shipped, loader, libraries, library_path),
            ((b"GG_EXE", path),),
            tuple(shipped.files.items()),
            tuple(sorted(shipped.lacking)),
        )

    @staticmethod
    def _loaders(
        entries: Mapping[SandboxPath, Entry], shipped: _Shipped, loader: bytes, libraries: bytes, library_path: bytes
    ) -> tuple[bytes, ...]:
        """Records for programs that the command itself starts. A program that needs other libraries has a record of its own."""
        records = {loader: pathmap.loader(loader, libraries)}
        for path in [e.path for e in entries.values() if isinstance(e, File) and e.executable]:
            dynamic = shipped.dynamic(path, entries)
            if dynamic is None or not dynamic.interpreter or len(records) > _MOST_LOADERS:
                continue
            record = pathmap.loader(
                dynamic.interpreter, shipped.directory(path, dynamic.interpreter, entries, library_path)
            )
            if records.setdefault(dynamic.interpreter, record) != record:
                records[path] = pathmap.loader(path, record.split(b"\0")[1])
        return tuple(records.values())


def arguments_of(thunk: Thunk) -> tuple[tuple[bytes, ...], bytes]:
    """The arguments for another machine (`gg.run.processor`), and the text of the file `SPECS`, if they name it."""
    if not any(name == processor.VARIABLE for name, _ in thunk.env):
        return thunk.argv, b""
    with tempfile.TemporaryDirectory() as directory:
        argv = processor.arguments(thunk, directory)
        made = os.listdir(directory)
        data = b""
        for name in made:
            with open(os.path.join(directory, name), "rb") as file:
                data = file.read()
            argv = tuple([word.replace(os.fsencode(os.path.join(directory, name)), ROOT + SPECS) for word in argv])
    return argv, data


def _found(path: SandboxPath, entries: Mapping[SandboxPath, Entry]) -> tuple[SandboxPath, File]:
    real = through_links(path, entries)
    file = entries.get(real)
    if not isinstance(file, File):
        raise Lacking(real)
    return real, file
