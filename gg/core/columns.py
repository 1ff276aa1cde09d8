"""What all encodings are made of: a frame with tag and version, and columns of strings, paths, digests and numbers.

`gg.core.codec` says what they are columns of. Whatever is not canonical is a FormatError, both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import lt
from struct import unpack
from typing import cast

from msgpack import packb

from gg.core.bounded import MOST_NUMBER, damaged, unpacked
from gg.core.ids import DIGEST_SIZE, SandboxPath, sandbox_path
from gg.errors import FormatError

VERSION = 1
_FIELDS = 64  # all values of an encoding, but for the numbers that each stand beside a digest


def ascending(strings: Sequence[bytes]) -> bool:
    """Whether they are sorted, each once."""
    return all(map(lt, strings, strings[1:]))


def join(strings: Sequence[bytes]) -> bytes:
    if not strings:
        return b""
    text = b"\0".join(strings) + b"\0"
    if text.count(b"\0") != len(strings):
        raise FormatError("a string of a thunk holds a NUL byte")
    return text


def split(text: bytes) -> list[bytes]:
    strings = text.split(b"\0")
    if strings.pop():
        raise damaged("list of strings")
    return strings


def join_paths(paths: Sequence[SandboxPath]) -> bytes:
    check_paths(paths)
    return b"\0".join(paths) + b"\0" if paths else b""


def split_paths(text: bytes) -> list[SandboxPath]:
    paths = cast("list[SandboxPath]", split(text))
    check_paths(paths)
    return paths


def check_paths(paths: Sequence[SandboxPath]) -> None:
    """FormatError unless each is absolute and clean. Looks at all of them as one text, which is fast, then at each."""
    text = b"\0" + b"\0".join(paths) + b"\0"
    n = len(paths)
    if text.count(b"\0/") == n == text.count(b"\0") - 1 and not (b"/." in text or b"//" in text or b"/\0" in text):
        return
    for path in paths:
        if path.count(b"\0") or sandbox_path(path) != path or (path.endswith(b"/") and path != b"/"):
            raise FormatError(f"{path!r} is not a path that a thunk can hold")


def join_digests(digests: Sequence[bytes]) -> bytes:
    joined = b"".join(digests)
    if len(joined) != DIGEST_SIZE * len(digests) or any(len(digest) != DIGEST_SIZE for digest in digests):
        raise FormatError("a digest does not have 32 bytes")
    return joined


def split_digests(joined: bytes, n: int) -> tuple[bytes, ...]:
    if len(joined) != DIGEST_SIZE * n:
        raise damaged("list of digests")
    return unpack("32s" * n, joined)


def check_numbers(raw: list[object]) -> list[int]:
    numbers = [n for n in raw if type(n) is int and 0 <= n <= MOST_NUMBER]
    if len(numbers) != len(raw):
        raise damaged("number")
    return numbers


# The frame


def pack(fields: list[object]) -> bytes:
    try:
        data: bytes = packb(fields)
    except (OverflowError, ValueError) as error:
        raise FormatError(f"a value cannot be encoded: {error}") from error
    return data


def open_as(data: bytes, tag: str) -> list[object]:
    """The fields after tag and version, of bytes that are canonical."""
    fields = fields_of(data, tag)
    if packb([tag, VERSION, *fields]) != data:
        raise damaged(tag)
    return fields


def fields_of(data: bytes, tag: str) -> list[object]:
    """The fields after tag and version."""
    raw = unpacked(data, tag, _FIELDS + len(data) // DIGEST_SIZE)
    if len(raw) > 1 and raw[0] == tag and type(raw[1]) is int:
        version = raw[1]
        if version > VERSION:
            raise FormatError(
                f"this gg knows version {VERSION} of a {tag}, and met version {version}",
                hint="a newer gg wrote it: use that one",
            )
        if version == VERSION:
            return raw[2:]
    raise damaged(tag)


def typed(raw: object, types: Sequence[type]) -> bool:
    """Whether `raw` is a list of values of just these types."""
    return type(raw) is list and list(map(type, raw)) == types
