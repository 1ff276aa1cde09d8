"""The libraries that shared libraries need, looked for as GNU ld looks for them.

ld opens them to check for undefined symbols when it makes an executable. The order is that of `ldelf_after_open` in
binutils' `ld/ldelf.c`: -rpath-link; -rpath, or LD_RUN_PATH without one; LD_LIBRARY_PATH; the RUNPATH or RPATH of the
library that needs it; ld.so.conf; the built-in directories. A name that was loaded already is not looked for.
gold, lld and mold read no library that was not named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gg.formats.elf import Dynamic
from gg.light.slotted import field, slotted
from gg.models.binutils.common import absolute
from gg.models.binutils.linked_file import Target, dynamic
from gg.models.binutils.thin import recall
from gg.models.drafts import PathKind, Probe

_CONFIG = b"/etc/ld.so.conf"
_SHELL = b"/bin/sh"
_GLOB = b'for f in $1; do if [ -f "$f" ]; then printf "%s\\0" "$f"; fi; done'


@slotted()
class Library:
    """A shared library as far as it is known: one that is not made yet has no `dynamic` part but perhaps a command."""

    path: bytes
    soname: bytes
    needed: tuple[bytes, ...]
    dynamic: Dynamic | None


@slotted(frozen=False)
class NeededLibraries:
    """The search for what the libraries of one link need. `inputs` grows; `files` are configuration that was read."""

    cwd: bytes
    probe: Probe
    env: Mapping[bytes, bytes]
    sysroot: bytes
    first_dirs: Sequence[bytes]  # -rpath-link
    rpath: Sequence[bytes]
    last_dirs: Sequence[bytes]  # built in
    target: Target | None = None
    found: list[bytes] = field(default_factory=list)
    files: list[bytes] = field(default_factory=list)
    _config_dirs: tuple[bytes, ...] | None = None

    def add_all(self, paths: Iterable[bytes]) -> None:
        """Find what the shared libraries at `paths` need, and what those need in turn."""
        todo = [self.library(path) for path in paths]
        loaded = {name for library in todo for name in (library.soname, _base(library.path)) if name}
        while todo:
            library = todo.pop()
            for name in library.needed:
                if name in loaded:
                    continue
                loaded.add(name)
                path = self._search(name, library)
                if path is None:
                    continue
                self.found.append(path)
                todo.append(self.library(path))
                if todo[-1].soname:
                    loaded.add(todo[-1].soname)

    def library(self, path: bytes) -> Library:
        whole = absolute(path, self.cwd)
        if self.probe.is_placeholder(whole):
            return self._unmade(path, whole)
        found = dynamic(self.probe, whole)
        if found is None:
            return Library(path, b"", (), None)
        return Library(path, found.soname, found.needed, found)

    def _unmade(self, path: bytes, whole: bytes) -> Library:
        """A library that is still a placeholder. The command that makes it tells soname and needs; the rest is found at force."""
        made = recall(self.probe, whole)
        if made is None:
            return Library(path, b"", (), None)
        needed = tuple(
            self.library(used).soname or _base(used) for used in made.inputs if is_shared(used) and used != whole
        )
        return Library(path, soname_in(made.argv), needed, None)

    def _search(self, name: bytes, by: Library) -> bytes | None:
        if b"/" in name:
            return name if self._fits(name, by) else None
        for directory in self._directories(by):
            path = directory + b"/" + name if directory else name
            if self._fits(path, by):
                return path
        return None

    def _directories(self, by: Library) -> Iterable[bytes]:
        yield from self.first_dirs
        yield from self.rpath or _split(self.env.get(b"LD_RUN_PATH", b""))
        yield from _split(self.env.get(b"LD_LIBRARY_PATH", b""))
        if by.dynamic is not None:
            for directory in by.dynamic.runpath or by.dynamic.rpath:
                yield self._expanded(directory, by.path) if b"$" in directory else directory
        yield from self._configured()
        yield from self.last_dirs

    def _expanded(self, directory: bytes, library: bytes) -> bytes:
        origin = self.probe.realpath(absolute(library, self.cwd)).rpartition(b"/")[0]
        return directory.replace(b"${ORIGIN}", origin).replace(b"$ORIGIN", origin)

    def _configured(self) -> tuple[bytes, ...]:
        if self._config_dirs is None:
            self._config_dirs = tuple(self._read_config(self.sysroot + _CONFIG, 0))
        return self._config_dirs

    def _read_config(self, path: bytes, depth: int) -> list[bytes]:
        if depth > 8 or self.probe.kind(path) is not PathKind.FILE:
            return []
        try:
            text = self.probe.read(path)
        except OSError:
            return []
        self.files.append(path)
        dirs: list[bytes] = []
        for line in text.splitlines():
            words = line.partition(b"#")[0].replace(b",", b" ").replace(b":", b" ").split()
            if words[:1] == [b"include"]:
                for pattern in words[1:]:
                    for included in self._glob(pattern, path):
                        dirs += self._read_config(included, depth + 1)
            elif words[:1] != [b"hwcap"]:
                dirs += [self.sysroot + word.partition(b"=")[0] for word in words if word.startswith(b"/")]
        return dirs

    def _glob(self, pattern: bytes, config: bytes) -> list[bytes]:
        base = self.sysroot if pattern.startswith(b"/") else config.rpartition(b"/")[0] + b"/"
        answer = self.probe.run((_SHELL, b"-c", _GLOB, _SHELL, base + pattern), {b"LC_ALL": b"C"})
        return [path for path in answer.stdout.split(b"\0") if path]

    def _fits(self, path: bytes, by: Library) -> bool:
        """Whether ld takes `path` for what `by` needs: a file for the same machine (a placeholder is taken to be one)."""
        whole = absolute(path, self.cwd)
        if self.probe.kind(whole) is not PathKind.FILE:
            return False
        if self.probe.is_placeholder(whole):
            return True
        library = self.library(path)
        if library.dynamic is None:
            return False
        wanted = (by.dynamic.machine, by.dynamic.bits) if by.dynamic is not None else self.target
        return wanted is None or wanted == (library.dynamic.machine, library.dynamic.bits)


def is_shared(path: bytes) -> bool:
    """Whether a path is named like a shared library: libx.so, libx.so.1.2."""
    name = _base(path)
    return name.endswith(b".so") or b".so." in name


def soname_in(argv: Sequence[bytes]) -> bytes:
    """The soname that a command line of ld or of a compiler driver gives; empty if none."""
    words = [part for arg in argv for part in _linker_words(arg)]
    soname = b""
    for at, word in enumerate(words):
        if word in (b"-soname", b"--soname", b"-h") and at + 1 < len(words):
            soname = words[at + 1]
        elif word.startswith((b"-soname=", b"--soname=")):
            soname = word.partition(b"=")[2]
    return soname


def _linker_words(arg: bytes) -> list[bytes]:
    if arg.startswith(b"-Wl,"):
        return arg[4:].split(b",")
    return [] if arg == b"-Xlinker" else [arg]


def _base(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


def _split(paths: bytes) -> list[bytes]:
    return paths.split(b":") if paths else []
