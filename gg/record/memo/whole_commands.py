"""Whole commands remembered by what they were seen to look at: `gg-infer --trace`.

A configure script takes seconds, and does the same again whenever it is asked the same in the same surroundings. Such a
command is run once under `gg-trace`, which stops it and all its children at each system call that looks at a path or
changes one. What was there before, for each path that it touched and had not changed itself, is the command's input;
what has changed when it ends is its outcome. The next time, if every input is as it was, the outcome is put in place.

Kept under the command's identity: program, arguments, directory, environment, umask, user, and the machine as uname and
the count of processors tell it; a few variants each. Not kept: a command that talked to another process through a
socket, changed the name of a directory, read random numbers from a file, or what it read was changed by someone else
meanwhile. Not watched: the time of day, files' times, and random numbers that the kernel gives without a file.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from blake3 import blake3

from gg.core.ids import BlobId
from gg.core.jsontext import json_from
from gg.errors import FormatError, MissingObject
from gg.light.named import NamedTuple
from gg.record.memo.memo_state import CommandOutcome, read_report, state_of
from gg.store.base import Key, Kind, get_one

if TYPE_CHECKING:
    from gg.host.filedb import FileDB
    from gg.record.protocol import RecorderRequest
    from gg.store.base import Store

VERSION = 1
VARIANTS = 4
_MOST = 32 << 20  # bytes of all variants of a command, expanded
MARK = b"/gg-trace"
# What these programs do when they do not configure: builds, whose tools are to be recorded, and small services.
_OTHER_WORK = {
    b"cmake": (b"--build", b"--install", b"--open", b"-E", b"-P", b"--version", b"--help", b"--find-package"),
    b"meson": (b"compile", b"install", b"test", b"dist", b"introspect", b"env2mfile", b"--version", b"--internal"),
}
_DRAW_NAMES = (b"cmake", b"meson")  # their trials are made in directories with random names


class Remembered(NamedTuple):
    """One variant: the inputs as (kind, path, state), and the outcome."""

    inputs: tuple[tuple[str, str, str], ...]
    outcome: CommandOutcome


class Memo:
    """What was traced in this workspace. Not for several threads."""

    def __init__(self, store: Store, files: FileDB, tmp: bytes) -> None:
        self._store = store
        self._files = files
        self._tmp = os.path.join(tmp, b"t%d-" % os.getpid())
        self._running: dict[bytes, tuple[Key, int, bool]] = {}
        self._count = 0
        self.trouble = ""

    @staticmethod
    def wants(program: bytes, argv: Sequence[bytes], pid: int) -> bool:
        """Whether this call is one to remember: it configures, and nobody talks to it through its standard input."""
        other = _OTHER_WORK.get(os.path.basename(program), ())
        if any(word in other for word in argv[1:]):
            return False
        try:
            stdin = os.readlink(f"/proc/{pid}/fd/0")
        except OSError:
            return False
        return stdin == "/dev/null" or stdin.startswith(("/dev/pts/", "/dev/tty"))

    def key(self, program: bytes, request: RecorderRequest, env: Mapping[bytes, bytes]) -> Key:
        """Where the variants of this call are kept."""
        kept = {k: v for k, v in env.items() if k not in (b"_", b"OLDPWD", b"SHLVL")}
        if kept.get(b"PWD") == request.cwd:  # some shells say where they are, some do not
            del kept[b"PWD"]
        parts: list[object] = [VERSION, program, request.argv, request.cwd, sorted(kept.items()), request.umask]
        parts += [os.getuid(), os.getgid(), tuple(os.uname()), len(os.sched_getaffinity(0))]
        return Key(Kind.ALIAS, blake3(repr(("memo", *parts)).encode()).digest())

    # Afterwards

    def replay(self, key: Key) -> tuple[int, bytes, bytes] | None:
        """Put the outcome of a variant in place whose inputs are as they were: status and output. None: there is none."""
        for remembered in self._variants(key):
            if self._holds(remembered) and self._has_blobs(remembered.outcome):
                remembered.outcome.place(self._blob_path, self._tmp + b"o")
                return remembered.outcome.status, remembered.outcome.stdout, remembered.outcome.stderr
        return None

    def _holds(self, remembered: Remembered) -> bool:
        return all(state_of(kind, os.fsencode(path), self._files) == was for kind, path, was in remembered.inputs)

    def _has_blobs(self, outcome: CommandOutcome) -> bool:
        keys = {Key(Kind.BLOB, blob.digest) for blob in outcome.blobs()}
        return self._store.has(list(keys)) == keys

    def _blob_path(self, blob: BlobId) -> bytes:
        path = self._store.path(blob)
        if path is None:
            raise MissingObject(f"the blob {blob.hex} is in no store")
        return path

    def _variants(self, key: Key) -> list[Remembered]:
        data = get_one(self._store, key)
        if data is None:
            return []
        try:
            return [
                Remembered(tuple((k, p, s) for k, p, s in inputs), CommandOutcome.decode(outcome))
                for inputs, outcome in json_from(_inflated(data), "memory of a command")
            ]
        except (FormatError, ValueError, AttributeError, TypeError, zlib.error):
            return []  # of another version, or damaged: it is recorded anew

    # The first time

    def begin(self, key: Key, program: bytes) -> bytes:
        """The name of a report that is to be made."""
        self._count += 1
        report = self._tmp + b"%d" % self._count
        self._running[report] = (key, time.time_ns(), os.path.basename(program) in _DRAW_NAMES)
        return report

    def ended(self, report: bytes, status: int) -> None:
        """Learn from a report that is complete; nothing is kept, and `trouble` says why, if that would not be sound."""
        key, started, draws_names = self._running.pop(report)
        if not os.WIFEXITED(status):
            self.trouble = "it was ended by a signal"
            return
        found = read_report(report, started, self._files, draws_names=draws_names)
        if isinstance(found, str):
            self.trouble = found
            return
        self.trouble = ""
        inputs, outcome, places = found
        self._store.put_files(places)
        fresh = Remembered(inputs, outcome._replace(status=os.WEXITSTATUS(status)))
        kept = [fresh, *(v for v in self._variants(key) if v.inputs != inputs)][:VARIANTS]
        encoded = json.dumps([(v.inputs, v.outcome.encode()) for v in kept]).encode()
        self._store.put({key: zlib.compress(encoded, 1)})


def _inflated(data: bytes) -> bytes:
    """ValueError for what is larger than anything that was kept here."""
    whole = zlib.decompressobj()
    found = whole.decompress(data, _MOST)
    if whole.unconsumed_tail:
        raise ValueError("too large")
    return found
