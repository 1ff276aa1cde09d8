"""A worker's objects on disk: files named by digest, the least recently used removed when they come to too much.

A file is written aside, and renamed once its bytes have been hashed and found right: what is in the cache was verified.
Nothing is believed of an earlier process: the directory is emptied at the start. For one thread, but for `put`.

An executable is a file of its own, `HEX.x`: a mode belongs to the file, and an assembler's input must not look like a
program because another thunk executes the same bytes.

What is in a `Layer` is here from the start: it is used where it stands, counts nothing, and is never removed.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress

from blake3 import blake3

from gg.core.thunk import File
from gg.errors import FormatError
from gg.store.base import Key, Kind
from gg.worker.layer_objects import Layer

_SHARE = 0.8  # of what the file system has, for all objects together


class Cache:
    """Objects by key. `limit` in bytes; 0 for most of what the file system has now. `layer`: what is here besides."""

    def __init__(self, directory: str, limit: int = 0, layer: Layer | None = None) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory)
        self._directory = directory
        self._layer = layer or Layer()
        self.limit = limit or _room(directory)
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] = OrderedDict()  # by file name, the least recently used first
        self._total = 0
        self._aside = 0
        self.evicted = 0

    def place(self, file: File) -> str:
        """Where the bytes of a declared file are or will be. Always the same for a file."""
        return self._at(f"{file.blob.digest.hex()}.x" if file.executable else file.blob.digest.hex())

    def have(self, key: Key, executable: bool = False) -> bool:
        """Whether it is here; if so it counts as used now."""
        name = _name(key) + ".x" if executable else _name(key)
        if name in self._sizes:
            self._sizes.move_to_end(name)
            return True
        return self._layer.find(name) is not None

    def get(self, key: Key) -> bytes | None:
        """The bytes of an object that is here."""
        if not self.ready(key, executable=False):
            return None
        with open(self._at(_name(key)), "rb", buffering=0) as file:
            return file.read()

    def put(self, key: Key, data: bytes) -> None:
        """Keep an object; FormatError if these are not its bytes. From any thread."""
        self.put_parts(key, (data,))

    def put_parts(self, key: Key, parts: Iterable[bytes]) -> None:
        """Keep an object that comes in parts; FormatError if these are not its bytes. From any thread."""
        name = _name(key)
        if self._layer.find(name) or self._layer.find(name + ".x"):
            return
        with self._lock:
            if name in self._sizes:
                return
            self._aside += 1
            aside = f"{self._directory}/aside{self._aside}"
        try:
            size, digest = _write_aside(aside, parts)
            if digest != key.digest:
                raise FormatError(f"the {key.kind.name.lower()} {key.digest.hex()} does not have these bytes")
            os.rename(aside, f"{self._directory}/{name}")
        except BaseException:
            with suppress(OSError):
                os.unlink(aside)
            raise
        self._note(name, size)

    def ready(self, key: Key, executable: bool, both: bool = False) -> bool:
        """Whether an object is here, made of its other form if need be, which is kept only if `both` are wanted."""
        if self.have(key, executable):
            return True
        plain, program = _name(key), _name(key) + ".x"
        source, target = (plain, program) if executable else (program, plain)
        fixed = self._layer.find(source)
        if fixed is None and source not in self._sizes:
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
        """Remove what was not used for longest until `room` more bytes are within the limit; never what is `needed`."""
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
        """Whether something is here from the start."""
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
        with self._lock:
            if name not in self._sizes:
                self._sizes[name] = size
                self._total += size

    def _drop(self, name: str) -> None:
        self._forget(name)
        os.unlink(f"{self._directory}/{name}")

    def _forget(self, name: str) -> None:
        with self._lock:
            self._total -= self._sizes.pop(name)

    def _at(self, name: str) -> str:
        return self._layer.find(name) or f"{self._directory}/{name}"


def _name(key: Key) -> str:
    return key.digest.hex() if key.kind is Kind.BLOB else f"{key.digest.hex()}.{key.kind.name.lower()}"


def _write_aside(path: str, parts: Iterable[bytes]) -> tuple[int, bytes]:
    """How many bytes were written, and their digest."""
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


def _room(directory: str) -> int:
    found = os.statvfs(directory)
    return int(found.f_bavail * found.f_frsize * _SHARE)
