"""The worker's side of a slot's process: it sends requests in, passes the slot's questions on, and takes replies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from gg.errors import FormatError
from gg.wire import frames
from gg.wire.frames import Frame, FrameKind
from gg.worker.slot_process import read_frame

_TAKEN = frozenset({FrameKind.WELCOME, FrameKind.NEED, FrameKind.OUTPUT, FrameKind.REPLY})
_END_S = 5.0
_CANCEL_S = (
    10.0  # that a cancelled request may take to be answered; its command may have stopped the slot's process (SIGSTOP)
)


class SlotDied(Exception):
    """The slot's process has died, because of its command."""


class Relay(Protocol):
    """Has the objects that a slot lacks, and takes its outputs."""

    def lend(self, need: bytes) -> Iterator[bytes]:
        """Answer a question with the parts of objects, as `gg.wire.frames.encode_object` makes them. OSError."""
        ...

    def put_part(self, output: bytes, *, last: bool) -> None:
        """Take a part of an output, encoded by `encode_output`. OSError."""
        ...

    def end(self) -> None:
        """The request has ended: an output that is not whole never will be."""
        ...


class SlotFront:
    """One slot. Its process is started when it is first needed, and again after it has died."""

    def __init__(self, directory: str, *, memory: int, cache: int, exposed: bool = False) -> None:
        self._words = [sys.executable, "-P", "-m", "gg.worker.slot_process", directory, str(memory), str(cache)]
        self._words += ["--exposed"] if exposed else []
        self._process: subprocess.Popen[bytes] | None = None
        self._sending = threading.Lock()
        self._number = 0
        self._handling = 0  # the number of the request that is not answered yet
        self._whole = frames.Whole({FrameKind.REPLY: frames.MOST_REPLY})

    def handle(self, data: bytes, *, relay: Relay, stop: threading.Event) -> bytes:
        """Handle a request, and return the reply. SlotDied; OSError when the slot cannot be started, or the relay has trouble."""
        process = self._process or self._start()
        self._number += 1
        self._handling = self._number
        try:
            self._send(frames.encode_frames(FrameKind.RUN, self._number, data))
            if stop.is_set():
                self.cancel()
            return self._serve(process, relay)
        except (BrokenPipeError, SlotDied):
            self._end()
            raise SlotDied from None
        except BaseException:
            self._end()  # the slot may wait for an object that will never come
            raise
        finally:
            self._handling = 0

    def cancel(self) -> None:
        """End the current request. The slot answers it all the same, or is ended itself. From any thread."""
        if number := self._handling:
            watch = threading.Timer(_CANCEL_S, self._kill_if_handling, (number,))
            watch.daemon = True
            watch.start()
        with suppress(OSError):
            self._send(frames.encode_frames(FrameKind.CANCEL, self._number))

    def _kill_if_handling(self, number: int) -> None:
        process = self._process
        if self._handling == number and process is not None:
            process.kill()

    def close(self) -> None:
        self._end()

    @property
    def pid(self) -> int:
        """The number of the slot's process; 0 when there is none."""
        return self._process.pid if self._process else 0

    def _serve(self, process: subprocess.Popen[bytes], relay: Relay) -> bytes:
        while True:
            frame = self._read(process)
            if frame is None:
                raise SlotDied
            if frame.kind is FrameKind.NEED:
                for part in relay.lend(frame.data):
                    self._send([frames.one(FrameKind.OBJECT, frame.number, part, last=True)])
            elif frame.kind is FrameKind.OUTPUT:
                relay.put_part(frame.data, last=frame.last)
            elif frame.kind is FrameKind.REPLY:
                reply = self._whole.take(frame)
                if reply is not None:
                    return reply

    def _read(self, process: subprocess.Popen[bytes]) -> Frame | None:
        assert process.stdout is not None
        try:
            return read_frame(process.stdout, _TAKEN)
        except FormatError:
            return None  # a command has got hold of the stream: the slot counts as dead

    def _send(self, encoded: list[bytes]) -> None:
        process = self._process
        stream = process.stdin if process else None
        if stream is None:
            raise BrokenPipeError
        with self._sending:
            try:
                for each in encoded:
                    stream.write(each)
                stream.flush()
            except ValueError:  # another thread has closed it
                raise BrokenPipeError from None

    def _start(self) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(self._words, stdin=pipe, stdout=pipe, process_group=0)
        self._process = process
        ready = self._read(process)
        if ready is None or ready.kind is not FrameKind.WELCOME:
            self._end()
            raise OSError("a slot's process does not start")
        return process

    def _end(self) -> None:
        """End the process, and every process that it has left."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):
            process.stdin.close()  # the slot ends its command, and then itself
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def end_strays(keep: set[int], seconds: float = _END_S) -> None:
    """End the children of this process that are not in `keep`: processes that a dead slot has left. This process must be a
    subreaper.
    """
    end = time.monotonic() + seconds
    while (strays := _children() - keep) and time.monotonic() < end:
        for pid in strays:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.002)


def _children() -> set[int]:
    found: set[int] = set()
    for task in os.listdir("/proc/self/task"):
        with suppress(OSError), open(f"/proc/self/task/{task}/children", "rb") as file:
            found.update(int(word) for word in file.read().split())
    return found
