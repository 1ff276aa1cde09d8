"""msgpack from somebody else, read value by value: nothing is made that the reader has not asked for.

`msgpack.unpackb` makes all that the bytes describe before anyone can look: a list of a million empty lists takes 1 MB on
the wire and 60 MB here. A `BoundedReader` is asked for one value at a time, each of a type and below a limit, so what it makes is
never larger than a small multiple of the bytes that it was given. FormatError for all else.
"""

from __future__ import annotations

from msgpack import OutOfData, Unpacker, unpackb

from gg.core.ids import DIGEST_SIZE
from gg.errors import FormatError

MOST_NUMBER = (1 << 53) - 1  # what every database and every language here can hold
_SMALL = 4096  # bytes: whatever so few describe, the unpacker makes no more than 33 MB of them
_DEEP = 8  # lists within lists
_LISTS = frozenset(bytes([first]) for first in (*range(0x90, 0xA0), 0xDC, 0xDD))  # how msgpack begins them


def unpacked(data: bytes, what: str, most: int) -> list[object]:
    """The list that `data` is, lists within it included; FormatError for anything else, for maps, and for more than `most`
    values in all. What has many numbers gives `most` by what must stand beside each of them.
    """
    if len(data) > _SMALL:
        reader = BoundedReader(data, what)
        value = reader.tree(most)
        reader.end()
    else:
        try:
            value = unpackb(data, max_map_len=0, max_ext_len=0)
        except (ValueError, RecursionError) as error:
            raise damaged(what) from error
    if type(value) is not list:
        raise damaged(what)
    return value


def is_whole(data: bytes) -> bool:
    """Whether `data` is one value and nothing more; none is made."""
    unpacker = Unpacker(max_buffer_size=max(len(data), 1))
    unpacker.feed(data)
    try:
        unpacker.skip()
    except (OutOfData, ValueError):
        return False
    return bool(unpacker.tell() == len(data))


def damaged(what: str) -> FormatError:
    return FormatError(f"a {what} is damaged", hint="it was cut short or changed, or something else wrote it")


class BoundedReader:
    """Reads `data`; `what` names it in errors, as in "an entry of the store's log"."""

    def __init__(self, data: bytes, what: str) -> None:
        self._what = what
        self._unpacker = Unpacker(max_buffer_size=max(len(data), 1), max_array_len=0, max_map_len=0, max_ext_len=0)
        self._unpacker.feed(data)
        self._data = data
        self._left = 0

    def array(self, least: int, most: int) -> int:
        """Begin an array of `least` to `most` values; how many it has."""
        try:
            count: int = self._unpacker.read_array_header()
        except (OutOfData, ValueError) as error:
            raise self.damaged() from error
        if not least <= count <= most:
            raise self.damaged()
        return count

    def map(self, most: int) -> int:
        """Begin a map of at most `most` pairs; how many it has."""
        try:
            count: int = self._unpacker.read_map_header()
        except (OutOfData, ValueError) as error:
            raise self.damaged() from error
        if count > most:
            raise self.damaged()
        return count

    def number(self, most: int = MOST_NUMBER) -> int:
        """A whole number from 0 to `most`."""
        value = self._value()
        if type(value) is not int or not 0 <= value <= most:
            raise self.damaged()
        return value

    def numbers(self, least: int, most: int) -> list[int]:
        """An array of so many whole numbers."""
        return [self.number() for _ in range(self.array(least, most))]

    def octets(self, size: int | None = None) -> bytes:
        """Bytes, of just that size if one is given."""
        value = self._value()
        if type(value) is not bytes or (size is not None and len(value) != size):
            raise self.damaged()
        return value

    def octets_or_none(self) -> bytes | None:
        value = self._value()
        if value is not None and type(value) is not bytes:
            raise self.damaged()
        return value

    def digest(self) -> bytes:
        return self.octets(DIGEST_SIZE)

    def text(self, most: int) -> str:
        """A string of at most so many characters."""
        value = self._value()
        if type(value) is not str or len(value) > most:
            raise self.damaged()
        return value

    def tree(self, most: int) -> object:
        """Any value, or a list of values and lists, with at most `most` values in it."""
        self._left = most
        return self._branch(_DEEP)

    def _branch(self, deep: int) -> object:
        at = self._unpacker.tell()
        if self._data[at : at + 1] not in _LISTS:
            return self._value()
        count = self.array(0, self._left if deep else -1)
        self._left -= count
        return [self._branch(deep - 1) for _ in range(count)]

    def end(self) -> None:
        """There must be nothing more."""
        if self._unpacker.tell() != len(self._data):
            raise self.damaged()

    def damaged(self) -> FormatError:
        return FormatError(f"{self._what} is damaged")

    def _value(self) -> object:
        try:
            return self._unpacker.unpack()
        except (OutOfData, ValueError, RecursionError) as error:
            raise self.damaged() from error
