"""What a traced command found and left: states of paths as short texts, and the report of `gg-trace` made into them.

A state is what a kind of look can tell. R, the bytes: their digest. S, a stat: what it is, mode, size. L, the same of a
link itself: its target. D, a listing: the digest of its names. Of files' times nothing is kept.
"""

from __future__ import annotations

import os
import shutil
import stat
import struct
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from blake3 import blake3

from gg.core.ids import BlobId, parse_digest, sandbox_path
from gg.host.trees import hash_file
from gg.light.named import NamedTuple

if TYPE_CHECKING:
    from gg.host.filedb import FileDB

_ABSENT = "-"
_WHATS = ("a", "d", "l", "f")
_TEMPORARY = (b"/tmp/", b"/var/tmp/")
_RANDOM = (b"/dev/random", b"/dev/urandom", b"/dev/hwrng")
# Of a process's own directory in /proc, what does not depend on which process it is or what it has done.
_OWN = (b"/proc/self/cmdline", b"/proc/self/exe", b"/proc/self/fd", b"/proc/self/maps")
_INHERITED = (b"/proc/self/cgroup", b"/proc/self/mountinfo", b"/proc/self/mounts")  # ours are the command's too

MemoInput = tuple[str, str, str]


def state_of(kind: str, path: bytes, files: FileDB) -> str:
    """What a look of this kind tells now of `path`."""
    try:
        if kind == "D":
            return blake3(b"\0".join(sorted(os.listdir(path)))).hexdigest()
        info = os.lstat(path) if kind == "L" else os.stat(path)
        if stat.S_ISLNK(info.st_mode):
            return "l" + os.fsdecode(os.readlink(path))
        if not stat.S_ISREG(info.st_mode):
            return "d" if stat.S_ISDIR(info.st_mode) else "o"
        if kind != "R":
            return f"f{info.st_mode & 0o7777:o}:{info.st_size}"
        if path.startswith((b"/proc/", b"/sys/")):  # their signatures say nothing, their sizes neither
            with open(path, "rb") as file:
                return blake3(file.read()).hexdigest()
        known = files.digest(path)
        return known.blob.hex + "x" * known.executable
    except (OSError, ValueError):
        return _ABSENT


class Left(NamedTuple):
    """What is at a path afterwards. `what`: a nothing, d a directory, l a link, f a file."""

    path: bytes
    what: str
    mode: int = 0
    blob: BlobId | None = None
    target: bytes = b""


class CommandOutcome(NamedTuple):
    """What a command changed, files in the order in which they were last written, and what it printed."""

    status: int
    stdout: bytes
    stderr: bytes
    left: tuple[Left, ...]

    def blobs(self) -> Iterator[BlobId]:
        return (each.blob for each in self.left if each.blob is not None)

    def place(self, path_of: Callable[[BlobId], bytes], aside: bytes) -> None:
        """Have it so. Files get times just before now, in their order, so that make sees what it saw.

        `path_of`: where a blob's bytes are; `aside`: a name to write under first, so that no file is seen half done.
        """
        for each in self.left:
            if each.what == "d":
                os.makedirs(each.path, exist_ok=True)
                os.chmod(each.path, each.mode)
        begin = time.time_ns() - 1000 * len(self.left)
        for number, each in enumerate(self.left):
            if each.what == "a":
                _remove(each.path)
            elif each.what == "l":
                _remove(each.path)
                os.symlink(each.target, each.path)
            elif each.blob is not None:
                _write(each, path_of(each.blob), aside, begin + 1000 * number)

    def encode(self) -> list[object]:
        """As JSON can hold it."""
        left = [
            [os.fsdecode(e.path), e.what, e.mode, [e.blob.hex, e.blob.size] if e.blob else None, os.fsdecode(e.target)]
            for e in self.left
        ]
        return [self.status, b64encode(self.stdout).decode(), b64encode(self.stderr).decode(), left]

    @classmethod
    def decode(cls, data: list[object]) -> CommandOutcome:
        """ValueError, TypeError, AttributeError or FormatError for what is none."""
        status, out, err, left = data
        if type(status) is not int or not isinstance(left, list) or not 0 <= status <= 255:
            raise ValueError("no outcome")
        found = []
        for path, what, mode, blob, target in left:
            if what not in _WHATS or type(mode) is not int or not 0 <= mode <= 0o7777 or not path.startswith("/"):
                raise ValueError("no outcome")
            made = _blob(*blob) if blob else None
            found.append(Left(os.fsencode(path), what, mode, made, os.fsencode(target)))
        return cls(status, b64decode(str(out)), b64decode(str(err)), tuple(found))


def _blob(digest: object, size: object) -> BlobId:
    if type(digest) is not str or type(size) is not int or size < 0:
        raise ValueError("no blob")
    return BlobId(parse_digest(digest), size)


def _write(left: Left, source: bytes, aside: bytes, when: int) -> None:
    directory = os.path.dirname(left.path)
    if os.stat(directory).st_dev != os.stat(os.path.dirname(aside)).st_dev:
        aside = os.path.join(directory, b".gg-" + os.path.basename(aside))
    shutil.copyfile(source, aside)
    os.chmod(aside, left.mode)
    os.utime(aside, ns=(when, when))
    os.rename(aside, left.path)


def _remove(path: bytes) -> None:
    with suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        else:
            os.unlink(path)


# Reading a report


class _Refused(Exception):
    """The command cannot be remembered; the text says why."""


def read_report(
    report: bytes, started: int, files: FileDB, *, draws_names: bool = False
) -> tuple[tuple[MemoInput, ...], CommandOutcome, dict[BlobId, bytes]] | str:
    """The inputs, the outcome (status 0), and where its files are; or why there are none. The report is removed.

    `draws_names`: it is known to read random numbers just for the names of scratch files.
    """
    try:
        return _Report(report, started, files, draws_names).read()
    except _Refused as why:
        return str(why)
    except OSError as error:
        return f"its report cannot be read: {error}"
    finally:
        shutil.rmtree(report, ignore_errors=True)


class _Report:
    def __init__(self, directory: bytes, started: int, files: FileDB, draws_names: bool) -> None:
        self._draws_names = draws_names
        self._directory = directory
        self._started = started
        self._files = files
        self._before: dict[bytes, tuple[str, bytes]] = {}  # changed paths: what was there, and its copy
        self._looks: list[tuple[str, bytes]] = []
        self._real: dict[bytes, bytes] = {}
        self._made: dict[bytes, bool] = {}

    def read(self) -> tuple[tuple[MemoInput, ...], CommandOutcome, dict[BlobId, bytes]]:
        self._load()
        inputs = dict.fromkeys(i for kind, path in self._looks for i in self._input(kind, path))
        inputs.update(dict.fromkeys(i for path in self._before for i in self._was(path)))
        left, places = self._left()
        out, err = self._output()
        return tuple(inputs), CommandOutcome(0, out, err, left), places

    def _load(self) -> None:
        with open(os.path.join(self._directory, b"touched"), "rb") as file:
            records = file.read().split(b"\0")
        if records.pop() or not all(len(record) > 2 for record in records):
            raise _Refused("its report is cut short")
        copies = 0
        for record in records:
            kind, state, path = chr(record[0]), chr(record[1]), record[2:]
            if kind == "T":
                raise _Refused(path.decode())
            if kind != "W":
                self._looks.append((kind, path))
                continue
            copy = os.path.join(self._directory, b"%d" % copies) if state == "f" else b""
            copies += state == "f"
            if state in "lo":
                raise _Refused(f"it changes what is no file: {os.fsdecode(path)}")
            self._before[path] = (state, copy)

    # What was there

    def _canonical(self, path: bytes) -> bytes:
        head, _, tail = path.rpartition(b"/")
        real = self._real.get(head)
        if real is None:
            real = self._real[head] = os.path.realpath(head or b"/")
        return sandbox_path(tail, real)

    def _own(self, path: bytes) -> bool:
        """Whether the command itself has made or changed this, or a directory above it."""
        known = self._made.get(path)
        if known is None:
            above = path[: path.rfind(b"/")]
            state = self._before.get(path)
            known = state is not None or (bool(above) and self._is_new(above))
            self._made[path] = known
        return known

    def _is_new(self, directory: bytes) -> bool:
        while directory:
            if self._before.get(directory, ("", b""))[0] == "a":
                return True
            directory = directory[: directory.rfind(b"/")]
        return False

    def _through_new(self, path: bytes) -> bool:
        """Whether it is named through a directory that the command made (`new/../file`): it is also there by its own name."""
        at = path.find(b"/../")
        while at >= 0:
            if self._is_new(path[:at]):
                return True
            at = path.find(b"/../", at + 1)
        return False

    def _input(self, kind: str, path: bytes) -> Iterator[MemoInput]:
        if self._ignored(kind, path):
            return
        if kind == "D":
            if not self._is_new(path):
                yield ("D", os.fsdecode(path), self._listing(path))
            return
        if self._own(self._canonical(path)) or self._through_new(path):
            return
        state = state_of(kind, path, self._files)
        if state not in (_ABSENT, "d", "o") and not path.startswith((b"/proc/", b"/sys/")):
            info = os.lstat(path) if kind == "L" else os.stat(path)
            if info.st_ctime_ns >= self._started and not self._own(os.path.realpath(path)):
                raise _Refused(f"somebody else changed {os.fsdecode(path)} meanwhile")
        if not self._own(os.path.realpath(path)):
            yield (kind, os.fsdecode(path), state)

    def _ignored(self, kind: str, path: bytes) -> bool:
        if kind == "R" and path in _RANDOM and not self._draws_names:
            raise _Refused("it reads random numbers")
        if path.startswith(b"/dev/"):
            return True
        if path.startswith(b"/proc/"):
            if path.startswith(_OWN) or kind != "R":
                return True
            if path in _INHERITED:
                return False
            first = path.split(b"/")[2]
            if first.isdigit() or first in (b"self", b"thread-self"):
                raise _Refused(f"it reads {os.fsdecode(path)}")
        return False

    def _listing(self, directory: bytes) -> str:
        """The names that were there before."""
        names = set(os.listdir(directory)) if os.path.isdir(directory) else set()
        prefix = directory.rstrip(b"/") + b"/"
        for path, (state, _) in self._before.items():
            name = path[len(prefix) :]
            if path.startswith(prefix) and b"/" not in name:
                names.discard(name) if state == "a" else names.add(name)
        return blake3(b"\0".join(sorted(names))).hexdigest()

    def _was(self, path: bytes) -> Iterator[MemoInput]:
        """The state before of what was changed."""
        state, copy = self._before[path]
        if state == "f":
            blob = hash_file(copy)
            executable = bool(os.stat(copy).st_mode & 0o100)
            yield ("R", os.fsdecode(path), blob.hex + "x" * executable)
        elif state == "d":
            yield ("L", os.fsdecode(path), "d")
        elif self._is_new(path[: path.rfind(b"/")]):
            return
        elif os.path.lexists(path) or not path.startswith(_TEMPORARY):  # temporary files have names at random
            yield ("L", os.fsdecode(path), _ABSENT)

    # What is there now

    def _left(self) -> tuple[tuple[Left, ...], dict[BlobId, bytes]]:
        found: list[tuple[int, Left]] = []
        places: dict[BlobId, bytes] = {}
        for path, (before, _) in self._before.items():
            try:
                info = os.lstat(path)
            except OSError:
                if before != "a":
                    found.append((0, Left(path, "a")))
                continue
            mode = info.st_mode & 0o7777
            if stat.S_ISDIR(info.st_mode):
                if before != "d":
                    found.append((0, Left(path, "d", mode)))
            elif stat.S_ISLNK(info.st_mode):
                found.append((info.st_mtime_ns, Left(path, "l", 0, None, os.readlink(path))))
            elif stat.S_ISREG(info.st_mode):
                blob = hash_file(path)
                places[blob] = path
                found.append((info.st_mtime_ns, Left(path, "f", mode, blob)))
            else:
                raise _Refused(f"it makes what is no file: {os.fsdecode(path)}")
        removed = [left for _, left in sorted(found, key=_deepest_first) if left.what == "a"]
        made = [left for _, left in sorted(found, key=_by_time) if left.what != "a"]
        return (*removed, *made), places

    def _output(self) -> tuple[bytes, bytes]:
        streams = {1: bytearray(), 2: bytearray()}
        with open(os.path.join(self._directory, b"output"), "rb") as file:
            data = file.read()
        at = 0
        while at < len(data):
            number, size = struct.unpack_from("<BI", data, at) if at + 5 <= len(data) else (0, 0)
            if number not in streams or at + 5 + size > len(data):
                raise _Refused("the record of its output is cut short")
            streams[number] += data[at + 5 : at + 5 + size]
            at += 5 + size
        return bytes(streams[1]), bytes(streams[2])


def _by_time(item: tuple[int, Left]) -> tuple[int, bytes]:
    return item[0], item[1].path


def _deepest_first(item: tuple[int, Left]) -> int:
    return -item[1].path.count(b"/")
