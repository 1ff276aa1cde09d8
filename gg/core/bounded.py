"""msgpack from somebody else, read value by value: nothing is made that the reader has not asked for.

`msgpack.unpackb` makes all that the bytes describe before anyone can look: a list of a million empty lists takes 1 MB on
the wire and 60 MB here. A `Reader` is asked for one value at a time, each of a type and below a limit, so what it makes is
never larger than a small multiple of the bytes that it was given. FormatError for all else.
"""

from __future__ import annotations

from msgpack import OutOfData, Unpacker

from gg.core.ids import DIGEST_SIZE
from gg.errors import FormatError

MOST_NUMBER = (1 << 53) - 1  # what every database and every language here can hold


class Reader:
    """Reads `data`; `what` names it in errors, as in "an entry of the store's log"."""

    def __init__(self, data: bytes, what: str) -> None:
        self._what = what
        self._unpacker = Unpacker(max_buffer_size=max(len(data), 1), max_array_len=0, max_map_len=0, max_ext_len=0)
        self._unpacker.feed(data)
        self._size = len(data)

    def array(self, least: int, most: int) -> int:
        """Begin an array of `least` to `most` values; how many it has."""
        try:
            count: int = self._unpacker.read_array_header()
        except (OutOfData, ValueError) as error:
            raise self.damaged() from error
        if not least <= count <= most:
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

    def end(self) -> None:
        """There must be nothing more."""
        if self._unpacker.tell() != self._size:
            raise self.damaged()

    def damaged(self) -> FormatError:
        return FormatError(f"{self._what} is damaged")

    def _value(self) -> object:
        try:
            return self._unpacker.unpack()
        except (OutOfData, ValueError, RecursionError) as error:
            raise self.damaged() from error
