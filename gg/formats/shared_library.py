"""The interface of a shared library: all that a linker takes from it when something is linked with it.

That is no more than: which symbols it defines and lacks, in which order, of which type, binding, visibility and version; of
data the size, the alignment, whether it can be written, and which names are one object (an executable may hold a copy of
it); its soname, the libraries that it needs and where these are searched; its flags, notes and warnings. Not: what its
functions do, how long they are and where they lie, what its data holds.

Found by reading GNU ld, gold, lld and mold, and held by `tests/formats/test_shared_library.py`, which links with each of them. mold
writes the length of a function into the program that calls it, so for mold it is a part of the interface.

What is in doubt is part of it. A file that is not understood has none: it is then compared by its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from blake3 import blake3

from gg.formats import sections
from gg.formats.sections import Elf, Section, Strings, Symbol

VERSION = b"1"

_SHARED = 3
_LOAD, _GNU_STACK, _GNU_RELRO = 1, 0x6474E551, 0x6474E552
_FUNCTIONS = (2, 10)  # STT_FUNC, STT_GNU_IFUNC
_VERSYM, _VERDEF, _VERNEED = 0x6FFFFFFF, 0x6FFFFFFD, 0x6FFFFFFE
_NOTE = 7
_MOST_SEGMENTS = 64
_SECTION_SYMBOL = 3
_NO_NAMES = Strings(b"", 0)

# Kinds of sections whose bytes no linker looks at in a shared library, or that are taken apart here: program bits, symbol and
# string tables, relocations, hashes, .dynamic, .bss, arrays of constructors, versions, groups, x86's unwind information.
_OPAQUE = frozenset(
    {0, 1, 2, 3, 4, 5, 6, 8, 9, 11, 14, 15, 16, 17, 18, 19, 0x6FFFFFF6, _VERSYM, _VERDEF, _VERNEED, 0x70000001}
)
_STRINGS = frozenset({1, 14, 15, 29, 0x6FFFFEFA, 0x6FFFFEFB, 0x6FFFFEFC, 0x7FFFFFFD, 0x7FFFFFFF})
# Tags that hold an address or a size within the library, or count relocations.
_PLACES = frozenset(
    {0, 2, 3, 4, 5, 6, 7, 8, 10, 12, 13, 17, 18, 23, 25, 26, 27, 28, 32, 33, 35, 36}
    | {0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFF9, 0x6FFFFFFA, 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF}
)


def interface(data: bytes, *, lengths: bool) -> bytes | None:
    """32 bytes that are equal for libraries of one interface; None for what is no shared library that is understood.

    `lengths`: those of functions count.
    """
    elf = sections.read(data)
    if elf is None or elf.kind != _SHARED:
        return None
    table = next((each for each in elf.sections if each.kind == 11), None)
    dynamic = next((each for each in elf.sections if each.kind == 6), None)
    if (
        table is None
        or dynamic is None
        or len(elf.segments) > _MOST_SEGMENTS
        or any(b"lto" in each.name or b"llvm" in each.name for each in elf.sections)
    ):
        return None
    try:
        parts = [VERSION, data[4:16], b"%d %d" % (elf.machine, elf.flags)]
        parts += _stack(elf)
        parts += _dynamic(elf, dynamic)
        parts += _versions(elf)
        parts += _symbols(elf, lengths)
        parts += _contents(elf)
    except (struct.error, IndexError):
        return None
    hashed = blake3()
    for part in parts:
        hashed.update(b"%d:" % len(part) + part)
    return hashed.digest()


def _stack(elf: Elf) -> Iterator[bytes]:
    for each in elf.segments:
        if each.kind == _GNU_STACK:
            yield b"stack %d" % each.flags


def _dynamic(elf: Elf, table: Section) -> Iterator[bytes]:
    row = struct.Struct(elf.order + ("qQ" if elf.bits == 64 else "iI"))
    names = _names(elf, table)
    for at in range(len(table.data) // row.size):
        tag, value = row.unpack_from(table.data, at * row.size)
        tag &= 0xFFFFFFFF
        if tag == 0:
            return
        if tag in _STRINGS:
            yield b"tag %d " % tag + _string(names, value)
        elif tag not in _PLACES:
            yield b"tag %d %d" % (tag, value)


def _versions(elf: Elf) -> Iterator[bytes]:
    for each in elf.sections:
        names = _names(elf, each) if each.kind in (_VERDEF, _VERNEED) else _NO_NAMES
        if each.kind == _VERSYM:
            yield b"versym " + each.data
        elif each.kind == _VERDEF:
            yield from _chain(
                each.data, elf.order, "HHHHIII", 6, lambda v: b"verdef %d %d" % (v[1], v[2]), (5, "II", 0, names)
            )
        elif each.kind == _VERNEED:
            yield from _chain(each.data, elf.order, "HHIII", 4, _file_of(names), (3, "IHHII", 3, names))


def _names(elf: Elf, section: Section) -> Strings:
    table = elf.sections[section.link].data
    return Strings(table, len(table) + len(section.data))


def _string(names: Strings, at: int) -> bytes:
    """A string that is there; IndexError where nothing can be read, for two libraries may differ in it."""
    found = names.at(at)
    if not found:
        raise IndexError
    return found


def _file_of(names: Strings) -> Callable[[tuple[int, ...]], bytes]:
    return lambda values: b"verneed " + _string(names, values[2])


def _chain(
    data: bytes,
    order: str,
    layout: str,
    following: int,
    head: Callable[[tuple[int, ...]], bytes],
    inner: tuple[int, str, int, Strings],
) -> Iterator[bytes]:
    """Records that each say where the next one is, and where those below begin, which are linked in the same way.

    `following`: the field with the distance to the next. `inner`: the field with the distance to the first below, its layout, which
    field is its name, and the names; its last field is the distance to the next.
    """
    outer, (first, inner_layout, name, names) = struct.Struct(order + layout), inner
    lower = struct.Struct(order + inner_layout)
    at, left = 0, len(data) // lower.size + 1
    while at < len(data):
        values = outer.unpack_from(data, at)
        yield head(values)
        below = at + values[first]
        while below < len(data):
            fields = lower.unpack_from(data, below)
            plain = b" ".join(b"%d" % field for place, field in enumerate(fields[:-1]) if place != name)
            yield b"version " + plain + b" " + _string(names, fields[name])
            left -= 1
            if left < 0:  # chains that share their ends
                raise IndexError
            if not fields[-1]:
                break
            below += fields[-1]
        if not values[following]:
            return
        at += values[following]


def _symbols(elf: Elf, lengths: bool) -> Iterator[bytes]:
    relro = [each for each in elf.segments if each.kind == _GNU_RELRO]
    loads = [each for each in elf.segments if each.kind == _LOAD]
    first: dict[tuple[int, int], int] = {}
    for number, symbol in enumerate(elf.symbols(dynamic=True)):
        if not symbol.name and number and symbol.kind != _SECTION_SYMBOL:
            raise IndexError
        yield b"symbol %d %d %d " % (symbol.kind, symbol.binding, symbol.visibility) + symbol.name
        if lengths or symbol.kind not in _FUNCTIONS:
            yield b"size %d" % symbol.size
        if symbol.undefined:
            yield b"undefined"
        elif symbol.section < 0:
            yield b"special %d %d" % (symbol.index, symbol.value)
        else:
            section = elf.sections[symbol.section]
            yield b"in %d %d %d " % (section.kind, section.flags, section.align) + section.name
            yield b"one with %d" % first.setdefault((symbol.section, symbol.value), number)
            if symbol.kind not in _FUNCTIONS:
                yield b"at %d of %d" % (symbol.value % max(section.align, 1), section.align)
                flags = [each.flags for each in loads if _holds(each.address, each.size, symbol)]
                kept = any(_holds(each.address, each.size, symbol) for each in relro)
                yield b"segment %s %d" % (b",".join(b"%d" % flag for flag in flags), kept)


def _holds(address: int, size: int, symbol: Symbol) -> bool:
    return address <= symbol.value < address + size


def _contents(elf: Elf) -> Iterator[bytes]:
    """Notes but for the build id, warnings, and sections of unknown kinds: as they are."""
    for each in elf.sections:
        told = each.kind not in _OPAQUE or each.name == b".interp" or each.name.startswith(b".gnu.warning")
        if told and not (each.kind == _NOTE and each.name == b".note.gnu.build-id"):
            yield b"section %d %d " % (each.kind, each.flags) + each.name
            yield each.data
