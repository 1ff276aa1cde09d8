"""Serves a store of this machine on a Unix socket, to builds that see nothing else of it: see `gg.share.socket_store`."""

from __future__ import annotations

import os
import socketserver
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, cast

from gg.errors import FormatError, GGError, StoreError, UsageError
from gg.share.socket_frames import MOST_BYTES, MOST_FRAMES, USED, StoreFrame, StoreOp, plain, read, write
from gg.store.base import Store


class StoreServer(socketserver.ThreadingUnixStreamServer):
    """Serves `store` at the socket `path`, which is made anew with the permissions `mode`. UsageError when that fails."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: str, store: Store, mode: int) -> None:
        self.store = store
        _make_room(path)
        umask = os.umask(0o777 & ~mode)
        try:
            super().__init__(path, _Client)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror or error}", hint="a path of less than 108 characters") from error
        finally:
            os.umask(umask)


def _make_room(path: str) -> None:
    """Remove the socket that an earlier server has left. UsageError if something else is at `path`."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise UsageError(f"{path} is there, and no socket", hint="name another path")
        os.unlink(path)


class _Client(socketserver.StreamRequestHandler):
    wbufsize = 1 << 16

    def handle(self) -> None:
        store = cast("StoreServer", self.server).store
        reading, writing = cast("BinaryIO", self.rfile), cast("BinaryIO", self.wfile)
        with suppress(OSError, EOFError, FormatError):  # nonsense gets no answer
            while True:
                question = _question(reading)
                try:
                    for frame in _answer(store, question):
                        write(writing, frame)
                    write(writing, plain(StoreOp.END))
                except GGError as error:
                    write(writing, plain(StoreOp.ERROR, str(error).encode()))
                writing.flush()


def _question(stream: BinaryIO) -> list[StoreFrame]:
    """Read one question: all frames up to END. EOFError, FormatError."""
    found: list[StoreFrame] = []
    room = MOST_BYTES
    while (frame := read(stream, room)).op is not StoreOp.END:
        room -= len(frame.data)
        found.append(frame)
        if len(found) > MOST_FRAMES or frame.op is not found[0].op:
            raise FormatError("a question that is none")
    return found


def _answer(store: Store, question: list[StoreFrame]) -> Iterator[StoreFrame]:
    if not question:
        return
    keys = [frame.key for frame in question]
    match question[0].op:
        case StoreOp.GET:
            for key in keys:
                for data in store.get([key]).values():
                    yield StoreFrame(StoreOp.OBJECT, key, data)
        case StoreOp.HAS:
            yield from (StoreFrame(StoreOp.OBJECT, key) for key in store.has(keys))
        case StoreOp.PUT:
            store.put({frame.key: frame.data for frame in question})
        case StoreOp.DELETE:
            store.delete(keys)
        case StoreOp.KEYS:
            yield from (
                StoreFrame(StoreOp.OBJECT, each.key, USED.pack(each.size, each.used))
                for each in store.keys(keys[0].kind)
            )
        case _:
            raise StoreError("no question that a store knows")
