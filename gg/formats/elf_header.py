"""The header that every ELF file begins with (System V gABI, chapter 4): both classes, both byte orders."""

from __future__ import annotations

import struct

from gg.light.named import NamedTuple

MAGIC = b"\x7fELF"
ET_EXEC, ET_DYN = 2, 3
PT_INTERP = 3
MOST_SEGMENTS = 512  # a program header table of more entries is damage: real ones have about ten


class HeaderTable(NamedTuple):
    """Headers of segments or sections: where they begin, how long each is, and how many there are."""

    start: int
    step: int
    count: int  # type: ignore[assignment]  # hides the method of tuple, which nobody calls here


class ElfHeader(NamedTuple):
    """The ELF header. `kind` is e_type, `machine` e_machine, `bits` 32 or 64, `names` the section of sections' names."""

    kind: int
    machine: int
    bits: int
    little_endian: bool
    segments: HeaderTable
    sections: HeaderTable
    names: int

    @property
    def order(self) -> str:
        """As `struct` writes it."""
        return "<" if self.little_endian else ">"


def read_header(data: bytes) -> ElfHeader | None:
    """The header that a file begins with, of which `data` are the first bytes, 64 or more; None for what is no ELF file."""
    if len(data) < 52 or data[:4] != MAGIC or data[4] not in (1, 2) or data[5] not in (1, 2):
        return None
    wide, little = data[4] == 2, data[5] == 1
    layout = ("<" if little else ">") + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH")
    if len(data) < 16 + struct.calcsize(layout):
        return None
    kind, machine, _, _, first, other, _, _, step, count, other_step, other_count, names = struct.unpack_from(
        layout, data, 16
    )
    segments, sections = HeaderTable(first, step, count), HeaderTable(other, other_step, other_count)
    return ElfHeader(kind, machine, 64 if wide else 32, little, segments, sections, names)


def is_linked(head: bytes) -> bool:
    """Whether a file that begins with `head` is an executable or a shared library."""
    header = read_header(head)
    return header is not None and header.kind in (ET_EXEC, ET_DYN)


def has_interpreter(head: bytes) -> bool:
    """Whether a program asks for a loader, as far as its first bytes, `head`, tell."""
    header = read_header(head)
    if header is None:
        return False
    table = header.segments
    kinds = (table.start + table.step * index for index in range(min(table.count, MOST_SEGMENTS)))
    return any(head[at : at + 4] == struct.pack(header.order + "I", PT_INTERP) for at in kinds)
