"""Ninja's database of dependencies, `.ninja_deps`: what it took from a dependency file that it then removed.

While a build is recorded ninja reads the recorder's dependency file, a superset, at once. When the compiler has written
its own, that can take the other's place only here. Ninja appends records, the last one of an output counts; so do we,
when no process has the file open. Format: src/deps_log.h of ninja, version 4 (since 1.9, of 2019); any other is left alone.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from gg.light.plain_files import is_within, read_plain

NAME = b".ninja_deps"
MOST = 1 << 29  # bytes of a log
_HEAD = b"# ninjadeps\n" + struct.pack("<i", 4)
_DEPS = 1 << 31  # set in the size of a record that lists dependencies
_MAX_RECORD = (1 << 19) - 1


class _Record(NamedTuple):
    """What the last record of an output says. `mtime` is the two words as they are."""

    mtime: bytes
    inputs: tuple[int, ...]


class Log:
    """A `.ninja_deps` as it was read. ValueError when it is damaged or of another version."""

    def __init__(self, data: bytes) -> None:
        if not data.startswith(_HEAD):
            raise ValueError("not a log of dependencies of version 4")
        self._ids: dict[bytes, int] = {}
        self._outputs: dict[int, _Record] = {}
        self.added = b""
        at = len(_HEAD)
        while at < len(data):
            try:
                (size,) = struct.unpack_from("<I", data, at)
                record = data[at + 4 : at + 4 + (size & ~_DEPS)]
                self._read(record, deps=bool(size & _DEPS), size=size & ~_DEPS)
            except struct.error:
                raise ValueError("the log of dependencies is damaged") from None
            at += 4 + len(record)

    def _read(self, record: bytes, *, deps: bool, size: int) -> None:
        if len(record) != size or size % 4 or size < 8:
            raise ValueError("a record is cut short")
        if deps:
            output, *inputs = struct.unpack(f"<i8x{size // 4 - 3}i", record)
            if min(inputs, default=0) < 0 or max(output, *inputs, 0) >= len(self._ids) or output < 0:
                raise ValueError("a record names a path that has no number")
            self._outputs[output] = _Record(record[4:12], tuple(inputs))
            return
        (check,) = struct.unpack_from("<I", record, size - 4)
        if check != ~len(self._ids) & 0xFFFFFFFF:
            raise ValueError("a path has another number")
        self._ids[record[:-4].rstrip(b"\0")] = len(self._ids)

    def inputs(self, output: bytes) -> tuple[bytes, ...] | None:
        """What `output` was last said to depend on; None when nothing was said."""
        known = self._outputs.get(self._ids.get(output, -1))
        names = list(self._ids)
        return None if known is None else tuple(names[i] for i in known.inputs)

    def replace(self, output: bytes, inputs: tuple[bytes, ...]) -> None:
        """Let `output` depend on `inputs`, if it has a record that says otherwise; what is to be appended is in `added`."""
        number = self._ids.get(output, -1)
        known = self._outputs.get(number)
        if known is None or 4 * (3 + len(inputs)) > _MAX_RECORD:
            return
        ids = tuple(self._number(name) for name in inputs)
        if ids == known.inputs:
            return
        record = struct.pack("<i", number) + known.mtime + struct.pack(f"<{len(ids)}i", *ids)
        self.added += struct.pack("<I", len(record) | _DEPS) + record
        self._outputs[number] = _Record(known.mtime, ids)

    def _number(self, path: bytes) -> int:
        if path not in self._ids:
            number = self._ids[path] = len(self._ids)
            padded = path + b"\0" * (-len(path) % 4) + struct.pack("<I", ~number & 0xFFFFFFFF)
            self.added += struct.pack("<I", len(padded)) + padded
        return self._ids[path]


def directory_of(output: bytes, top: bytes, database: bytes = NAME) -> bytes | None:
    """The directory at or below `top` whose database would know `output`: the nearest above it that has one. None where a link
    leads out of `top`.
    """
    directory, inside = os.path.dirname(output), top.rstrip(b"/") + b"/"
    while (directory + b"/").startswith(inside):
        if os.path.exists(os.path.join(directory, database)):
            return directory if is_within(os.path.realpath(top), directory) else None
        directory = os.path.dirname(directory)
    return None


def update(directory: bytes, rules: Mapping[bytes, bytes]) -> None:
    """Put what the dependency files say (by output, absolute) into the database. Left alone if ninja runs, or on doubt."""
    from gg.formats.make_rule import prerequisites

    path = os.path.join(directory, NAME)
    with suppress(OSError, ValueError):
        log = Log(read_plain(path, MOST, follow=False))  # through a link it may be another tree's
        for output, rule in rules.items():
            inputs = tuple(dict.fromkeys(os.path.normpath(name) for name in prerequisites(rule)))
            for name in (os.path.relpath(output, directory), output):
                log.replace(name, inputs)
        if log.added and not open_elsewhere(path):
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                os.write(fd, log.added)
            finally:
                os.close(fd)


def open_elsewhere(path: bytes, ending: int = 0) -> bool:
    """Whether a process, other than `ending`, has the file open, as far as this user can see."""
    wanted = os.stat(path)
    for pid in os.listdir(b"/proc"):
        if not pid.isdigit() or int(pid) == ending:
            continue
        directory = b"/proc/" + pid + b"/fd/"
        with suppress(OSError):
            for fd in os.listdir(directory):
                with suppress(OSError):
                    if os.path.samestat(os.stat(directory + fd), wanted):
                        return True
    return False
