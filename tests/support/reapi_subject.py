"""The reapi engine over a cluster, with real commands: lines of shell, whose shell is declared."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from gg.core.ids import BlobId, SandboxPath, ThunkId
from gg.core.placeholder import Placeholder, PlaceholderWriter
from gg.core.thunk import File
from gg.engines.awslambda.lambda_engine import LambdaEngine
from gg.engines.engine import Engine
from gg.engines.reapi.cluster import ClusterConfig
from gg.engines.reapi.reapi_engines import reapi_engine
from gg.host.filedb import FileDB
from gg.run.expand import Groups
from gg.store.directory import DirectoryStore
from gg.workspace.granted import Granted
from gg.workspace.later import Later
from tests.conformance.engine_suite import PATIENCE, Subject
from tests.support.thunks import Graph

PROGRAMS = ("/bin/sh", "/usr/bin/cat", "/usr/bin/sleep")


class ReapiSubject(Subject):
    def __init__(self, where: Path, cluster: ClusterConfig) -> None:
        self.where = where
        (where / "w").mkdir()
        self.store = DirectoryStore(where / ".gg")
        self.groups = Groups(self.store)
        self.graph = Graph(self.store, str(where / "w"))
        self.files = FileDB(None)
        self.cluster = cluster
        self.shell_files = tuple(declared(path) for path in _closure(PROGRAMS))
        self._seconds = f"1000.{os.getpid()}{id(self)}"  # marks the processes of one test

    def engine(self, slots: int = 2, later: Later | None = None) -> LambdaEngine:
        return reapi_engine(
            self.cluster,
            store=self.store,
            groups=self.groups,
            files=lambda: self.files,
            slots=slots,
            granted=Granted(os.fsencode(self.where / "w")),
            later=later,
        )

    def shell(self, name: str, script: str, *arguments: str | bytes, files: tuple[File, ...] = ()) -> ThunkId:
        needs = (*self.shell_files, *files)
        return self.graph.thunk(name, ["sh", "-c", script, "sh", *arguments], *needs, program="/bin/sh")

    def concat(self, name: str, text: str, *files: File) -> ThunkId:
        script = 't=$1; shift; { test $# = 0 || cat "$@"; printf %s "$t"; } > ' + name
        return self.shell(name, script, text, *(f.path for f in files), files=files)

    def say(self, name: str, status: int, out: str, err: str) -> ThunkId:
        return self.shell(name, f'printf %s "$1"; printf %s "$2" >&2; : > {name}; exit {status}', out, err)

    def hang(self, name: str) -> ThunkId:
        return self.shell(name, f"sleep {self._seconds}; : {name}")

    def read(self, name: str, what: bytes) -> ThunkId:
        return self.shell(name, f'cat "$1" > {name}', what)

    def undeclared(self, name: str, found: bytes | Placeholder) -> bytes:
        path = self.where / "w" / name
        path.write_bytes(PlaceholderWriter(b"/launcher").encode(*found) if isinstance(found, Placeholder) else found)
        return os.fsencode(path)

    def hanging(self, engine: Engine) -> int:
        """A cluster ends what it is asked to end a little later."""
        assert isinstance(engine, LambdaEngine)
        end = time.monotonic() + (PATIENCE if engine.closed else 0.0)
        while (count := self._count()) and time.monotonic() < end:
            time.sleep(0.01)
        return count

    def _count(self) -> int:
        count = 0
        for entry in os.listdir("/proc"):
            try:
                words = Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            count += entry.isdigit() and words[-2:] == [self._seconds.encode(), b""]
        return count


def declared(path: str) -> File:
    """A file of this machine, as an input."""
    return File(SandboxPath(os.fsencode(path)), BlobId.of(Path(path).read_bytes()), os.access(path, os.X_OK))


def _closure(programs: tuple[str, ...]) -> list[str]:
    """The programs with what the dynamic loader needs for them."""
    found = dict.fromkeys(programs)
    for program in programs:
        said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        found.update(dict.fromkeys([word for word in said.split() if word.startswith("/")]))
    return list(found)
