"""Thin archives, and what is known of files that are not made yet.

A thin archive holds the names of its members, not their bytes: whoever reads it reads them too. If the archive is
still a placeholder, its members are those that its thunk reads; a probe that can tell them is a `Remembers`.

The format is that of binutils' `bfd/archive.c`: magic "!<thin>\\n", 60-byte headers, `//` the table of long names, and
only `/`, `/SYM64/` and `//` are followed by data. Names are relative to the archive's directory.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from gg.light.slotted import slotted
from gg.models.drafts import Probe

ARCH = b"!<arch>\n"
THIN = b"!<thin>\n"
_HEADER = 60


@slotted()
class Recorded:
    """The thunk behind a placeholder: its command line, and what it reads (absolute paths, its tools aside).

    `before`: what made the file that it changes in place, if that was a placeholder as well.
    """

    argv: tuple[bytes, ...]
    cwd: bytes
    inputs: tuple[bytes, ...]
    before: Recorded | None = None


@runtime_checkable
class Remembers(Protocol):
    """A probe that also knows the thunks behind placeholders."""

    def recorded(self, path: bytes) -> Recorded | None:
        """What makes the placeholder at `path` (absolute); None if it is none, or its thunk is not at hand."""
        ...


def recall(probe: Probe, path: bytes) -> Recorded | None:
    return probe.recorded(path) if isinstance(probe, Remembers) else None


def thin_members(probe: Probe, archive: bytes) -> tuple[bytes, ...]:
    """The members of the thin archive at `archive` (absolute); none if it is not thin, or that cannot be told."""
    if probe.is_placeholder(archive):
        made = recall(probe, archive)
        if made is None or not makes_thin(made.argv):
            return ()
        return tuple(path for path in made.inputs if path != archive)
    try:
        data = probe.read(archive)
    except OSError:
        return ()
    if not data.startswith(THIN):
        return ()
    directory = archive.rpartition(b"/")[0]
    return tuple(name if name.startswith(b"/") else directory + b"/" + name for name in member_names(data))


def makes_thin(argv: tuple[bytes, ...]) -> bool:
    """Whether an `ar` command line asks for a thin archive: --thin, or T among the operation's letters."""
    if b"--thin" in argv:
        return True
    letters = next((arg for arg in argv[1:] if not arg.startswith(b"--")), b"")
    options = [arg for arg in argv[1:] if arg[:1] == b"-" and arg[1:2] != b"-"]
    return any(b"T" in word for word in (letters, *options) if b"/" not in word and b"." not in word)


def headers(data: bytes) -> list[tuple[bytes, bytes, int]]:
    """Each member's name field, time field and place of its bytes; Value- or IndexErrors are the caller's."""
    thin = data.startswith(THIN)
    found: list[tuple[bytes, bytes, int]] = []
    at = len(ARCH)
    while at + _HEADER <= len(data):
        name = data[at : at + 16].rstrip()
        size = int(data[at + 48 : at + 58])
        found.append((name, data[at + 16 : at + 28].strip(), at + _HEADER))
        at += _HEADER
        if not thin or name in (b"/", b"/SYM64/", b"//"):
            at += size + (size & 1)
    return found


def member_names(data: bytes) -> list[bytes]:
    """The members of an archive by their full names; an empty list for a damaged one."""
    try:
        every = headers(data)
        table = b""
        names: list[bytes] = []
        for name, _, start in every:
            if name == b"//":
                size = int(data[start - 12 : start - 2])
                table = data[start : start + size]
            elif name[:1] == b"/" and name[1:2].isdigit():
                offset = int(name[1:].partition(b":")[0])
                names.append(table[offset : table.index(b"\n", offset)].removesuffix(b"/"))
            elif name not in (b"/", b"/SYM64/"):
                names.append(name.removesuffix(b"/"))
    except ValueError:
        return []
    return names


def is_dateless(data: bytes) -> bool:
    """Whether every member's time is zero, so that `ar u` finds each file on disk newer."""
    try:
        return data.startswith((ARCH, THIN)) and all(
            time in (b"0", b"") for name, time, _ in headers(data) if name not in (b"//",)
        )
    except ValueError:
        return False
