"""Leaves an archiver's plugins at home if no input gives them anything to do.

`ar` and `ranlib` load whatever is in `bfd-plugins` and ask each plugin of each member whether it knows it. GCC's knows
objects with its own sections for link-time optimisation, LLVM's knows bitcode; of other members both say no, and the
archive is what it is without them. Where clang is installed they bring 100 MB for each version of LLVM: so unless a
thunk's own inputs may be such members, it goes without the group that they are in, as if the directory were empty.
"""

from __future__ import annotations

import struct

from gg.core.ids import GroupId, SandboxPath
from gg.core.thunk import File, Thunk
from gg.formats.elf_header import MAGIC, read_header
from gg.light.named import NamedTuple
from gg.run.expand import ExpandedGroup, Groups
from gg.store.base import Key, Store, blob_key

_DIRECTORY = b"/bfd-plugins/"
_SECTIONS = (b".gnu.lto_", b".gnu.offload_lto_", b".llvmbc", b".llvm.lto")
_BITCODE = (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")  # LLVM's magic numbers: plain, and with Darwin's wrapper


class _Without(NamedTuple):
    """Groups without those of plugins, and the directories of the plugins."""

    groups: tuple[GroupId, ...]
    directories: tuple[SandboxPath, ...]


class Plugins:
    """Which groups a thunk needs elsewhere. Reads inputs from the local store."""

    def __init__(self, store: Store, groups: Groups) -> None:
        self._store = store
        self._groups = groups
        self._known: dict[tuple[tuple[GroupId, ...], SandboxPath], _Without] = {}

    def without(self, thunk: Thunk) -> _Without:
        """A thunk's groups, without plugins."""
        key = (thunk.groups, thunk.program)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._look(thunk)
        return known

    def needed(self, thunk: Thunk) -> bool:
        """Whether a plugin may have something to do with the inputs of a resolved thunk: what is not here may be such."""
        keys = [blob_key(e.blob) for e in thunk.entries if isinstance(e, File)]
        return any(self._has_work(key) for key in keys)

    def _look(self, thunk: Thunk) -> _Without:
        kept: list[GroupId] = []
        directories: dict[SandboxPath, None] = {}
        for group in thunk.groups:
            nodes = self._groups.below((group,))
            found = _plugin_directories(nodes, thunk.program)
            directories.update(dict.fromkeys(found))
            if not found:
                kept.append(group)
        return _Without(tuple(kept), tuple(directories))

    def _has_work(self, key: Key) -> bool:
        data = self._store.get([key]).get(key)
        return data is None or may_be_for_lto(data)


def _plugin_directories(nodes: tuple[ExpandedGroup, ...], program: SandboxPath) -> list[SandboxPath]:
    """The plugin directories of a group that is there for plugins; none if the group holds the program itself."""
    paths: list[bytes] = [entry.path for node in nodes for entry in node.entries]
    if program in paths:
        return []
    return [SandboxPath(path[: path.index(_DIRECTORY) + len(_DIRECTORY) - 1]) for path in paths if _DIRECTORY in path]


def may_be_for_lto(data: bytes) -> bool:
    """Whether a plugin may know an object, or a member of an archive. True when in doubt.

    Of an ELF file the names of its sections tell; anything else is searched from end to end.
    """
    names = _section_names(data) if data.startswith(MAGIC) else None
    if names is not None:
        return any(name in names for name in _SECTIONS)
    return any(text in data for text in (*_BITCODE, *_SECTIONS))


def _section_names(data: bytes) -> bytes | None:
    """The table of section names, as it is (gABI, chapter 4); None when it is not where it should be."""
    header = read_header(data[:64])
    if header is None or not header.sections.start:
        return None
    at = header.sections.start + header.names * header.sections.step
    layout = struct.Struct(header.order + ("24xQQ" if header.bits == 64 else "16xII"))
    if at + layout.size > len(data):
        return None
    offset, length = layout.unpack_from(data, at)
    names = data[offset : offset + length]
    return names if 0 < length == len(names) else None
