"""The small file that stands for an output not made yet.

Always 256 bytes, so that a size tells most files apart without reading them. The C programs read the same layout
(`toolchain-wrappers/common/placeholder.h`):

  0     `#!` and a program that forces this file and executes it again, when the kernel is asked to run it; newline; where
        there is room, what a person who opens the file is told; spaces and a newline
  160   `gg-placeholder 1 `, the thunk's id in 64 hexadecimal digits, a space, the output's index in 5 digits, newline
  248   seven spaces and a newline
"""

from __future__ import annotations

from gg.core.ids import ThunkId
from gg.light.named import NamedTuple

SIZE = 256
_MAGIC_AT = 160
_MAGIC = b"gg-placeholder 1 "
_INDEX_AT = _MAGIC_AT + len(_MAGIC) + 65
_HEX = b"0123456789abcdef"
_FLAG = b" --gg-placeholder\n"
_TOLD = b"gg placeholder: run gg-force"


class Placeholder(NamedTuple):
    """A thunk and the index of one of its outputs."""

    thunk: ThunkId
    index: int  # type: ignore[assignment]  # hides the method of tuple, which nobody calls here


class PlaceholderWriter:
    """Encodes placeholders whose `#!` line names one launcher program."""

    def __init__(self, launcher: bytes) -> None:
        first = b"#!" + launcher + _FLAG
        if len(first) > _MAGIC_AT - 1 or any(c in launcher for c in b" \t\n"):
            first = b"#!/bin/false\n"
        told = _TOLD if len(first) + len(_TOLD) < _MAGIC_AT else b""
        self._head = (first + told).ljust(_MAGIC_AT - 1) + b"\n" + _MAGIC

    def encode(self, thunk: bytes, index: int) -> bytes:
        return self._head + b"%s %05d\n       \n" % (thunk.hex().encode(), index)


def parse(data: bytes) -> Placeholder | None:
    """The placeholder that `data`, a whole file, is; None for any other file."""
    if len(data) != SIZE or not data.startswith(_MAGIC, _MAGIC_AT):
        return None
    start = _MAGIC_AT + len(_MAGIC)
    digits, number = data[start : start + 64], data[_INDEX_AT : _INDEX_AT + 5]
    if digits.strip(_HEX) or not number.isdigit():  # fromhex and int take blanks, signs and more
        return None
    return Placeholder(ThunkId(bytes.fromhex(digits.decode("ascii"))), int(number))
