"""How two files differ, in words that lead to the cause: section, symbol, string, member of an archive, line."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from gg.formats import archive, sections
from gg.formats.sections import Elf, Section, Symbol
from gg.light.slotted import slotted

_MOST = 12  # differences that are told of one file
_SHOWN = 60  # characters of a string
_TEXT = re.compile(rb"[\t -~]")
_PRINTABLE = frozenset(range(0x20, 0x7F)) | {9}
_SHORTEST = 4  # printable bytes in a row that are a string
_DERIVED = (b".note.gnu.build-id", b".gnu_debuglink", b".shstrtab", b".strtab", b".symtab", b".dynstr", b".dynsym")
_INDEXES = (b"/", b"/SYM64/", b"__.SYMDEF")  # members of an archive that say where the others are
_FUNCTION, _OBJECT = 2, 1
_LOADED = 2  # the flag of a section that is part of the running program


@slotted()
class Difference:
    """One difference. `where`: "section .rodata, symbol stamp"; `what`: what is there in the one and in the other.

    `follows`: it says nothing of the cause, for it follows from others (a build id, a symbol's place).
    """

    where: str
    what: str
    follows: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


def differences(one: bytes, other: bytes) -> list[Difference]:
    """What differs between two files, causes first; empty for equal ones. Not more than a dozen."""
    if one == other:
        return []
    found = list(_by_format(one, other)) or [_bytes(one, other)]
    found.sort(key=lambda each: each.follows)
    if len(found) > _MOST:
        found = [*found[:_MOST], Difference("", f"and {len(found) - _MOST} more places", follows=True)]
    return found


def _by_format(one: bytes, other: bytes) -> Iterator[Difference]:
    first, second = sections.read(one), sections.read(other)
    if first and second:
        yield from _elf(first, second)
        return
    members, others = archive.members(one), archive.members(other)
    if members is not None and others is not None:
        yield from _archives(members, others)
    elif _is_text(one) and _is_text(other):
        yield from _lines(one, other)


# ELF


def _elf(one: Elf, other: Elf) -> Iterator[Difference]:
    ours, theirs = _by_name(one.sections), _by_name(other.sections)
    for name in dict.fromkeys((*ours, *theirs)):
        where = f"section {_shown(name[0])}"
        if name not in theirs or name not in ours:
            yield Difference(where, f"only in the {'first' if name in ours else 'second'}", _derived(name[0]))
        elif one.sections[ours[name]].data != other.sections[theirs[name]].data:
            yield _section(where, one, ours[name], other, theirs[name])
        elif one.sections[ours[name]].size != other.sections[theirs[name]].size:
            sizes = f"{one.sections[ours[name]].size} and {other.sections[theirs[name]].size} bytes"
            yield Difference(where, sizes)
    yield from _names(one, other)


def _by_name(found: Sequence[Section]) -> dict[tuple[bytes, int], int]:
    """Numbers of sections by name; of several with one name the first is 0, the next 1."""
    numbers: dict[tuple[bytes, int], int] = {}
    seen: dict[bytes, int] = {}
    for at, each in enumerate(found):
        if at:
            numbers[each.name, seen.setdefault(each.name, 0)] = at
            seen[each.name] += 1
    return numbers


def _derived(name: bytes) -> bool:
    return name in _DERIVED or name.startswith((b".rel", b".debug_line", b".eh_frame", b".gnu.hash", b".hash"))


def _section(where: str, one: Elf, ours: int, other: Elf, theirs: int) -> Difference:
    """Sections of the same name that have other bytes."""
    first, second = one.sections[ours], other.sections[theirs]
    if first.name == b".note.gnu.build-id":
        return Difference(where, "the build id, which is a digest of the rest", follows=True)
    resized = _first_resized(one, ours, other, theirs)
    if resized is not None and None in resized:
        symbol = resized[0] or resized[1]
        only = "first" if resized[0] else "second"
        return Difference(f"{where}, symbol {_shown(symbol.name) if symbol else ''}", f"only in the {only}")
    pieces, start = (first.data, second.data), 0
    sizes = first.size, second.size
    if resized is not None and resized[0] and resized[1]:
        where += f", symbol {_shown(resized[0].name)}"
        places = _place(one, ours, resized[0]), _place(other, theirs, resized[1])
        sizes = resized[0].size, resized[1].size
        pieces = first.data[places[0] :][: sizes[0]], second.data[places[1] :][: sizes[1]]
        start = places[0]
    elif symbol := _symbol_at(one, ours, _first(*pieces)) or _symbol_at(other, theirs, _first(*pieces)):
        where += f", symbol {_shown(symbol.name)}"
    return Difference(where, _pieces(*pieces, sizes, start), _derived(first.name))


def _pieces(one: bytes, other: bytes, sizes: tuple[int, int], start: int) -> str:
    """How two pieces of sections differ; `start`: where in its section the first one is."""
    at = _first(one, other)
    text = _string_at(one, at), _string_at(other, at)
    if text[0] and text[1]:
        return f"string {_quoted(text[0])}, {_quoted(text[1])}"
    if sizes[0] != sizes[1]:
        return f"{sizes[0]} and {sizes[1]} bytes, from byte {start + at:#x} on"
    return f"from byte {start + at:#x} on {one[at : at + 8].hex(' ')}, {other[at : at + 8].hex(' ')}"


def _first_resized(one: Elf, ours: int, other: Elf, theirs: int) -> tuple[Symbol | None, Symbol | None] | None:
    """The first function or object of a section that has another size in the other file, or is in one alone.

    What comes after it has moved, and what calls that has other bytes too, which may come before: it is not the cause.
    """
    if not one.sections[ours].flags & _LOADED:
        return None
    lists = _in_order(one, ours), _in_order(other, theirs)
    for first, second in itertools.zip_longest(*lists):
        if first is None or second is None:
            return first, second
        if first.name != second.name:
            names = [{each.name for each in symbols} for symbols in lists]
            if first.name not in names[1]:
                return first, None
            return (None, second) if second.name not in names[0] else None
        if first.size != second.size:
            return first, second
    return None


def _in_order(elf: Elf, section: int) -> list[Symbol]:
    """A section's functions and objects that have a size, as they lie in it."""
    symbols = elf.symbols() or elf.symbols(dynamic=True)
    found = [s for s in symbols if s.section == section and s.name and s.size and s.kind in (_OBJECT, _FUNCTION)]
    return sorted(found, key=lambda each: (each.value, each.name))


def _place(elf: Elf, section: int, symbol: Symbol) -> int:
    """Where in its section a symbol begins."""
    return symbol.value - (0 if elf.kind == sections.RELOCATABLE else elf.sections[section].address)


def _symbol_at(elf: Elf, section: int, at: int) -> Symbol | None:
    """The function or object that holds the byte, else one that begins at the last place before it."""
    named = [
        each
        for each in (*elf.symbols(), *elf.symbols(dynamic=True))
        if each.section == section and each.name and each.kind in (0, _OBJECT, _FUNCTION)
    ]
    named = [each for each in named if _place(elf, section, each) <= at]
    inside = [each for each in named if at < _place(elf, section, each) + each.size]
    return max(inside or [each for each in named if not each.size], key=lambda each: each.value, default=None)


def _names(one: Elf, other: Elf) -> Iterator[Difference]:
    ours, theirs = ({each.name for each in elf.symbols() if each.name} for elf in (one, other))
    for names, which in ((ours - theirs, "first"), (theirs - ours, "second")):
        if names:
            shown = ", ".join(_shown(name) for name in sorted(names)[:3]) + (", …" if len(names) > 3 else "")
            yield Difference("symbols", f"only in the {which}: {shown}")


# Others


def _archives(one: list[archive.ArchiveMember], other: list[archive.ArchiveMember]) -> Iterator[Difference]:
    names = [each.name for each in one], [each.name for each in other]
    if names[0] != names[1]:
        only = sorted(set(names[0]) ^ set(names[1]))
        yield Difference("members", ", ".join(map(_shown, only)) + " in one alone" if only else "in another order")
    for first, second in zip(one, other, strict=False):
        if first.name != second.name:
            continue
        where = f"member {_shown(first.name)}"
        if first.header != second.header:
            yield Difference(where, f"time, owner or mode: {_shown(first.header)}, {_shown(second.header)}")
        index = first.name in _INDEXES
        for each in differences(first.data, second.data):
            yield Difference(f"{where}, {each.where}" if each.where else where, each.what, each.follows or index)


def _is_text(data: bytes) -> bool:
    head = data[:4096]
    return b"\0" not in head and (not head or len(_TEXT.findall(head)) + head.count(b"\n") >= len(head) * 3 // 4)


def _lines(one: bytes, other: bytes) -> Iterator[Difference]:
    ours, theirs = one.split(b"\n"), other.split(b"\n")
    for number, (first, second) in enumerate(zip(ours, theirs, strict=False), 1):
        if first != second:
            yield Difference(f"line {number}", f"{_quoted(first)}, {_quoted(second)}")
            break
    else:
        yield Difference("", f"{len(ours)} and {len(theirs)} lines, those of the shorter are equal")
    if sorted(ours) == sorted(theirs):
        yield Difference("", "the same lines in another order")


def _bytes(one: bytes, other: bytes) -> Difference:
    at = _first(one, other)
    if len(one) != len(other):
        return Difference("", f"{len(one)} and {len(other)} bytes, from byte {at:#x} on")
    return Difference("", f"from byte {at:#x} on {one[at : at + 8].hex(' ')}, {other[at : at + 8].hex(' ')}")


def _first(one: bytes, other: bytes) -> int:
    """Where they begin to differ; the shorter one's length where it is the other's beginning."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low


def _string_at(data: bytes, at: int) -> bytes:
    """The printable bytes around a place; empty for fewer than make a string."""
    if at >= len(data):
        return b""
    low = high = at
    while low > 0 and at - low < 4 * _SHOWN and data[low - 1] in _PRINTABLE:
        low -= 1
    while high < len(data) and high - at < 4 * _SHOWN and data[high] in _PRINTABLE:
        high += 1
    return data[low:high] if high - low >= _SHORTEST else b""


def _quoted(text: bytes) -> str:
    shown = _shown(text)
    return f'"{shown[:_SHOWN]}{"…" if len(shown) > _SHOWN else ""}"'


def _shown(text: bytes) -> str:
    """For a terminal: nothing in it that a terminal would obey."""
    return text.decode("utf-8", "replace").encode("unicode_escape").decode() if not text.isascii() else _plain(text)


def _plain(text: bytes) -> str:
    return "".join(chr(each) if 0x20 <= each < 0x7F else f"\\x{each:02x}" for each in text)
