"""The file by which the runner tells the path map what one thunk may see. Version 1.

The preloaded path map (`toolchain-wrappers/pathmap/`) maps this file shared and writable; its path is in `GG_MAP`.
All integers are little-endian.

  0   8 bytes    "GGMAP\\0\\0\\1"
  8   u32        flags: 1 OBSERVE   an undeclared file that exists is read, and reported (else: ENOENT, and reported)
                        2 MISSES    paths that are neither declared nor there are reported too
                        4 WATCH     nothing is mapped, for the kernel shows what is declared and no more (a jail): only
                                    what is read is marked, and what is missing is reported
                        8 ALIEN     the host is not the one that recorded: whatever is not declared does not exist, its
                                    directories neither, and counts as missing
                       16 TERMINAL  standard error is a terminal, to who asks whether it is one
                     2^31 LOADED    written by the path map, when a process has loaded it
  12  u32        n, the number of records
  16  u32        offset of the records
  20  u32        written by the path map: 1 once anything was created, changed or removed in the overlay
  24  u32        offset of the strings: scratch directory, report file, each ended by NUL
  28  u32        length of the file
  32  256 bytes  the path map's own (which paths the overlay may hold); zeros at first
  288 n bytes    written by the path map, bits: 1 that record's file was opened, executed or read through,
                 2 it was asked after (stat, access)
  …   the strings, the records

A record is a kind, a path and a target: one byte, then two strings each ended by NUL. Paths are absolute, without
`.`, `..` and empty components. Of records with equal paths the first counts. Every directory above a record exists,
and is a real directory: where a name is reached through a link, the link has a record and so has what it leads to.

  F  a file that may be read; target: where its bytes are, empty for the path itself. Executable targets have mode x
  L  a symbolic link; target: what readlink gives
  D  a directory
  N  nothing: there is no such path, whatever the disk says, and that is not reported (an output, a known miss)
  P  everything at and below the path, for reading and writing, unmapped (TMPDIR, /dev, /proc)
  I  how to start ELF programs that ask for the interpreter `path`, when that has an F record with a target: through
     that target; this record's target is the list of directories, separated by colons, where it finds libraries. One
     whose path is a program's is for that program alone. At most 64

Whatever is written elsewhere goes to the overlay, at SCRATCH/w + the absolute path, and is seen there by later
reads of the same thunk; a removed declared file is marked by an empty file at SCRATCH/gone + the absolute path.
Nothing is ever written at the real path. SCRATCH/ls is the path map's own. A working directory that is not there for
real is started in at SCRATCH/w + its path: inside, it has its own name. Directories that exist for real are visible.

The report file is appended to, one `write` a record: a kind byte, a path, NUL.

  U  an undeclared file that exists was asked for, or an undeclared directory was listed
  D  an undeclared directory that exists was asked for, or a declared one was listed (flag OBSERVE)
  M  an undeclared path that does not exist was asked for (flag MISSES)
  S  a program that is linked statically (or 32 bits wide) was to be executed: it could not be kept to the map, and got
     EACCES. With WATCH it runs, and what it reads is not marked
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Sequence

from gg.core.thunk import Directory, Entry, Symlink
from gg.light.slotted import slotted
from gg.run.report import read_scratch

OBSERVE = 1
MISSES = 2
WATCH = 4
ALIEN = 8
TERMINAL = 16
_LOADED = 1 << 31

_MAGIC = b"GGMAP\0\0\1"
_HEAD = struct.Struct("<8sIIIIII")
_MARKS_AT = 288
_READ = bytes(mark & 1 for mark in range(256))  # of each mark, the bit that says the file was read


def record(entry: Entry, target: bytes = b"") -> bytes:
    """One record. `target`: where a file's bytes are, when that is not its own path."""
    if isinstance(entry, Symlink):
        return b"L" + entry.path + b"\0" + entry.target + b"\0"
    if isinstance(entry, Directory):
        return b"D" + entry.path + b"\0\0"
    return b"F" + entry.path + b"\0" + target + b"\0"


def absent(path: bytes) -> bytes:
    """A record that hides what is at `path`: the output of an earlier run, or the thunk's own placeholder."""
    return b"N" + path + b"\0\0"


def passed(path: bytes) -> bytes:
    """A record that lets everything at and below `path` through."""
    return b"P" + path + b"\0\0"


def loader(path: bytes, libraries: bytes) -> bytes:
    """A record for programs that ask for the interpreter `path`, or for the one program at `path`: see kind I."""
    return b"I" + path + b"\0" + libraries + b"\0"


@slotted(frozen=False)
class Observed:
    """What the path map saw. `used` are indexes of records; `wrote`: anything is in the overlay; `loaded`: a process had it."""

    used: list[int]
    wrote: bool
    loaded: bool


class MapFile:
    """The map of one thunk, written to `path`; read it after the thunk has run."""

    def __init__(self, path: str, *, flags: int, scratch: bytes, report: bytes, records: Sequence[bytes]) -> None:
        body = b"".join(records)
        self._count = body.count(b"\0") // 2
        self._path = path
        strings = scratch + b"\0" + report + b"\0"
        strings_at = _MARKS_AT + self._count
        records_at = strings_at + len(strings)
        head = _HEAD.pack(_MAGIC, flags, self._count, records_at, 0, strings_at, records_at + len(body))
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, head.ljust(_MARKS_AT + self._count, b"\0") + strings + body)
        finally:
            os.close(fd)

    def observed(self) -> Observed:
        """What was used, in the order of the records."""
        data = read_scratch(self._path, _MARKS_AT + self._count)
        if len(data) < _MARKS_AT + self._count:
            raise OSError(errno.EIO, "a command has damaged its own map", self._path)
        flags = data[_MARKS_AT:].translate(_READ)
        used: list[int] = []
        at = flags.find(1)
        while at >= 0:
            used.append(at)
            at = flags.find(1, at + 1)
        _, flags_then, _, _, wrote, *_ = _HEAD.unpack_from(data)
        return Observed(used, wrote != 0, bool(flags_then & _LOADED))
