"""Whether a link comes out the same though a shared library that it reads has changed: it does if the interface has not.

`gg.formats.shared_library` says what a linker takes from a library. This module decides which commands take no more than
that: links by a compiler driver with one of four linkers, with options that are all known not to look further. All other
links are in doubt, and run: link time optimisation, static links, linker scripts, maps, traces, symbols of another file,
sources among the inputs, response files. Only libraries count that the link names or finds in the build's own directories.
Libraries that the tools themselves load, such as the compiler's plugin, do more than their interface says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from blake3 import blake3

from gg.core.ids import BlobId, SandboxPath
from gg.core.thunk import File, Thunk, Work
from gg.formats.shared_library import VERSION, interface
from gg.light.regex import regex
from gg.store.base import Key, Kind, Store, blob_key

_DRIVER = "gcc/"
_SYSTEM = (b"/usr/", b"/lib", b"/bin/", b"/sbin/", b"/opt/", b"/nix/store/", b"/gnu/store/")
_LINKERS = {b"bfd": False, b"gold": False, b"lld": False, b"mold": True}
"""The linkers, by their names for -fuse-ld, and whether each writes the lengths of functions into a program."""

_FILE = regex(rb"[^-@].*\.(o|lo|a|so(\.[\w.]+)?)")
_OPTION = regex(
    rb"-(l.+|L.+|O\w*|g[\w=+-]*|pipe|pthread|shared|pie|no-pie|rdynamic|s|std=.*|D.+|I.+|pedantic|ansi|w"
    rb"|nostartfiles|nodefaultlibs|nostdlib|nostdlib\+\+|static-libgcc|static-libstdc\+\+|shared-libgcc"
    rb"|W(?![lap],)[\w=+-]*|m(?!32|x32|abi|llvm).*"
    rb"|f(?!lto|whole-program|use-ld|use-linker|linker|plugin|save|dump|embed|thin|profile|coverage|auto-profile|callgraph).*)"
)
_LINKER_OPTION = regex(
    rb"-?-(as-needed|no-as-needed|rpath(=.*)?|rpath-link(=.*)?|soname(=.*)?|h.+|O\d|hash-style=.*|build-id(=.*)?|gc-sections"
    rb"|no-gc-sections|export-dynamic|E|version-script=.*|dynamic-list=.*|dynamic-list-data|Bsymbolic(-functions)?|Bdynamic"
    rb"|Bstatic|start-group|end-group|whole-archive|no-whole-archive|exclude-libs(=.*)?|no-undefined|no-allow-shlib-undefined"
    rb"|allow-shlib-undefined|undefined-version|no-undefined-version|warn-common|fatal-warnings|no-fatal-warnings"
    rb"|sort-common(=.*)?|relax|no-relax|eh-frame-hdr|copy-dt-needed-entries|no-copy-dt-needed-entries|enable-new-dtags"
    rb"|disable-new-dtags|strip-all|strip-debug|s|S|x|X|push-state|pop-state|unresolved-symbols=.*|icf=\w+|threads(=\d+)?"
    rb"|no-threads|no-warn-\w[\w-]*|warn-\w[\w-]*|color-diagnostics(=\w+)?|dynamic-linker(=.*)?|z|znow|zrelro|zdefs|l.+|L.+)"
)
_TAKES_A_WORD = (b"-rpath", b"-rpath-link", b"-soname", b"-z", b"-exclude-libs", b"-dynamic-linker", b"-h")
_SAFE_FILES = (b"version-script=", b"dynamic-list=")
_LINKER_NAME = regex(rb"(.*-)?(ld(\.\w+)*|lld|gold|mold|wild|sold|ld64)(-[\d.]+)?")
_KNOWN_NAME = regex(rb"(.*-)?(ld|ld\.bfd|ld\.gold|gold|ld\.lld|lld|ld\.mold|mold)(-[\d.]+)?")
_LIBRARY_NAME = regex(rb"lib.*\.(so|a)(\..*)?")
_COMMENT = regex(rb"/\*.*?\*/", re.DOTALL)
_MEASURES_NOT = regex(rb"(.*-)?(ld\.bfd|ld\.gold|gold|ld\.lld|lld)(-[\d.]+)?")  # a plain `ld` may be any of them
_SIMPLE_SCRIPT = regex(rb"\s*((OUTPUT_FORMAT|GROUP|INPUT)\s*\((\s|[\w./,+=:-]+|AS_NEEDED\s*\([^()]*\))*\)\s*)+")
_LTO = (b".gnu.lto_", b"BC\xc0\xde", b".llvm.lto")


class Interfaces:
    """The interfaces of libraries in a store, each found once: the store remembers them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[BlobId, bool], bytes | None] = {}
        self._fit: dict[tuple[object, ...], bool] = {}

    def same(self, thunk: Thunk, old: File, new: File, files: Mapping[SandboxPath, File]) -> bool:
        """Whether the link `thunk` comes out the same with `new` as with `old`. `files`: all files that it declares."""
        if old.executable != new.executable or b".so" not in bytes(new.path) or bytes(new.path).startswith(_SYSTEM):
            return False
        if new not in thunk.entries:  # of a group: a tool's
            return False
        lengths = linker_of(thunk, files)
        if lengths is None:
            return False
        before = self._interface(old.blob, lengths)
        if before is None or before != self._interface(new.blob, lengths):
            return False
        return self._looks_no_further(thunk)

    def _interface(self, blob: BlobId, lengths: bool) -> bytes | None:
        known = self._known.get((blob, lengths))
        if known is None and (blob, lengths) not in self._known:
            known = self._known[blob, lengths] = self._find(blob, lengths)
        return known

    def _find(self, blob: BlobId, lengths: bool) -> bytes | None:
        name = b"interface/%s/%d/%s" % (VERSION, lengths, blob.digest)
        key = Key(Kind.ALIAS, blake3(name).digest())
        kept = self._store.get([key]).get(key)
        if kept is not None:
            return kept or None
        data = self._store.get([blob_key(blob)]).get(blob_key(blob))
        if data is None:
            return None
        found = interface(data, lengths=lengths)
        self._store.put({key: found or b""})
        return found

    def _looks_no_further(self, thunk: Thunk) -> bool:
        """Whether no input makes the link look further: none is bytecode, or a script that is more than a list of libraries."""
        key = tuple(e.blob for e in thunk.entries if isinstance(e, File))
        fit = self._fit.get(key)
        if fit is None:
            fit = self._fit[key] = all(self._is_plain(thunk, e) for e in thunk.entries if isinstance(e, File))
        return fit

    def _is_plain(self, thunk: Thunk, file: File) -> bool:
        data = self._store.get([blob_key(file.blob)]).get(blob_key(file.blob))
        if data is None:  # of the system, which is read where it is
            try:
                with open(file.path, "rb") as stream:
                    data = stream.read()
            except OSError:
                return False
        if data.startswith((b"\x7fELF", b"!<arch>\n", b"!<thin>\n")):
            return not any(mark in data for mark in _LTO) or b".so" in bytes(file.path)
        if not _may_be_script(thunk, file.path):
            return True
        return len(data) < 1 << 16 and _SIMPLE_SCRIPT.fullmatch(_COMMENT.sub(b" ", data)) is not None


def linker_of(thunk: Thunk, files: Mapping[SandboxPath, File]) -> bool | None:
    """Whether the linker of this link writes lengths of functions; None if it is in doubt what the link takes."""
    if thunk.work is not Work.LINK or not thunk.model.startswith(_DRIVER) or not _all_known(thunk.argv[1:]):
        return None
    firm = [output for output in thunk.outputs if not output.soft]
    if len(firm) != 1 or any(name.startswith(b"LD_") for name, _ in thunk.env):
        return None
    names = {path.rpartition(b"/")[2] for path, file in files.items() if file.executable}
    if any(_LINKER_NAME.fullmatch(name) and not _KNOWN_NAME.fullmatch(name) for name in names):
        return None
    chosen = [word.partition(b"=")[2] for word in thunk.argv if word.startswith(b"-fuse-ld=")]
    if chosen:
        return _LINKERS.get(chosen[-1])
    return not any(_MEASURES_NOT.fullmatch(name) for name in names) or any(b"mold" in name for name in names)


def _all_known(words: Iterable[bytes]) -> bool:
    """Whether each of a driver's arguments is known to let it look at no more than the interface of a library."""
    rest = iter(words)
    linker_words: list[bytes] = []
    for word in rest:
        if word == b"-o" or word in (b"-L", b"-l", b"-I", b"-D"):
            next(rest, None)
        elif word == b"-Xlinker":
            linker_words.append(next(rest, b""))
        elif word.startswith(b"-Wl,"):
            linker_words += word[4:].split(b",")
        elif word.startswith(b"-fuse-ld="):
            if word.partition(b"=")[2] not in _LINKERS:
                return False
        elif not (_FILE.fullmatch(word) or _OPTION.fullmatch(word)):
            return False
    return _all_linkers_known(linker_words)


def _all_linkers_known(words: Iterable[bytes]) -> bool:
    rest = iter(words)
    for word in rest:
        if not (_LINKER_OPTION.fullmatch(word) or _FILE.fullmatch(word)):
            return False
        if word.replace(b"--", b"-", 1) in _TAKES_A_WORD:
            next(rest, None)
    return True


def _may_be_script(thunk: Thunk, path: bytes) -> bool:
    """Whether the linker may read a text file as a script: the command names it, other than by an option that takes names of
    symbols from it, or it has a library's name, by which -l finds it.
    """
    name = path.rpartition(b"/")[2]
    pieces = [piece for word in thunk.argv for piece in word.split(b",") if piece.endswith(name)]
    if pieces and all(any(safe in piece for safe in _SAFE_FILES) for piece in pieces):
        return False
    return bool(pieces) or _LIBRARY_NAME.fullmatch(name) is not None
