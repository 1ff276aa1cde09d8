"""A worker's objects on disk: files named by digest. The least recently used are removed when there are too many bytes.

A file is written aside, and renamed once its bytes have been hashed and found right, so everything in the cache was verified.
Files of an earlier process are not believed: the directory is emptied at the start. For one thread, except `put`.

Commands run as the user who owns these files, and may change them. So after each command (`doubt`) an object counts only if
inode, ctime and size are those that it had when it was known to be right. Otherwise it is removed, whatever was changed: bytes,
mode, times, or anything else that can be noted on a file. A ctime that the next change might share proves nothing
(`gg.core.ticks`): then the file is hashed anew.

An executable is a file of its own, `HEX.x`: a mode belongs to the file, and an assembler's input must not look like a
program because another thunk executes the same bytes.

Objects of a `LayerObjects` are here from the start: they are used where they are, do not count, and are never removed.
"""

from __future__ import annotations

import os
import shutil
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import IO

from blake3 import blake3

from gg.core.thunk import File
from gg.core.ticks import time_settled
from gg.errors import FormatError
from gg.host.files import hash_fd
from gg.host.trees import hash_file
from gg.light.named import NamedTuple
from gg.store.base import Key, Kind
from gg.worker.layer_objects import LayerObjects

_SHARE = 0.8  # of the file system's room, for all objects together


class Cache:
    """Objects by key. `limit` in bytes; 0 for most of the file system's present room. `layer`: further objects."""

    def __init__(self, directory: str, limit: int = 0, layer: LayerObjects | None = None) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory)
        self._directory = directory
        self._layer = layer or LayerObjects()
        self.limit = limit or room(directory)
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] = OrderedDict()  # by file name, the least recently used first
        self._total = 0
        self._aside = 0
        self._sound: dict[str, _Seen] = {}  # files checked since the last command, with their signatures
        self._doubted: dict[str, _Seen] = {}  # files that were right before the last command
        self._foreign: set[str] = set()  # files of another coordinator
        self.evicted = 0

    def place(self, file: File) -> str:
        """The path where the bytes of a declared file are or will be. It is always the same for a file."""
        return self._at(f"{file.blob.digest.hex()}.x" if file.executable else file.blob.digest.hex())

    def have(self, key: Key, executable: bool = False) -> bool:
        """Whether the object is here. If so, it counts as used now."""
        name = _name(key) + ".x" if executable else _name(key)
        if name in self._sizes and self._right(name):
            self._sizes.move_to_end(name)
            return True
        return self._layer.find(name) is not None

    def doubt(self) -> None:
        """Check every file anew from now on: a command ran that may have changed any of them."""
        self._doubted.update(self._sound)
        self._sound = {}

    def altered(self, keys: Iterable[Key]) -> bool:
        """Whether one of these is no more as it was when it was known to be right: what has read it is worth nothing."""
        for key in keys:
            for name in (_name(key), _name(key) + ".x"):
                known = self._sound.get(name)
                if known is not None:
                    try:
                        info = os.lstat(f"{self._directory}/{name}")
                    except OSError:
                        return True
                    if (info.st_ino, info.st_ctime_ns, info.st_size) != known[:3]:
                        return True
        return False

    def names(self) -> Collection[bytes]:
        """The names of the regular files that belong into the directory."""
        return {os.fsencode(name) for name in list(self._sizes) if _is_file(f"{self._directory}/{name}")}

    def disown(self) -> None:
        """Another coordinator asks now: mark all files here as foreign. A file that is put again is no longer foreign."""
        self._foreign = set(self._sizes)

    def remove_foreign(self, needed: Iterable[Key]) -> None:
        """Remove the foreign files, except those `needed`: whoever names a digest has seen the bytes."""
        kept = {_name(key) for key in needed}
        for name in [each for each in self._foreign if each.removesuffix(".x") not in kept]:
            self._drop(name)
        self._foreign = set()

    def _right(self, name: str) -> bool:
        """Whether the file is as it was when it was known to have the right bytes. If not, it is removed."""
        known = self._sound.get(name)
        if known and known.settled:
            return True
        was = known or self._doubted.pop(name, None)
        path = f"{self._directory}/{name}"
        with suppress(OSError):
            seen = _seen(path)
            if was and seen[:3] == was[:3] and (known or was.settled or _has_its_bytes(path, name)):
                self._sound[name] = seen
                return True
        self._drop(name)
        return False

    def get(self, key: Key) -> bytes | None:
        """The bytes of an object that is here."""
        if not self.ready(key, executable=False):
            return None
        with open(self._at(_name(key)), "rb", buffering=0) as file:
            return file.read()

    def holds(self, digest: bytes) -> bool:
        """Whether a blob seems to be here, its file not looked at. It does not count as used. From any thread."""
        name = digest.hex()
        return name in self._sizes or name + ".x" in self._sizes or self._layer.find(name) is not None

    def opened(self, key: Key) -> IO[bytes] | None:
        """The file of an object that is here, its bytes not looked at: for who compares them. It does not count as used. From any
        thread.
        """
        for name in (_name(key), _name(key) + ".x"):
            with suppress(OSError):
                return open(self._at(name), "rb", buffering=0)
        return None

    def put(self, key: Key, data: bytes) -> None:
        """Keep an object. FormatError if these are not its bytes. From any thread."""
        self.put_parts(key, (data,))

    def put_parts(self, key: Key, parts: Iterable[bytes]) -> None:
        """Keep an object that comes in parts. FormatError if these are not its bytes. From any thread."""
        if not self._lacks(key):
            return
        with self._lock:
            self._aside += 1
            aside = f"{self._directory}/aside{self._aside}"
        try:
            self._take_in(key, aside, *_write_aside(aside, parts))
        except BaseException:
            with suppress(OSError):
                os.unlink(aside)
            raise

    def adopt(self, key: Key, path: str) -> None:
        """Keep the object that is in the file at `path`, on the same file system; the file is moved if the object is not here yet.
        FormatError if these are not its bytes. From any thread.
        """
        if self._lacks(key):
            os.chmod(path, 0o444)
            found = hash_file(path)
            self._take_in(key, path, found.size, found.digest)

    def _lacks(self, key: Key) -> bool:
        name = _name(key)
        if self._layer.find(name) or self._layer.find(name + ".x"):
            return False
        self._foreign -= {name, name + ".x"}
        return not (name in self._sizes and self._right(name))

    def _take_in(self, key: Key, path: str, size: int, digest: bytes) -> None:
        """Move a file, whose bytes were found to be these, to its place."""
        if digest != key.digest:
            raise FormatError(f"the {key.kind.name.lower()} {key.digest.hex()} does not have these bytes")
        name = _name(key)
        os.rename(path, f"{self._directory}/{name}")
        self._note(name, size)

    def ready(self, key: Key, executable: bool, both: bool = False) -> bool:
        """Whether an object is here in this form, made of its other form if need be. That one is kept only if `both` are wanted."""
        if self.have(key, executable):
            return True
        plain, program = _name(key), _name(key) + ".x"
        source, target = (plain, program) if executable else (program, plain)
        fixed = self._layer.find(source)
        if fixed is None and not (source in self._sizes and self._right(source)):
            return False
        aside = f"{self._directory}/{target}.aside"
        if both or fixed:
            shutil.copyfile(self._at(source), aside)
        else:
            os.rename(self._at(source), aside)
            self._forget(source)
        os.chmod(aside, 0o555 if executable else 0o444)
        size = os.stat(aside).st_size
        os.rename(aside, f"{self._directory}/{target}")
        self._note(target, size)
        return True

    def trim(self, needed: Iterable[Key], room: int = 0) -> None:
        """Remove the objects unused for longest until `room` more bytes fit. Those `needed` are never removed."""
        most = self.limit - room
        if self._total <= most:
            return
        kept = {_name(key) for key in needed}
        for name in list(self._sizes):
            if self._total <= most:
                return
            if name.removesuffix(".x") not in kept:
                self._drop(name)
                self.evicted += 1

    @property
    def layered(self) -> bool:
        """Whether a layer has objects here from the start."""
        return self._layer.there

    @property
    def size(self) -> int:
        """Bytes of all objects."""
        return self._total

    @property
    def room(self) -> int:
        """Bytes that there still is room for."""
        return max(0, self.limit - self._total)

    def _note(self, name: str, size: int) -> None:
        seen = _seen(f"{self._directory}/{name}")
        with self._lock:
            if name not in self._sizes:
                self._sizes[name] = size
                self._sound[name] = seen
                self._total += size

    def _drop(self, name: str) -> None:
        self._forget(name)
        with suppress(OSError):
            os.unlink(f"{self._directory}/{name}")

    def _forget(self, name: str) -> None:
        with self._lock:
            self._total -= self._sizes.pop(name, 0)
            self._sound.pop(name, None)
            self._doubted.pop(name, None)
            self._foreign.discard(name)

    def _at(self, name: str) -> str:
        return self._layer.find(name) or f"{self._directory}/{name}"


class _Seen(NamedTuple):
    """A file's signature, which changes with the file. `settled`: any change from now on is sure to change it."""

    inode: int
    ctime_ns: int
    size: int
    settled: bool


def _seen(path: str) -> _Seen:
    now = time.time_ns()
    info = os.lstat(path)
    return _Seen(info.st_ino, info.st_ctime_ns, info.st_size, time_settled(info.st_ctime_ns, now))


def _is_file(path: str) -> bool:
    with suppress(OSError):
        return stat.S_ISREG(os.lstat(path).st_mode)
    return False


def _has_its_bytes(path: str, name: str) -> bool:
    """Whether a file has the bytes and the mode that its name says."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        info = os.fstat(fd)
        mode = stat.S_IFREG | (0o555 if name.endswith(".x") else 0o444)
        return info.st_mode == mode and hash_fd(fd).digest.hex() == name.partition(".")[0]
    finally:
        os.close(fd)


def _name(key: Key) -> str:
    return key.digest.hex() if key.kind is Kind.BLOB else f"{key.digest.hex()}.{key.kind.name.lower()}"


def _write_aside(path: str, parts: Iterable[bytes]) -> tuple[int, bytes]:
    """Write a new file. Returns the number of bytes and their digest."""
    hasher, size = blake3(), 0
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    try:
        for part in parts:
            hasher.update(part)
            size += len(part)
            view = memoryview(part)
            while view:
                view = view[os.write(fd, view) :]
    finally:
        os.close(fd)
    return size, hasher.digest()


def room(directory: str) -> int:
    """How many bytes of objects the file system has room for."""
    found = os.statvfs(directory)
    return int(found.f_bavail * found.f_frsize * _SHARE)
