"""A probe, with the further questions that reading a toolchain needs: parts of files, ELF headers, PATH searches, plugins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from gg.formats.elf import Dynamic, ReadPart, read_dynamic_file
from gg.models.drafts import PathKind, Probe

ListDirectory = Callable[[bytes], tuple[bytes, ...]]

# What decides a toolchain's answers. Whatever else is in the environment does not reach the questions, so calls that
# differ in MAKELEVEL share them. CPATH and its kin are left out: the models treat them as the -I that they are.
_NAMES = frozenset(
    b"PATH COMPILER_PATH GCC_EXEC_PREFIX LIBRARY_PATH LD_LIBRARY_PATH REALGCC SDKROOT CCC_OVERRIDE_OPTIONS".split()
)
_PREFIXES = (b"NIX_", b"SPACK_")  # what their compiler wrappers read
_DEFAULT_PATH = b"/usr/local/bin:/usr/bin:/bin"

_PLUGINS = (b"liblto_plugin.so", b"LLVMgold.so", *(b"LLVMgold-%d.so" % n for n in range(3, 31)))


def question_env(env: Mapping[bytes, bytes] | None) -> dict[bytes, bytes]:
    """The part of `env` with which a toolchain is asked, in the C locale."""
    kept = {n: v for n, v in (env or {}).items() if n in _NAMES or n.startswith(_PREFIXES)}
    kept.setdefault(b"PATH", _DEFAULT_PATH)
    kept[b"LC_ALL"] = b"C"
    return kept


def search_path(env: Mapping[bytes, bytes], name: bytes = b"PATH") -> tuple[bytes, ...]:
    """The absolute directories of a colon list in `env`. Relative ones are left out: they mean another place in each directory."""
    return tuple(d.rstrip(b"/") or b"/" for d in env.get(name, b"").split(b":") if d.startswith(b"/"))


class View:
    """One probe, seen by this package.

    Three methods are used if the probe has them: `read_part(path, offset, size) -> bytes`, a part of a file (OSError if
    it cannot be read); `list_directory(path)`, the sorted names in a directory; `stable(path)`, whether what is there
    may be remembered for the session. Without the first, files are read whole; without the second, plugins are looked
    for by their usual names; without the third, all is remembered.
    """

    def __init__(self, probe: Probe) -> None:
        self.kind = probe.kind
        self.read = probe.read
        self.realpath = probe.realpath
        self.run = probe.run
        self._read_part: ReadPart = getattr(probe, "read_part", None) or self._part_of_whole
        self._list: ListDirectory | None = getattr(probe, "list_directory", None)
        self.stable: Callable[[bytes], bool] = getattr(probe, "stable", None) or (lambda _: True)
        self._dynamics: dict[bytes, Dynamic | None] = {}

    def is_file(self, path: bytes) -> bool:
        return path.startswith(b"/") and self.kind(path) is PathKind.FILE

    def dynamic(self, path: bytes) -> Dynamic | None:
        """The dynamic part of the file at `path`; None when there is none."""
        if path in self._dynamics:
            return self._dynamics[path]
        found = read_dynamic_file(path, self._read_part)
        if self.stable(path):
            self._dynamics[path] = found
        return found

    def interpreter(self, program: bytes) -> bytes:
        """The loader that the program at `program` names; empty when it names none."""
        found = self.dynamic(program)
        return found.interpreter if found else b""

    def head(self, path: bytes, size: int) -> bytes:
        """The first `size` bytes, fewer of a shorter file, none of one that cannot be read."""
        try:
            return self._read_part(path, 0, size)
        except OSError:
            return b""

    def which(self, name: bytes, directories: Iterable[bytes]) -> bytes:
        """The first file called `name` in `directories`, `name` itself if it is absolute; empty if there is none."""
        if b"/" in name:
            return name if self.is_file(name) else b""
        return next((path for d in directories if self.is_file(path := d + b"/" + name)), b"")

    def plugins(self, directory: bytes) -> tuple[bytes, ...]:
        """The files in a plugin directory, in the order of their names."""
        if self.kind(directory) is not PathKind.DIRECTORY:
            return ()
        names = self._list(directory) if self._list else _PLUGINS
        return tuple(path for name in names if self.is_file(path := directory + b"/" + name))

    def mentioned(self, script: bytes) -> tuple[bytes, ...]:
        """The files that a script names by an absolute path."""
        words = re.findall(rb"(?<![\w$}./-])/[\w./+@=-]+", script)
        return tuple(w for w in dict.fromkeys(words) if self.is_file(w))

    def _part_of_whole(self, path: bytes, offset: int, size: int) -> bytes:
        return self.read(path)[offset : offset + size]
