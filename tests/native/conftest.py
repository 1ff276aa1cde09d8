"""The native programs, compiled from the sources beside the tests, and a recorder to talk to."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gg.record import protocol
from gg.record.protocol import RecorderRequest

SOURCES = Path(__file__).resolve().parents[2] / "toolchain-wrappers"
_FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-U_FORTIFY_SOURCE")
# With GG_SANITIZE=1, as `.ci/run` does once: what C leaves undefined ends a process by SIGILL. That needs no library of its own,
# so programs stay static and libraries can be preloaded into anything. Warnings are other ones then.
_MORE = (
    ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error", "-Wno-error")
    if os.environ.get("GG_SANITIZE")
    else ()
)
_LIBRARY = (*_FLAGS, "-fPIC", "-shared", "-fvisibility=hidden", "-Wl,-z,lazy")


@dataclass(frozen=True, slots=True)
class Native:
    """Paths of the programs and libraries under test."""

    shim: Path
    record: Path
    pathmap: Path
    jail: Path
    trace: Path


def cc(*arguments: str | Path) -> None:
    subprocess.run(["cc", *map(str, arguments)], check=True)


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Native:
    """What CMakeLists.txt builds, with warnings as errors."""
    where = tmp_path_factory.mktemp("native")
    built = Native(
        where / "gg-shim", where / "libgg-record.so", where / "libgg-pathmap.so", where / "gg-jail", where / "gg-trace"
    )
    common = SOURCES / "common"
    family = common / "exec_family.c"
    shared = [common / name for name in ("wire.c", "programs.c", "outside.c")]
    cc(*_FLAGS, "-static", *_MORE, "-o", built.shim, *sorted((SOURCES / "shim").glob("*.c")), *shared)
    cc(*_LIBRARY, *_MORE, "-o", built.record, family, *shared, *sorted((SOURCES / "record").glob("*.c")))
    cc(*_LIBRARY, *_MORE, "-o", built.pathmap, family, *sorted((SOURCES / "pathmap").glob("*.c")))
    cc(*_FLAGS, "-static", *_MORE, "-o", built.jail, SOURCES / "jail" / "jail.c")
    cc(*_FLAGS, "-static", *_MORE, "-o", built.trace, common / "wire.c", *sorted((SOURCES / "trace").glob("*.c")))
    return built


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
