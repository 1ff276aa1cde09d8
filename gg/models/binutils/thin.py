"""Thin archives, and what is known of files that are not made yet.

A thin archive holds the names of its members, not their bytes: whoever reads it reads them too. If the archive is
still a placeholder, its members are those that its thunk reads; a probe that can tell them is a `Remembers`.

The format is in `gg.formats.archive`. Names are relative to the archive's directory.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from gg.formats.archive import THIN, BadArchive, names, places
from gg.light.slotted import slotted
from gg.models.drafts import Probe


@slotted()
class Recorded:
    """The thunk behind a placeholder: its command line, and the absolute paths that it reads, without its tools.

    `before`: for a command that changes a file in place, what made that file, if the file was a placeholder as well.
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


def member_names(data: bytes) -> list[bytes]:
    """The members of an archive by their full names; an empty list for a damaged one."""
    try:
        return names(data)
    except BadArchive:
        return []


def is_dateless(data: bytes) -> bool:
    """Whether every member's time is zero, so that `ar u` finds each file on disk newer."""
    try:
        every = places(lambda at, size: data[at : at + size], len(data))
        return all(place.time in (b"0", b"") for place in every if place.field != b"//")
    except BadArchive:
        return False
