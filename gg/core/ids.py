"""The names of things: a blob by its BLAKE3 digest and size, a thunk and a group by the digest of their encoding.

Digests are 32 raw bytes in memory and 64 lower-case hexadecimal digits for people. Paths are `bytes`, for file
names need not be UTF-8; a `SandboxPath` is absolute and has no `.`, `..` or empty component.
"""

from __future__ import annotations

from typing import NewType

from blake3 import blake3

from gg.errors import FormatError
from gg.light.named import NamedTuple

DIGEST_SIZE = 32

ThunkId = NewType("ThunkId", bytes)
GroupId = NewType("GroupId", bytes)
SandboxPath = NewType("SandboxPath", bytes)


class BlobId(NamedTuple):
    """Bytes, named by their BLAKE3 digest (32 bytes) and their length in bytes."""

    digest: bytes
    size: int

    @classmethod
    def of(cls, data: bytes) -> BlobId:
        return cls(blake3(data).digest(), len(data))

    @property
    def hex(self) -> str:
        return self.digest.hex()


def sandbox_path(path: bytes, cwd: bytes = b"/") -> SandboxPath:
    """`path` made absolute from `cwd` and cleared of `.` and empty components.

    `..` is folded as text: callers that must follow symbolic links resolve the directory first.
    """
    if not path.startswith(b"/"):
        path = cwd + b"/" + path
    if b"//" not in path and b"/." not in path and not path.endswith(b"/"):
        return SandboxPath(path)
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            if parts:
                parts.pop()
        elif part and part != b".":
            parts.append(part)
    return SandboxPath(b"/" + b"/".join(parts))


def parse_digest(text: str) -> bytes:
    """The 32 bytes that 64 hexadecimal digits stand for; FormatError for anything else."""
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != DIGEST_SIZE:
        raise FormatError(f"{text!r} is not a digest", hint="a digest is 64 hexadecimal digits")
    return digest
