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
class Elf:
    """`kind`: 1 an object file, 2 an executable, 3 a shared library or a position independent executable."""

    kind: int
    machine: int
    bits: int
    order: str
    flags: int
    sections: Sequence[Section]

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
    kind, machine, _, _, _, start, flags, _, _, _, step, count, names = head.unpack_from(data, 16)
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
    sections = [_section(data, each, text) for each in rows]
    return Elf(kind, machine, bits, order, flags, sections)


def _bytes_of(data: bytes, row: tuple[int, ...]) -> bytes:
    return b"" if row[1] == _NOBITS else data[row[4] : row[4] + row[5]]


def _section(data: bytes, row: tuple[int, ...], names: bytes) -> Section:
    name, kind, flags, address, _, size, link, info, _, entry = row
    return Section(string(names, name), kind, flags, address, _bytes_of(data, row), size, link, info, entry)


def string(table: bytes, at: int) -> bytes:
    """The string that begins there in a string table; empty for what has no end within its bounds."""
    end = table.find(b"\0", at, at + _LONGEST_NAME)
    return table[at:end] if 0 <= at < len(table) and end >= 0 else b""


def _symbols(elf: Elf, table: Section, names: bytes) -> list[Symbol]:
    row = struct.Struct(elf.order + ("IBBHQQ" if elf.bits == 64 else "IIIBBH"))
    found = []
    for at in range(len(table.data) // row.size):
        if elf.bits == 64:
            name, info, other, section, value, size = row.unpack_from(table.data, at * row.size)
        else:
            name, value, size, info, other, section = row.unpack_from(table.data, at * row.size)
        place = section if 0 < section < _RESERVED else -1
        found.append(
            Symbol(string(names, name), value, size, info & 15, info >> 4, other & 3, place, section == 0, section)
        )
    return found
