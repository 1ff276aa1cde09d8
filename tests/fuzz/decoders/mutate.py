"""Changes values, not bytes: what a format wraps (zstd, msgpack, JSON, base64) is opened, changed within, and wrapped again.

A changed byte of a compressed or canonical encoding is refused at its first check, so that mutations by bytes hardly reach what is
behind it: a number that is too large, a list that is too long, a path that is not clean.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from random import Random

import zstandard
from msgpack import packb, unpackb

Bytes = Callable[[bytes], bytes]
Wrap = Callable[[object], bytes]

_MOST = 1 << 20  # bytes that a frame may say it holds
_DEEPEST = 5  # wrappings within each other
_HEAD = 16  # bytes that may stand before a value: a magic, a kind, a length
_ZSTD = b"\x28\xb5\x2f\xfd"
_NUMBERS = (0, 1, -1, 127, 255, 256, 65_535, 1 << 31, (1 << 32) - 1, 1 << 53, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
_OTHERS: tuple[object, ...] = (
    None,
    True,
    1.5,
    float("nan"),
    float("inf"),
    -0.0,
    "",
    b"",
    [],
    {},
    "\0",
    b"/..",
    "\N{RIGHT-TO-LEFT OVERRIDE}",
    b"\xff",
)
_DIGITS = re.compile(rb"[0-9]++")


class Mutator:
    """`change(data)` is `data` with one value in it changed. `by_bytes`: changes what has no structure."""

    def __init__(self, random: Random, by_bytes: Bytes) -> None:
        self._random = random
        self._by_bytes = by_bytes

    def change(self, data: bytes, depth: int = 0) -> bytes:
        ways = list(_opened(data)) if depth < _DEEPEST else []
        if not ways or self._random.random() < 0.1:
            return self._text(data)
        value, wrap = self._random.choice(ways)
        try:
            return wrap(self._value(value, depth + 1))
        except (OverflowError, ValueError, TypeError, RecursionError):
            return self._text(data)

    def _value(self, value: object, depth: int) -> object:
        """`value` with one thing changed, somewhere in it."""
        if isinstance(value, list | dict) and value and self._random.random() < 0.8:
            return self._within(value, depth)
        if self._random.random() < 0.1:
            return self._random.choice(_OTHERS)
        match value:
            case list():
                return self._list(value)
            case dict():
                return {**value, self._random.choice(("", b"", 5, *value)): self._random.choice(_OTHERS)}
            case bytes():
                return self.change(value, depth)
            case str():
                return self._string(value, depth)
            case float() | int():
                return self._number(value)
        return self._random.choice(_OTHERS)

    def _within(self, value: list[object] | dict[object, object], depth: int) -> object:
        if isinstance(value, list):
            n = self._random.randrange(len(value))
            return [*value[:n], self._value(value[n], depth), *value[n + 1 :]]
        key = self._random.choice(list(value))
        if self._random.random() < 0.1:
            return {each: value[each] for each in value if each != key}
        return {**value, key: self._value(value[key], depth)}

    def _list(self, value: list[object]) -> list[object]:
        n = self._random.randrange(len(value) + 1)
        more = value[n:] or [self._random.choice(_OTHERS)]
        match self._random.randrange(5):
            case 0:
                return value[:n] + value[n + 1 :]
            case 1:
                return value[:n] + [more[0]] * self._random.choice((2, 3, 300)) + value[n + 1 :]
            case 2:
                return value[::-1]
            case 3:
                return [*value[:n], self._random.choice(value or more), *value[n:]]
        return [*value[:n], self._random.choice(_OTHERS), *value[n:]]

    def _number(self, value: float) -> object:
        match self._random.randrange(4):
            case 0:
                return value + self._random.choice((1, -1))
            case 1:
                return -value
            case 2:
                return value * 2
        return self._random.choice(_NUMBERS)

    def _string(self, text: str, depth: int) -> str:
        return self.change(text.encode("utf-8", "surrogatepass"), depth).decode("utf-8", "replace")

    def _text(self, data: bytes) -> bytes:
        """Changed by its lines, fields and numbers, or byte by byte."""
        ends = [end for end in (b"\n", b"\0", b" ") if end in data]
        match self._random.randrange(6):
            case 0 if ends:
                end = self._random.choice(ends)
                return end.join(self._lines(data.split(end)))
            case 1:
                found = list(_DIGITS.finditer(data))
                if found:
                    at = self._random.choice(found)
                    number = self._random.choice((*_NUMBERS, 10**30, 10**400))
                    return data[: at.start()] + b"%d" % number + data[at.end() :]
        return self._by_bytes(data)

    def _lines(self, lines: list[bytes]) -> list[bytes]:
        n = self._random.randrange(len(lines))
        other = self._random.choice(lines)
        match self._random.randrange(4):
            case 0:
                return lines[:n] + lines[n + 1 :]
            case 1:
                return [*lines[:n], other, *lines[n:]]
            case 2:
                return lines[:n] + [lines[n]] * 50 + lines[n:]
        return [*lines[:n], self._by_bytes(lines[n] or b"x"), *lines[n + 1 :]]


def _opened(data: bytes) -> Iterator[tuple[object, Wrap]]:
    """What `data` may hold, each with what wraps it again. Bytes in front stay."""
    at = data.find(_ZSTD, 0, _HEAD + len(_ZSTD))
    if at >= 0:
        yield from _unpacked(data, at)
    if data[:1] in (b"[", b"{", b'"'):
        try:
            yield json.loads(data), lambda value: json.dumps(value).encode()
        except (ValueError, RecursionError):
            pass
    for at in range(min(_HEAD, len(data))):
        if data[at] in _ARRAYS:
            yield from _array(data, at)
    if len(data) >= 8 and len(data) % 4 == 0:
        try:
            yield base64.b64decode(data, validate=True), lambda value: base64.b64encode(_octets(value))
        except binascii.Error:
            pass


_ARRAYS = frozenset((*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF))  # how a list and a map begin in msgpack


def _unpacked(data: bytes, at: int) -> Iterator[tuple[object, Wrap]]:
    try:
        if 0 <= zstandard.frame_content_size(data[at:]) <= _MOST:
            inner = zstandard.ZstdDecompressor().decompress(data[at:])
            yield inner, lambda value: data[:at] + zstandard.compress(_octets(value))
    except zstandard.ZstdError:
        pass


def _array(data: bytes, at: int) -> Iterator[tuple[object, Wrap]]:
    try:
        value = unpackb(data[at:], strict_map_key=False, unicode_errors="surrogateescape")
        yield value, lambda value: data[:at] + bytes(packb(value, unicode_errors="surrogateescape"))
    except (ValueError, TypeError, RecursionError):  # a key that is a list
        pass


def _octets(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError
    return value
