"""One slot of a worker, as a process: `python -m gg.worker.slot_process DIRECTORY MEMORY CACHE [--exposed]`.

It takes requests one after the other on its standard input and answers on its standard output, in frames as between a
coordinator and a worker (`gg.wire.frames`): RUN, CANCEL and OBJECT come in; WELCOME (once, when it is ready), NEED, OUTPUT and
REPLY go out. So a command can at most end the slot that runs it, and the worker knows which command it was. When the input ends,
the running command is ended. The slot first puts up its walls (`gg.worker.walls`). If it cannot, it ends without a word, unless
its commands may be `--exposed`.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import IO, BinaryIO

from gg.errors import FormatError, SetupError
from gg.run.ending import end_descendants
from gg.schedule.events import Fault
from gg.store.base import Key
from gg.wire import frames
from gg.wire.frames import Frame, FrameKind
from gg.wire.reply import Refused
from gg.worker.between import Spoilt
from gg.worker.disk_cache import Cache
from gg.worker.refused_reply import refuse_all
from gg.worker.serve import Worker
from gg.worker.walls import NO_FILTER, put_up

_TAKEN = frozenset({FrameKind.RUN, FrameKind.CANCEL, FrameKind.OBJECT})
_PARTS = 64
_AT_ONCE = 256
_PATIENCE_S = 180.0

FilePart = tuple[int, bytes | None, bool]


def read_frame(stream: IO[bytes], taken: frozenset[FrameKind]) -> Frame | None:
    """The next frame, or None at the end. FormatError."""
    head = stream.read(frames.HEAD.size)
    if len(head) < frames.HEAD.size:
        return None
    kind, last, number, length = frames.decode_head(head, taken)
    data = stream.read(length)
    return Frame(kind, number, last, data) if len(data) == length else None


class SlotServer:
    """Serves the process at the other end of the two streams."""

    def __init__(self, worker: Worker, requests: BinaryIO, replies: BinaryIO) -> None:
        self._worker = worker
        self._in = requests
        self._out = replies
        self._sending = threading.Lock()
        self._begun: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()
        self._change = threading.Lock()
        self._number = 0
        self._stop = threading.Event()
        self._question = 0
        self._parts: queue.Queue[FilePart] = queue.Queue(_PARTS)

    def serve(self) -> None:
        """Serve until the input ends; then the process ends."""
        threading.Thread(target=self._hear, daemon=True).start()
        self.send(FrameKind.WELCOME, 0, b"")
        while True:
            number, request = self._begun.get()
            with self._change:
                self._number, self._stop = number, threading.Event()
            reply = self._handled(request)
            with self._change:
                self._number = 0
            self.send(FrameKind.REPLY, number, reply)

    def _handled(self, request: bytes) -> bytes:
        """The reply. A bug of the worker's own is no death of this process: that would be the command's doing. Spoilt."""
        try:
            return self._worker.handle(request, source=_Front(self), stop=self._stop)
        except Spoilt:
            raise
        except Exception as error:
            return refuse_all(Refused(Fault.INFRA, f"worker: {type(error).__name__}: {error}"), request)

    def send(self, kind: FrameKind, number: int, data: bytes, *, last: bool | None = None) -> None:
        """Send a message or, if `last` is given, one frame of a message."""
        whole = (
            frames.encode_frames(kind, number, data) if last is None else [frames.one(kind, number, data, last=last)]
        )
        with self._sending:
            for each in whole:
                self._out.write(each)
            self._out.flush()

    def _hear(self) -> None:
        whole = frames.Whole({FrameKind.RUN: frames.MOST_REQUEST})
        try:
            while (frame := read_frame(self._in, _TAKEN)) is not None:
                self._take(frame, whole)
        except (OSError, FormatError):
            pass
        end_descendants(everybody=False)
        os._exit(0)

    def _take(self, frame: Frame, whole: frames.Whole) -> None:
        if frame.kind is FrameKind.RUN:
            request = whole.take(frame)
            if request is not None:
                self._begun.put((frame.number, request))
        elif frame.kind is FrameKind.CANCEL:
            with self._change:
                if frame.number == self._number:
                    self._stop.set()
                    self._worker.cancel()
        elif frame.number == self._question:
            self._parts.put(frames.decode_object(frame.data))

    # For `_Front`

    def ask(self, keys: Sequence[Key]) -> None:
        self._question += 1
        self.send(FrameKind.NEED, self._question, frames.encode_need([(int(key.kind), key.digest) for key in keys]))

    def part(self) -> FilePart:
        try:
            return self._parts.get(timeout=_PATIENCE_S)
        except queue.Empty:
            raise OSError("objects that were asked for do not come") from None

    def forget(self) -> None:
        """Drop further parts of the last answer: nobody wants them any more."""
        self._question += 1
        while not self._parts.empty():
            self._parts.get()

    def output(self, data: bytes, *, last: bool) -> None:
        self.send(FrameKind.OUTPUT, self._number, data, last=last)


class _Front:
    """The worker's front, as the source of missing objects and the destination of big outputs."""

    requests = puts = 0  # of S3

    def __init__(self, slot: SlotServer) -> None:
        self._slot = slot

    def fetch(self, keys: Sequence[Key], cache: Cache) -> None:
        """Put the objects of `keys` that the front has into the cache. OSError."""
        for at in range(0, len(keys), _AT_ONCE):
            some = keys[at : at + _AT_ONCE]
            self._slot.ask(some)
            try:
                for _ in some:
                    self._fetch_one(some, cache)
            finally:
                self._slot.forget()

    def _fetch_one(self, asked: Sequence[Key], cache: Cache) -> None:
        """Take the next object, whichever of those it is."""
        index, data, last = self._slot.part()
        if data is not None:
            parts = self._parts(index, data, last=last)
            cache.put_parts(asked[index], parts)
            for _ in parts:  # an object that is here already
                pass

    def _parts(self, index: int, data: bytes, *, last: bool) -> Iterator[bytes]:
        while True:
            yield data
            if last:
                return
            found, more, last = self._slot.part()
            if found != index or more is None:
                raise OSError("a part of another object came")
            data = more

    def put_file(self, key: Key, path: str) -> None:
        """Send a blob. OSError."""
        size = frames.PART - len(key.digest)
        with open(path, "rb") as file:
            data = file.read(size)
            while True:
                more = file.read(size)
                self._slot.output(frames.encode_output(key.digest, data), last=not more)
                if not more:
                    return
                data = more


def main(directory: str, memory: int, cache: int, *, exposed: bool) -> None:
    """Serve on the standard streams. Nothing else can write to them."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    if NO_FILTER in put_up(directory) and not exposed:  # before a second thread exists
        sys.exit(SetupError.exit_code)
    SlotServer(Worker(directory, memory=memory, cache=cache), requests, replies).serve()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), exposed=sys.argv[4:] == ["--exposed"])
