"""Probes for the tests of the toolchain models: the real disk, counting its questions, and one made of a table."""

from __future__ import annotations

import os
import posixpath
import subprocess
from collections.abc import Mapping, Sequence

from gg.models.drafts import Completed, PathKind


class DiskProbe:
    """The machine as it is. `asked` are the command lines of the programs that were started."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, ...]] = []

    def kind(self, path: bytes) -> PathKind:
        if os.path.isdir(path):
            return PathKind.DIRECTORY
        return PathKind.FILE if os.path.exists(path) else PathKind.MISSING

    def read(self, path: bytes) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    def read_part(self, path: bytes, offset: int, size: int) -> bytes:
        with open(path, "rb", buffering=0) as file:
            return os.pread(file.fileno(), size, offset)

    def list_directory(self, path: bytes) -> tuple[bytes, ...]:
        return tuple(sorted(os.listdir(path)))

    def is_placeholder(self, path: bytes) -> bool:
        return False

    def realpath(self, path: bytes) -> bytes:
        return os.path.realpath(path)

    def run(self, argv: Sequence[bytes], env: Mapping[bytes, bytes], cwd: bytes = b"/") -> Completed:
        self.asked.append(tuple(argv))
        done = subprocess.run(list(argv), env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True)
        return Completed(done.returncode, done.stdout, done.stderr)


class TableProbe:
    """A machine made of files (path to content, `links` path to target) and answers (argv to standard error)."""

    def __init__(
        self,
        files: Mapping[bytes, bytes],
        links: Mapping[bytes, bytes] | None = None,
        answers: Mapping[tuple[bytes, ...], bytes] | None = None,
    ) -> None:
        self.files = dict(files)
        self.links = dict(links or {})
        self.answers = dict(answers or {})
        self.asked: list[tuple[bytes, ...]] = []
        self.envs: list[dict[bytes, bytes]] = []

    def kind(self, path: bytes) -> PathKind:
        real = self.realpath(path)
        if real in self.files:
            return PathKind.FILE
        inside = any(name.startswith(real + b"/") for name in (*self.files, *self.links))
        return PathKind.DIRECTORY if inside else PathKind.MISSING

    def read(self, path: bytes) -> bytes:
        try:
            return self.files[self.realpath(path)]
        except KeyError:
            raise FileNotFoundError(path) from None

    def is_placeholder(self, path: bytes) -> bool:
        return False

    def realpath(self, path: bytes) -> bytes:
        path = posixpath.normpath(path)
        for _ in range(10):
            head = next((p for p in self.links if path == p or path.startswith(p + b"/")), None)
            if head is None:
                return path
            path = posixpath.normpath(posixpath.join(posixpath.dirname(head), self.links[head]) + path[len(head) :])
        raise OSError("too many links")

    def run(self, argv: Sequence[bytes], env: Mapping[bytes, bytes], cwd: bytes = b"/") -> Completed:
        self.asked.append(tuple(argv))
        self.envs.append(dict(env))
        answer = self.answers.get(tuple(argv))
        return Completed(1, b"", b"") if answer is None else Completed(0, b"", answer)
