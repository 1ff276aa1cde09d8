"""What the dynamic linker would read of an ELF file: its interpreter, what it needs and where it looks for that.

Only the ELF header, the program headers and the dynamic section are read, never the section headers: a stripped file
has none, and libraries of a hundred megabytes cost ten short reads. Both classes and both byte orders are understood.
The field offsets are those of the System V gABI, chapters 4 and 5, the tags those of glibc's `elf/elf.h`.

The bytes come from anywhere, so every offset and length is checked: damaged data give None, never an exception.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from mmap import mmap

from gg.formats.elf_header import ET_DYN, ET_EXEC, MOST_SEGMENTS, PT_INTERP, ElfHeader, HeaderTable, read_header
from gg.light.slotted import slotted

ReadPart = Callable[[bytes, int, int], bytes]
"""`(path, offset, size)`: the bytes there, fewer at the end of the file; OSError if it cannot be read."""

_Read = Callable[[int, int], bytes]

_MAX_STEP = 1024  # bytes of one program header
_MAX_DYNAMIC = 65536  # bytes of a dynamic section
_MAX_STRING = 65536  # bytes of one string: a run path of nix may have hundreds of directories

_MAX_STRINGS = 1 << 20  # bytes of all strings together

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME, _DT_RPATH = 0, 1, 5, 10, 14, 15
_DT_RUNPATH, _DT_FLAGS_1, _DT_AUXILIARY, _DT_FILTER = 29, 0x6FFFFFFB, 0x7FFFFFFD, 0x7FFFFFFF
_DF_1_NODEFLIB, _DF_1_PIE = 0x800, 0x08000000


@slotted()
class Dynamic:
    """The dynamic part of an executable or shared library. Strings are as they stand in the file.

    `rpath` and `runpath` are split at colons, `$ORIGIN` not expanded; an object with both has its rpath ignored by
    the loader. `machine` is e_machine, `bits` 32 or 64. `is_static_executable`: it runs without a loader.
    """

    needed: tuple[bytes, ...]
    rpath: tuple[bytes, ...]
    runpath: tuple[bytes, ...]
    soname: bytes
    interpreter: bytes
    machine: int
    bits: int
    little_endian: bool
    is_static_executable: bool
    no_default_dirs: bool = False
    filtees: tuple[bytes, ...] = ()

    def fits(self, other: Dynamic) -> bool:
        """Whether one process can hold both."""
        mine = (self.machine, self.bits, self.little_endian)
        return mine == (other.machine, other.bits, other.little_endian)


@slotted()
class _Layout:
    """How one class of ELF (32 or 64 bits) lays out what is read here; the byte order is in the formats."""

    bits: int
    segment: struct.Struct
    entry: struct.Struct


def _layout(header: ElfHeader) -> _Layout:
    order = header.order
    if header.bits == 64:
        return _Layout(64, struct.Struct(order + "IIQQQQQQ"), struct.Struct(order + "qQ"))
    return _Layout(32, struct.Struct(order + "8I"), struct.Struct(order + "iI"))


@slotted()
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


def read_dynamic(data: bytes | mmap) -> Dynamic | None:
    """What `data` says; None when it is no whole executable or shared library (an object file, a script, damage)."""
    return _parse(lambda offset, size: bytes(data[offset : offset + size]))


def read_dynamic_file(path: bytes, read_part: ReadPart) -> Dynamic | None:
    """The same for a file of which only the needed parts are read; None also when it cannot be read."""
    try:
        return _parse(lambda offset, size: read_part(path, offset, size))
    except OSError:
        return None


def _parse(read: _Read) -> Dynamic | None:
    header = read_header(read(0, 64))
    if header is None or header.kind not in (ET_EXEC, ET_DYN):
        return None
    layout = _layout(header)
    segments = _segments(read, layout, header.segments)
    if segments is None:
        return None
    interpreter = _interpreter(read, segments)
    table = _dynamic_table(read, layout, segments)
    if interpreter is None or table is None:
        return None
    string = _strings(read, segments, table)
    needed = _all(string, table, _DT_NEEDED)
    flags = table.get(_DT_FLAGS_1, [0])[0]
    loose = not interpreter and not needed
    return Dynamic(
        needed=needed,
        rpath=_split(_all(string, table, _DT_RPATH)),
        runpath=_split(_all(string, table, _DT_RUNPATH)),
        soname=next(iter(_all(string, table, _DT_SONAME)), b""),
        interpreter=interpreter,
        machine=header.machine,
        bits=header.bits,
        little_endian=header.little_endian,
        is_static_executable=loose and (header.kind == ET_EXEC or bool(flags & _DF_1_PIE)),
        no_default_dirs=bool(flags & _DF_1_NODEFLIB),
        filtees=_all(string, table, _DT_AUXILIARY) + _all(string, table, _DT_FILTER),
    )


def _segments(read: _Read, layout: _Layout, table: HeaderTable) -> list[_Segment] | None:
    step, count = table.step, table.count
    if count > MOST_SEGMENTS or (count and not layout.segment.size <= step <= _MAX_STEP):
        return None
    raw = read(table.start, step * count) if count else b""
    if len(raw) < step * count:
        return None
    found = []
    for index in range(count):
        values = layout.segment.unpack_from(raw, index * step)
        if layout.bits == 64:
            kind, _, offset, address, _, size, _, _ = values
        else:
            kind, offset, address, _, size, _, _, _ = values
        found.append(_Segment(kind, offset, address, size))
    return found


def _interpreter(read: _Read, segments: list[_Segment]) -> bytes | None:
    """The path in PT_INTERP, empty without one; None when it is damaged."""
    for segment in segments:
        if segment.kind == PT_INTERP:
            raw = read(segment.offset, min(segment.size, 4096))
            name, end, _ = raw.partition(b"\0")
            return name if end and name else None
    return b""


def _dynamic_table(read: _Read, layout: _Layout, segments: list[_Segment]) -> dict[int, list[int]] | None:
    """Tag to values, in order; empty without a dynamic section, None when it is damaged."""
    table: dict[int, list[int]] = {}
    segment = next((s for s in segments if s.kind == _PT_DYNAMIC), None)
    if segment is None or not segment.size:  # the debug half of a split binary has the header and no bytes
        return table
    if segment.size > _MAX_DYNAMIC:
        return None
    raw = read(segment.offset, segment.size)
    if len(raw) < segment.size:
        return None
    for at in range(0, len(raw) - layout.entry.size + 1, layout.entry.size):
        tag, value = layout.entry.unpack_from(raw, at)
        if tag == _DT_NULL:
            break
        table.setdefault(tag, []).append(value)
    return table


def _strings(read: _Read, segments: list[_Segment], table: dict[int, list[int]]) -> Callable[[int], bytes]:
    """A function from an offset in the string table to the string there, empty when it lies outside."""
    address = table.get(_DT_STRTAB, [0])[0]
    size = table.get(_DT_STRSZ, [0])[0]
    base = next(
        (s.offset + address - s.address for s in segments if s.kind == _PT_LOAD and 0 <= address - s.address < s.size),
        None,
    )

    left = _MAX_STRINGS

    def string(offset: int) -> bytes:
        nonlocal left
        if base is None or not 0 <= offset < size or left <= 0:
            return b""
        want = 128
        while True:
            text, end, _ = read(base + offset, min(want, size - offset)).partition(b"\0")
            if end:
                left -= len(text) + 1
                return text
            if want >= min(size - offset, _MAX_STRING):
                return b""
            want *= 8

    return string


def _all(string: Callable[[int], bytes], table: dict[int, list[int]], tag: int) -> tuple[bytes, ...]:
    return tuple(text for offset in table.get(tag, ()) if (text := string(offset)))


def _split(paths: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(part for path in paths for part in path.split(b":") if part)
