"""The sections and symbols of an ELF file, as an object file or a linked one has them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from gg.light.slotted import slotted

_MAGIC = b"\x7fELF"
_NOBITS, _SYMTAB, _DYNSYM = 8, 2, 11
_RESERVED = 0xFF00  # section numbers from here on mean something else (absolute, common, …)
RELOCATABLE = 1
_LONGEST_NAME = 64 << 10
_MOST_NAMES = 4  # times the size of the file: linkers let names share their ends


@slotted()
class Section:
    """One section. `data` is empty for one that takes no room in the file (.bss). `entry`: size of an entry of a table."""

    name: bytes
    kind: int
    flags: int
    address: int
    data: bytes
    size: int
    link: int
    info: int
    align: int
    entry: int


@slotted()
class Symbol:
    """One symbol. `section` is a number in `Elf.sections`, -1 where it is in none; `undefined` where the file only refers to it."""

    name: bytes
    value: int
    size: int
    kind: int
    binding: int
    visibility: int
    section: int
    undefined: bool
    index: int


@slotted()
class Segment:
    """What is loaded, or told to the loader."""

    kind: int
    flags: int
    address: int
    size: int


@slotted()
class Elf:
    """`kind`: 1 an object file, 2 an executable, 3 a shared library or a position independent executable."""

    kind: int
    machine: int
    bits: int
    order: str
    flags: int
    sections: Sequence[Section]
    segments: Sequence[Segment]

    def named(self, name: bytes) -> Section | None:
        return next((each for each in self.sections if each.name == name), None)

    def symbols(self, *, dynamic: bool = False) -> list[Symbol]:
        """Those of `.symtab`, or of `.dynsym`; none where there is no such table."""
        wanted = _DYNSYM if dynamic else _SYMTAB
        table = next((each for each in self.sections if each.kind == wanted), None)
        if table is None or not 0 <= table.link < len(self.sections):
            return []
        return _symbols(self, table, self.sections[table.link].data)


def read(data: bytes) -> Elf | None:
    """What `data` is; None for what is no whole ELF file."""
    if data[:4] != _MAGIC or len(data) < 52 or data[4] not in (1, 2) or data[5] not in (1, 2):
        return None
    bits, order = 32 * data[4], "<" if data[5] == 1 else ">"
    try:
        return _read(data, bits, order)
    except (struct.error, IndexError, OverflowError):
        return None


def _read(data: bytes, bits: int, order: str) -> Elf | None:
    head = struct.Struct(order + ("HHIQQQIHHHHHH" if bits == 64 else "HHIIIIIHHHHHH"))
    kind, machine, _, _, first, start, flags, _, segment_step, segments, step, count, names = head.unpack_from(data, 16)
    row = struct.Struct(order + ("IIQQQQIIQQ" if bits == 64 else "10I"))
    if start and step < row.size:
        return None
    if start and not count:  # more than a half word holds: the first section says how many
        count = row.unpack_from(data, start)[5]
    if start and names == 0xFFFF:
        names = row.unpack_from(data, start)[6]
    if start and (count > len(data) or start + step * count > len(data)):
        return None
    rows = [row.unpack_from(data, start + step * at) for at in range(count)] if start else []
    if sum([each[5] for each in rows if each[1] != _NOBITS]) > 2 * len(data):
        return None  # real ones do not overlap
    text = _bytes_of(data, rows[names]) if 0 <= names < len(rows) else b""
    strings = Strings(text, len(data))
    sections = [_section(data, each, strings) for each in rows]
    return Elf(kind, machine, bits, order, flags, sections, _segments(data, bits, order, first, segment_step, segments))


def _segments(data: bytes, bits: int, order: str, start: int, step: int, count: int) -> list[Segment]:
    row = struct.Struct(order + ("IIQQQQQQ" if bits == 64 else "8I"))
    found = []
    for at in range(count):
        values = row.unpack_from(data, start + at * step)
        if bits == 64:
            kind, flags, _, address, _, _, size, _ = values
        else:
            kind, _, address, _, _, size, flags, _ = values
        found.append(Segment(kind, flags, address, size))
    return found


def _bytes_of(data: bytes, row: tuple[int, ...]) -> bytes:
    return b"" if row[1] == _NOBITS else data[row[4] : row[4] + row[5]]


def _section(data: bytes, row: tuple[int, ...], strings: Strings) -> Section:
    name, kind, flags, address, _, size, link, info, align, entry = row
    return Section(strings.at(name), kind, flags, address, _bytes_of(data, row), size, link, info, align, entry)


class Strings:
    """A string table. What is read of it is bounded, for many names may be ends of one that is long."""

    def __init__(self, table: bytes, size: int) -> None:
        """`size`: bytes of the whole file."""
        self._table = table
        self._left = _MOST_NAMES * (size + _LONGEST_NAME)

    def at(self, place: int) -> bytes:
        """The string that begins there; empty for what has no end, or is more than can be."""
        end = self._table.find(b"\0", place, place + _LONGEST_NAME)
        if end < 0 or self._left <= 0:
            return b""
        self._left -= end - place
        return self._table[place:end]


def _symbols(elf: Elf, table: Section, names: bytes) -> list[Symbol]:
    strings = Strings(names, len(table.data) + len(names))
    row = struct.Struct(elf.order + ("IBBHQQ" if elf.bits == 64 else "IIIBBH"))
    found = []
    for at in range(len(table.data) // row.size):
        if elf.bits == 64:
            name, info, other, section, value, size = row.unpack_from(table.data, at * row.size)
        else:
            name, value, size, info, other, section = row.unpack_from(table.data, at * row.size)
        place = section if 0 < section < _RESERVED else -1
        found.append(
            Symbol(strings.at(name), value, size, info & 15, info >> 4, other & 3, place, section == 0, section)
        )
    return found
