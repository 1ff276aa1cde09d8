"""NAR, nix's archive of a file, link or directory: how nix names what is in its store by content.

Files are read in pieces and links are not followed. Entries are sorted by their bytes; of a file's mode only its owner's x is kept.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable

Write = Callable[[bytes], object]

_MAGIC = "nix-archive-1"
_PIECE = 1 << 20
_ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"
HASH_SIZE = 32
"""Characters of the hash with which the name of a store path begins."""


def string(data: bytes | str) -> bytes:
    """A string as nix's protocols and archives have it: its length, its bytes, zeros up to a multiple of eight."""
    raw = data.encode() if isinstance(data, str) else data
    return len(raw).to_bytes(8, "little") + raw + bytes(-len(raw) % 8)


def dump(path: bytes, write: Write) -> None:
    """Write the archive of what is at `path`. OSError for what cannot be read; ValueError for a device or socket."""
    write(string(_MAGIC))
    _node(path, write)


def digest(path: bytes) -> bytes:
    """The SHA-256 of the archive: nix's `narHash`."""
    hashed = hashlib.sha256()
    dump(path, hashed.update)
    return hashed.digest()


def _node(path: bytes, write: Write) -> None:
    status = os.lstat(path)
    write(string("("))
    write(string("type"))
    if stat.S_ISLNK(status.st_mode):
        for each in ("symlink", "target", os.readlink(path)):
            write(string(each))
    elif stat.S_ISREG(status.st_mode):
        write(string("regular"))
        _file(path, bool(status.st_mode & stat.S_IXUSR), status.st_size, write)
    elif stat.S_ISDIR(status.st_mode):
        write(string("directory"))
        for name in sorted(os.listdir(path)):
            for each in ("entry", "(", "name", name, "node"):
                write(string(each))
            _node(os.path.join(path, name), write)
            write(string(")"))
    else:
        raise ValueError(f"{os.fsdecode(path)} is neither a file, a link nor a directory")
    write(string(")"))


def _file(path: bytes, executable: bool, size: int, write: Write) -> None:
    if executable:
        write(string("executable"))
        write(string(""))
    write(string("contents"))
    write(size.to_bytes(8, "little"))
    left = size
    with open(path, "rb", buffering=0) as file:
        while left and (piece := file.read(min(_PIECE, left))):
            write(piece)
            left -= len(piece)
    if left:
        raise OSError(f"{os.fsdecode(path)} became shorter while it was read")
    write(bytes(-size % 8))


def base32(data: bytes) -> str:
    """Bytes in nix's own base 32, which begins with the highest bits of the last byte."""
    number = int.from_bytes(data, "little")
    return "".join(_ALPHABET[number >> (5 * at) & 31] for at in range((len(data) * 8 - 1) // 5, -1, -1))


class References:
    """Looks for store paths in what an archive holds: `write` to it, then see `found`. That is how nix knows references."""

    def __init__(self, paths: Iterable[str]) -> None:
        """`paths`: those that may occur, each /nix/store/HASH-NAME."""
        self._wanted = {os.path.basename(path)[:HASH_SIZE].encode(): path for path in paths}
        self._tail = b""
        self.found: set[str] = set()

    def write(self, data: bytes) -> None:
        text = self._tail + data
        for wanted, path in list(self._wanted.items()):
            if wanted in text:
                self.found.add(path)
                del self._wanted[wanted]
        self._tail = text[-(HASH_SIZE - 1) :]
