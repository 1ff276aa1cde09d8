"""The shared libraries that a program gets, found in the way of the dynamic loader without running it.

glibc's order (ld.so(8)): the DT_RPATH of the object and of those that loaded it, unless the object has a DT_RUNPATH;
LD_LIBRARY_PATH; the object's DT_RUNPATH; /etc/ld.so.cache; the loader's own directories. In each directory the
glibc-hwcaps variants come first. The processor decides which of them is taken, and a thunk may run on another one, so
every variant that exists belongs to the closure. musl: LD_LIBRARY_PATH, run paths, then /etc/ld-musl-ARCH.path, or a
default.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from gg.formats.elf import Dynamic
from gg.light.regex import regex
from gg.models.drafts import PathKind

if TYPE_CHECKING:
    from gg.models.toolchain.view import View

CACHE = b"/etc/ld.so.cache"
_MAGIC = b"glibc-ld.so.cache1.1"
_HEAD = struct.Struct("=20sIIB3xI3I")  # struct cache_file_new in glibc's sysdeps/generic/dl-cache.h
_ENTRY = struct.Struct("=iIIIQ")  # struct file_entry_new
_HWCAPS = (b"x86-64-v4", b"x86-64-v3", b"x86-64-v2", b"power10", b"power9", b"z16", b"z15", b"z14", b"z13")
_MUSL = regex(rb"/ld-musl-([^/]+)\.so\.1$")
_MUSL_DIRS = (b"/lib", b"/usr/local/lib", b"/usr/lib")


class Loader:
    """Finds library closures in one view of the machine."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._cache: dict[bytes, tuple[bytes, ...]] | None = None
        self._defaults: dict[bytes, tuple[bytes, ...]] = {}
        self._hwcaps: dict[bytes, tuple[bytes, ...]] = {}
        self._closures: dict[tuple[bytes, bytes, bytes], tuple[bytes, ...]] = {}

    def closure(self, path: bytes, env: Mapping[bytes, bytes], interpreter: bytes = b"") -> tuple[bytes, ...]:
        """The loader and libraries of the executable or library at `path`, without it; none for what is no dynamic ELF.

        `interpreter` is that of the process that loads a library such as a plugin, which names none itself. Paths are
        as the loader opens them, links not followed. A library that is not found is left out, as it would fail plainly.
        """
        key = (path, env.get(b"LD_LIBRARY_PATH", b""), interpreter)
        known = self._closures.get(key)
        if known is None:
            known = self._walk(path, env, interpreter)
            if self._view.stable(path):
                self._closures[key] = known
        return known

    def _walk(self, path: bytes, env: Mapping[bytes, bytes], interpreter: bytes) -> tuple[bytes, ...]:
        root = self._view.dynamic(path)
        if root is None:
            return ()
        interpreter = root.interpreter or interpreter
        found: dict[bytes, None] = {root.interpreter: None} if self._view.is_file(root.interpreter) else {}
        loaded = {interpreter.rpartition(b"/")[2]}
        if _MUSL.search(interpreter):
            loaded |= {b"libc.so"}
        origin = (
            self._view.realpath(path) if root.interpreter else path
        )  # $ORIGIN of a library is the name it was opened by
        queue: list[tuple[bytes, Dynamic, tuple[bytes, ...]]] = [(origin, root, ())]
        for origin, dynamic, inherited in queue:  # grows while it is walked: breadth first, as the loader does
            rpath = () if dynamic.runpath else _expand(dynamic.rpath, origin) + inherited
            for name in (*dynamic.needed, *dynamic.filtees):
                if name in loaded or (name.startswith(b"libc.musl-") and _MUSL.search(interpreter)):
                    continue
                loaded.add(name)
                for place in self._find(name, origin, dynamic, rpath, env, interpreter):
                    found[place] = None
                    library = self._view.dynamic(place)
                    if library is not None:
                        queue.append((place, library, rpath))
        return tuple(found)

    def _find(
        self,
        name: bytes,
        origin: bytes,
        dynamic: Dynamic,
        rpath: tuple[bytes, ...],
        env: Mapping[bytes, bytes],
        interpreter: bytes,
    ) -> tuple[bytes, ...]:
        """The file that `name` leads to, with its variants for other processors; nothing if there is none."""
        if b"/" in name:
            return tuple(p for p in _expand((name,), origin) if self._fits(p, dynamic))[:1]
        from gg.models.toolchain.view import search_path

        listed = rpath + search_path(env, b"LD_LIBRARY_PATH") + _expand(dynamic.runpath, origin)
        for directory in listed:
            if places := self._in_directory(directory, name, dynamic):
                return places
        if dynamic.no_default_dirs:
            return ()
        defaults = self._default_dirs(interpreter)
        if not _MUSL.search(interpreter):
            places = tuple(p for p in self._cached(name) if self._fits(p, dynamic))
            if places:
                plain = all(_base_dir(p) in defaults for p in places)
                return places if plain else (*places, CACHE)
        for directory in defaults:
            if places := self._in_directory(directory, name, dynamic):
                return places
        return ()

    def _in_directory(self, directory: bytes, name: bytes, dynamic: Dynamic) -> tuple[bytes, ...]:
        variants = (d + b"/" + name for d in self._variants(directory))
        return tuple(p for p in (*variants, directory + b"/" + name) if self._fits(p, dynamic))

    def _variants(self, directory: bytes) -> tuple[bytes, ...]:
        known = self._hwcaps.get(directory)
        if known is None:
            top = directory + b"/glibc-hwcaps"
            there = self._view.kind(top) is PathKind.DIRECTORY
            known = tuple(d for n in _HWCAPS if there and self._view.kind(d := top + b"/" + n) is PathKind.DIRECTORY)
            self._hwcaps[directory] = known
        return known

    def _fits(self, path: bytes, dynamic: Dynamic) -> bool:
        if not self._view.is_file(path):
            return False
        found = self._view.dynamic(path)
        return found is not None and found.fits(dynamic)

    def _default_dirs(self, interpreter: bytes) -> tuple[bytes, ...]:
        known = self._defaults.get(interpreter)
        if known is None:
            known = self._defaults[interpreter] = tuple(dict.fromkeys(self._defaults_of(interpreter)))
        return known

    def _defaults_of(self, interpreter: bytes) -> Iterator[bytes]:
        musl = _MUSL.search(interpreter)
        if musl:
            listed = self._view.head(b"/etc/ld-musl-" + musl[1] + b".path", 65536)
            yield from (d for d in re.split(rb"[:\n]", listed) if d.startswith(b"/"))
            if not listed:
                yield from _MUSL_DIRS
            return
        if interpreter:  # a loader is installed in its own first directory: /lib/x86_64-linux-gnu, /nix/store/…/lib
            own = self._view.realpath(interpreter).rpartition(b"/")[0]
            yield from (own, own[4:] if own.startswith(b"/usr/") else b"/usr" + own)
        yield from (b"/lib64", b"/usr/lib64", b"/lib", b"/usr/lib")

    def _cached(self, name: bytes) -> tuple[bytes, ...]:
        if self._cache is None:
            try:
                self._cache = parse_cache(self._view.read(CACHE))
            except OSError:
                self._cache = {}
        return self._cache.get(name, ())


def parse_cache(data: bytes) -> dict[bytes, tuple[bytes, ...]]:
    """Library name to the paths listed for it in an ld.so.cache, in its order; empty for a damaged or foreign one."""
    start = data.find(_MAGIC)  # an older table may stand before the new one
    if start < 0 or len(data) < start + _HEAD.size:
        return {}
    count = _HEAD.unpack_from(data, start)[1]
    first = start + _HEAD.size
    if count > (len(data) - first) // _ENTRY.size:
        return {}
    found: dict[bytes, list[bytes]] = {}
    for _, key, value, _, _ in _ENTRY.iter_unpack(data[first : first + count * _ENTRY.size]):
        name, path = _text(data, start + key), _text(data, start + value)
        if name and path.startswith(b"/"):
            found.setdefault(name, []).append(path)
    return {name: tuple(paths) for name, paths in found.items()}


def _text(data: bytes, at: int) -> bytes:
    end = data.find(b"\0", at)
    return data[at:end] if end >= 0 else b""


def _base_dir(path: bytes) -> bytes:
    directory = path.rpartition(b"/")[0]
    return directory.partition(b"/glibc-hwcaps/")[0]


def _expand(paths: tuple[bytes, ...], origin: bytes) -> tuple[bytes, ...]:
    """`paths` with the loader's variables put in, relative ones left out; $LIB may be any of a few names."""
    here = origin.rpartition(b"/")[0]
    done: list[bytes] = []
    for path in paths:
        path = re.sub(rb"\$(?:ORIGIN\b|\{ORIGIN\})", lambda _: here, path)
        libs = (b"lib64", b"lib", b"lib32") if b"$LIB" in path or b"${LIB}" in path else (b"",)
        done.extend(re.sub(rb"\$(?:LIB\b|\{LIB\})", lib, path) for lib in libs)
    return tuple(p.rstrip(b"/") or b"/" for p in done if p.startswith(b"/") and b"$" not in p)
