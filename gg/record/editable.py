"""Whether a tool that edits files in place will know what it is given: strip, objcopy, ar, ranlib.

Such a tool leaves a file alone that it does not know, and says so. A placeholder in that file's place would be a loss.
So a call is deferred only if each file that it edits is, by its own headers, whole and of a format that the tool knows;
or a placeholder whose thunk makes such a file.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING

from gg.core.thunk import File, OutputOf, Thunk, Work

if TYPE_CHECKING:
    from gg.models.drafts import Probe

ELF, ARCHIVE = b"\x7fELF", b"!<arch>\n"
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


ReadPart = Callable[[bytes, int, int], bytes]
"""`(path, offset, size)`: the bytes there, fewer at the end of the file; OSError if it cannot be read."""


def is_object(path: bytes, read: ReadPart, formats: Container[bytes]) -> bool:
    """Whether strip and objcopy, which know the BFD targets `formats`, know the made file at `path`, and find it whole."""
    try:
        size = os.stat(path).st_size
        head = read(path, 0, 64)
        if head.startswith(ARCHIVE):
            return _is_whole_archive(path, size, read, objects=True)
        return _is_whole(head, size) and _NAMES.get(_kind(head)) in formats
    except (OSError, ValueError, struct.error):
        return False


def is_archive(path: bytes, read: ReadPart) -> bool:
    """Whether the made file at `path` is an archive, with all of each member in it."""
    try:
        return read(path, 0, 8) == ARCHIVE and _is_whole_archive(path, os.stat(path).st_size, read, objects=False)
    except (OSError, ValueError):
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


def _kind(head: bytes) -> tuple[int, int, int]:
    return struct.unpack_from("<H" if head[5] == 1 else ">H", head, 18)[0], head[4], head[5]


def _is_whole(head: bytes, size: int) -> bool:
    """Whether this is the head of an ELF file that has section headers, all of them within `size` bytes."""
    if not head.startswith(ELF) or head[4] not in (1, 2) or head[5] not in (1, 2):
        return False
    order = "<" if head[5] == 1 else ">"
    if head[4] == 2:
        start, (width, count) = struct.unpack_from(order + "Q", head, 40)[0], struct.unpack_from(order + "HH", head, 58)
    else:
        start, (width, count) = struct.unpack_from(order + "I", head, 32)[0], struct.unpack_from(order + "HH", head, 46)
    return bool(start and count and start + width * count <= size)


def formats(program: bytes, env: Mapping[bytes, bytes], probe: Probe) -> Container[bytes]:
    """The BFD targets that strip or objcopy, as `program`, was built for."""
    if b"llvm-" in os.path.basename(program):
        return frozenset(_NAMES.values())
    return probe.run((program, b"--info"), env).stdout.split()


def _is_whole_archive(path: bytes, size: int, read: ReadPart, *, objects: bool) -> bool:
    """Whether each member is within the file; and, with `objects`, each is an ELF file."""
    at = len(ARCHIVE)
    for _ in range(_MOST_MEMBERS):
        if at >= size:
            return at - size <= 1  # the last byte of padding may be left out
        head = read(path, at, 60 + 4)
        if len(head) < 60 or head[58:60] != b"`\n":
            return False
        if objects and head[:1] != b"/" and head[60:64] != ELF:
            return False
        length = int(head[48:58])
        if at + 60 + length > size:
            return False
        at += 60 + length + (length & 1)
    return False
