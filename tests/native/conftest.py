"""A recorder for the native programs to talk to."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gg.record import protocol
from gg.record.protocol import RecorderRequest

Answer = Callable[[RecorderRequest], bytes]


class FakeRecorder:
    """Listens as the recorder does; keeps every request, and answers by a function that tests set."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: list[RecorderRequest] = []
        self.answer: Answer = lambda request: protocol.reply_exit(0)
        self._socket = socket.socket(socket.AF_UNIX)
        # A path longer than sun_path is bound through its directory.
        directory = path.parent
        with OpenDirectory(directory) as fd:
            self._socket.bind(f"/proc/self/fd/{fd}/{path.name}")
        self._socket.listen(64)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                request = protocol.parse_request(self._receive(connection))
                self.requests.append(request)
                connection.sendall(self.answer(request))

    @staticmethod
    def _receive(connection: socket.socket) -> bytes:
        with connection.makefile("rb") as stream:
            (length,) = struct.unpack("<I", stream.read(4))
            return stream.read(length)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


class OpenDirectory:
    """A directory held open, as a descriptor."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> int:
        self._fd = os.open(self._path, os.O_PATH | os.O_DIRECTORY)
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[FakeRecorder]:
    fake = FakeRecorder(tmp_path / "socket")
    yield fake
    fake.close()
