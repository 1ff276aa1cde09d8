"""Archives as `ar` writes them: their members, with names and headers. Thin ones, too, whose members are elsewhere.

Magic "!<arch>\\n" or "!<thin>\\n", then 60-byte headers, each followed by its member's bytes and one byte of padding to an
even place; in a thin archive only `/`, `/SYM64/` and `//`, the table of long names, are followed by data (binutils'
`bfd/archive.c`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gg.light.named import NamedTuple
from gg.light.slotted import slotted

ARCH, THIN = b"!<arch>\n", b"!<thin>\n"
_HEAD = 60
_END = b"`\n"
_SPECIAL = (b"/", b"//", b"/SYM64/", b"__.SYMDEF")
_LONGEST_NAME = 4096

ReadAt = Callable[[int, int], bytes]
"""`(offset, size)`: the bytes there, fewer at the end."""


class MemberPlace(NamedTuple):
    """One member: the name's field, its header from time to mode, where its bytes are, and how many; none in a thin archive."""

    field: bytes
    header: bytes
    start: int
    size: int

    @property
    def time(self) -> bytes:
        return self.header[:12].rstrip()


@slotted()
class ArchiveMember:
    """`header`: what it says of time, owner and mode. The table of symbols is a member called "/"."""

    name: bytes
    header: bytes
    data: bytes


class BadArchive(ValueError):
    """A header that is none, or a member that is not whole."""


def places(read: ReadAt, length: int) -> Iterator[MemberPlace]:
    """The members of an archive of `length` bytes, one after the other; BadArchive where one is not whole."""
    magic = read(0, len(ARCH))
    if magic not in (ARCH, THIN):
        raise BadArchive("no archive")
    at = len(ARCH)
    while at < length:
        head = read(at, _HEAD)
        size = _number(head[48:58])
        if len(head) < _HEAD or head[58:60] != _END or size is None:
            raise BadArchive(f"no header at {at}")
        field = head[:16].rstrip()
        here = magic == ARCH or field in _SPECIAL
        at += _HEAD
        if here and at + size > length:
            raise BadArchive(f"the member at {at} is cut short")
        yield MemberPlace(field, head[16:48].rstrip(), at, size if here else 0)
        at += size + (size & 1) if here else 0


def members(data: bytes) -> list[ArchiveMember] | None:
    """The members in order; None for what is no whole archive."""
    try:
        return [ArchiveMember(name, place.header, _bytes_of(data, place)) for name, place in _named(data)]
    except BadArchive:
        return None


def names(data: bytes) -> list[bytes]:
    """The members' full names, without what the archive has for itself; BadArchive."""
    return [name for name, place in _named(data) if place.field not in _SPECIAL]


def _named(data: bytes) -> Iterator[tuple[bytes, MemberPlace]]:
    table = b""
    known: dict[bytes, bytes] = {}
    for place in places(lambda at, size: data[at : at + size], len(data)):
        field = place.field
        if field == b"//":
            table = _bytes_of(data, place)
        if field not in known:
            known[field] = _long_name(table, field) if field[:1] == b"/" and field[1:2].isdigit() else _short(field)
        yield known[field], place


def _bytes_of(data: bytes, place: MemberPlace) -> bytes:
    return data[place.start : place.start + place.size]


def _short(field: bytes) -> bytes:
    return field if field in _SPECIAL else field.removesuffix(b"/")


def _long_name(table: bytes, field: bytes) -> bytes:
    """`/N`, or `/N:M` of a member of an archive within a thin one: the line of the table that begins at N."""
    at = _number(field[1:].partition(b":")[0])
    end = -1 if at is None else table.find(b"\n", at, at + _LONGEST_NAME)
    if at is None or end < 0 or (at and table[at - 1 : at] != b"\n"):
        raise BadArchive(f"{field!r} is no name")
    return table[at:end].removesuffix(b"/")


def _number(field: bytes) -> int | None:
    digits = field.rstrip(b" ")
    return int(digits) if digits.isdigit() else None
