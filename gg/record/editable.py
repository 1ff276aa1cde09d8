"""Whether a tool that edits files in place will know what it is given: strip, objcopy, ar, ranlib.

Such a tool leaves a file alone that it does not know, and says so. A placeholder in that file's place would be a loss.
So a call is deferred only if each file that it edits is, by its own headers, whole and of a format that the tool knows;
or a placeholder whose thunk makes such a file.
"""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING

from gg.core.thunk import File, OutputOf, Thunk, Work
from gg.formats.archive import ARCH, BadArchive, places
from gg.formats.elf_header import MAGIC, ElfHeader, read_header

if TYPE_CHECKING:
    from gg.formats.elf import ReadPart
    from gg.models.drafts import Probe

OBJECTS = (b".o", b".lo", b".os", b".obj", b".pico", b".po")
_NOT_LINKED = (b"-S", b"-E", b"-emit-llvm", b"-fsyntax-only")
_MOST_MEMBERS = 1 << 16

# (e_machine, class, byte order) to BFD's name, as `strip --info` lists it. What is not here runs for real.
_NAMES = {
    (62, 2, 1): b"elf64-x86-64",
    (62, 1, 1): b"elf32-x86-64",
    (3, 1, 1): b"elf32-i386",
    (183, 2, 1): b"elf64-littleaarch64",
    (40, 1, 1): b"elf32-littlearm",
    (243, 2, 1): b"elf64-littleriscv",
    (21, 2, 1): b"elf64-powerpcle",
    (21, 2, 2): b"elf64-powerpc",
    (20, 1, 2): b"elf32-powerpc",
    (22, 2, 2): b"elf64-s390",
    (8, 1, 1): b"elf32-tradlittlemips",
    (8, 1, 2): b"elf32-tradbigmips",
    (258, 2, 1): b"elf64-loongarch",
}


def is_object(path: bytes, read: ReadPart, formats: Container[bytes]) -> bool:
    """Whether strip and objcopy, which know the BFD targets `formats`, know the made file at `path`, and find it whole."""
    try:
        size = os.stat(path).st_size
        head = read(path, 0, 64)
        if head.startswith(ARCH):
            return _is_whole_archive(path, size, read, objects=True)
        header = read_header(head)
        return header is not None and _is_whole(header, size) and _name(header) in formats
    except OSError:
        return False


def is_archive(path: bytes, read: ReadPart) -> bool:
    """Whether the made file at `path` is an archive, with all of each member in it."""
    try:
        return read(path, 0, 8) == ARCH and _is_whole_archive(path, os.stat(path).st_size, read, objects=False)
    except OSError:
        return False


def makes_known(thunk: Thunk, path: bytes, work: Work) -> bool:
    """Whether `thunk`, which makes `path`, makes what a tool of this kind knows."""
    if work is Work.ARCHIVE:
        return thunk.work is Work.ARCHIVE
    if thunk.work is Work.ARCHIVE:
        read = [entry.path for entry in thunk.entries if isinstance(entry, (File, OutputOf))]
        return all(name.endswith((*OBJECTS, b".a")) for name in read)
    words = thunk.argv
    if thunk.work is Work.LINK:
        return not any(b"oformat" in word for word in words)
    if thunk.work is Work.EDIT:
        return not any(word.startswith((b"-O", b"--output-target", b"-F", b"--target", b"-I")) for word in words)
    if thunk.work in (Work.COMPILE, Work.ASSEMBLE):
        return path.endswith(OBJECTS) and not any(word in _NOT_LINKED for word in words) and b"bin" not in words
    return False


def _name(header: ElfHeader) -> bytes | None:
    return _NAMES.get((header.machine, header.bits // 32, 1 if header.little_endian else 2))


def _is_whole(header: ElfHeader, size: int) -> bool:
    """Whether the file has section headers, all of them within `size` bytes."""
    table = header.sections
    return bool(table.start and table.count and table.start + table.step * table.count <= size)


def formats(program: bytes, env: Mapping[bytes, bytes], probe: Probe) -> Container[bytes]:
    """The BFD targets that strip or objcopy, as `program`, was built for."""
    if b"llvm-" in os.path.basename(program):
        return frozenset(_NAMES.values())
    return probe.run((program, b"--info"), env).stdout.split()


def _is_whole_archive(path: bytes, size: int, read: ReadPart, *, objects: bool) -> bool:
    """Whether each member is within the file; and, with `objects`, each is an ELF file."""
    try:
        for number, place in enumerate(places(lambda at, length: read(path, at, length), size)):
            if number == _MOST_MEMBERS:
                return False
            if objects and place.field[:1] != b"/" and read(path, place.start, 4) != MAGIC:
                return False
    except BadArchive:
        return False
    return True
