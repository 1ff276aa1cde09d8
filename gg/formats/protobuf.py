"""Protocol Buffers' wire format, for the few messages that gg has tables of: <https://protobuf.dev/programming-guides/encoding/>.

A message is a named tuple whose class has a table, a `Field` for each of its fields in their order. What a table does not name is
passed over. Values that are zero or empty are left out, and fields go by their number, so equal messages have equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from gg.errors import FormatError
from gg.light.named import NamedTuple

T = TypeVar("T")

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_VARINT = 10  # bytes
_MOST_DEPTH = 32
_MOST_VALUES = 200_000  # of one message: each may be two bytes there, and a hundred here


class Field(NamedTuple):
    """`kind`: `int` (also for bool and enums), `str`, `bytes`, or the class of a message. `many`: it is repeated."""

    number: int
    kind: type
    many: bool = False


Tables = Mapping[type, tuple[Field, ...]]


def encode(message: Any, tables: Tables) -> bytes:
    """The bytes of a message. UnicodeEncodeError for text that is none."""
    parts: list[bytes] = []
    for field, value in sorted(zip(tables[type(message)], message, strict=True), key=lambda pair: pair[0].number):
        for each in value if field.many else (value,):
            if each is None or (not field.many and not each and field.kind in (int, str, bytes)):
                continue
            if field.kind is int:
                parts += (_varint(field.number << 3 | _VARINT), _varint(int(each)))
                continue
            if field.kind is str:
                data = each.encode()
            elif field.kind is bytes:
                data = each
            else:
                data = encode(each, tables)
            parts += (_varint(field.number << 3 | _BYTES), _varint(len(data)), data)
    return b"".join(parts)


def decode(kind: type[T], data: bytes, tables: Tables) -> T:
    """The message of this class in `data`; FormatError for what is none."""
    return _decode(kind, data, tables, 0, iter(range(_MOST_VALUES)))


def _decode(kind: type[T], data: bytes, tables: Tables, depth: int, room: Iterator[int]) -> T:
    """`room` has an item for each value that may still come."""
    if depth > _MOST_DEPTH:
        raise FormatError("a protobuf message is nested too deep")
    table = tables[kind]
    places = {field.number: index for index, field in enumerate(table)}
    values: list[Any] = [[] if field.many else _EMPTY.get(field.kind) for field in table]
    at = 0
    while at < len(data):
        _take(room)
        tag, at = _read_varint(data, at)
        value, at = _read_value(data, at, tag & 7)
        place = places.get(tag >> 3)
        if place is None:
            continue
        field = table[place]
        if field.many and field.kind is int and isinstance(value, bytes):  # packed
            inner = 0
            while inner < len(value):
                _take(room)
                number, inner = _read_varint(value, inner)
                values[place].append(number)
            continue
        made = _made(field, value, tables, depth, room)
        if field.many:
            values[place].append(made)
        else:
            values[place] = made
    made_all: T = kind._make([tuple(v) if f.many else v for f, v in zip(table, values, strict=True)])  # type: ignore[attr-defined]
    return made_all


_EMPTY: Mapping[type, object] = {int: 0, str: "", bytes: b""}


def _take(room: Iterator[int]) -> None:
    if next(room, None) is None:
        raise FormatError("a protobuf message has too many values")


def _made(field: Field, value: int | bytes, tables: Tables, depth: int, room: Iterator[int]) -> object:
    if isinstance(value, int):
        if field.kind is not int:
            raise FormatError("a protobuf field has another type than it should")
        return value
    if field.kind is bytes:
        return value
    if field.kind is str:
        return value.decode(errors="replace")
    if field.kind is int:
        raise FormatError("a protobuf field has another type than it should")
    return _decode(field.kind, value, tables, depth + 1, room)


def _read_value(data: bytes, at: int, wire: int) -> tuple[int | bytes, int]:
    if wire == _VARINT:
        return _read_varint(data, at)
    if wire == _BYTES:
        size, at = _read_varint(data, at)
    elif wire in (_FIXED64, _FIXED32):
        size = 8 if wire == _FIXED64 else 4
    else:
        raise FormatError("a protobuf message is damaged")
    if not 0 <= size <= len(data) - at:
        raise FormatError("a protobuf message is cut short")
    return data[at : at + size], at + size


def _varint(value: int) -> bytes:
    if 0 <= value < 0x80:
        return bytes((value,))
    value &= (1 << 64) - 1
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, as a signed one of 64 bits, and where it ends."""
    value = 0
    for index, byte in enumerate(data[at : at + _MOST_VARINT]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            value &= (1 << 64) - 1
            return value - (1 << 64) if value >> 63 else value, at + index + 1
    raise FormatError("a protobuf message is damaged")
