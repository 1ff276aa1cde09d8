"""The engine suite on the local engine, with either isolation, and on the fake that tests of the driver use."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from gg.core.ids import SandboxPath, ThunkId
from gg.core.placeholder import Placeholder, PlaceholderWriter
from gg.core.thunk import File, Reduction
from gg.engines.engine import Engine
from gg.engines.local.local_engine import LocalEngine
from gg.host.filedb import FileDB
from gg.host.machine import memory_total, oom_kills
from gg.run.expand import Groups
from gg.run.job import Isolation
from gg.store.base import read_blob
from gg.store.directory import DirectoryStore
from gg.store.memory import MemoryStore
from tests.conformance.engine_suite import Answers, EngineSuite, PretendedCommands, Subject
from tests.support.fake_engine import FakeEngine
from tests.support.thunks import Graph


class FakeSubject(PretendedCommands):
    def __init__(self) -> None:
        self.store = MemoryStore()
        self.graph = Graph(self.store)
        self._world: dict[bytes, bytes | Placeholder] = {}

    def engine(self, slots: int = 2) -> Engine:
        return FakeEngine(self.store, slots=slots, world=self._world)

    def undeclared(self, name: str, found: bytes | Placeholder) -> bytes:
        path = self.graph.path(name)
        self._world[path] = found
        return path

    def hanging(self, engine: Engine) -> int:
        assert isinstance(engine, FakeEngine)
        return len(engine.hanging)


class TestFakeEngine(EngineSuite):
    @pytest.fixture
    def subject(self) -> Subject:
        return FakeSubject()


class LocalSubject(Subject):
    """Commands are lines of shell; what runs the shell is not declared, and is taken in."""

    def __init__(self, where: Path, isolation: Isolation) -> None:
        self.where = where
        (where / "w").mkdir()
        self.store = DirectoryStore(where / ".gg")
        self.graph = Graph(self.store, str(where / "w"))
        self.isolation = isolation
        self.files = FileDB(None)
        self._seconds = f"1000.{os.getpid()}{time.monotonic_ns()}"  # marks the processes of one test

    def engine(self, slots: int = 2) -> LocalEngine:
        return LocalEngine(
            store=self.store,
            files=lambda: self.files,
            groups=Groups(self.store),
            tmp=str(self.where / ".gg" / "tmp"),
            slots=slots,
            isolation=self.isolation,
            dot=str(self.where / ".gg"),
        )

    def shell(self, name: str, script: str, *arguments: str | bytes, files: tuple[File, ...] = ()) -> ThunkId:
        return self.graph.thunk(name, ["sh", "-c", script, "sh", *arguments], *files, program="/bin/sh")

    def concat(self, name: str, text: str, *files: File) -> ThunkId:
        script = 't=$1; shift; { test $# = 0 || cat "$@"; printf %s "$t"; } > ' + name
        return self.shell(name, script, text, *(f.path for f in files), files=files)

    def say(self, name: str, status: int, out: str, err: str) -> ThunkId:
        return self.shell(name, f'printf %s "$1"; printf %s "$2" >&2; : > {name}; exit {status}', out, err)

    def hang(self, name: str) -> ThunkId:
        return self.shell(name, f"sleep {self._seconds} & sleep {self._seconds}")

    def read_when(self, text: str) -> str:
        """Shell that adds `edited` to `out` once it holds `text`, or after a while. Until then it hangs."""
        return f"sleep {self._seconds} & {until(text)}; cat edited >> out; kill $!"

    def read(self, name: str, what: bytes) -> ThunkId:
        return self.shell(name, f'cat "$1" > {name}', what)

    def undeclared(self, name: str, found: bytes | Placeholder) -> bytes:
        path = self.where / "w" / name
        path.write_bytes(PlaceholderWriter(b"/launcher").encode(*found) if isinstance(found, Placeholder) else found)
        return os.fsencode(path)

    def hanging(self, engine: Engine) -> int:
        """Commands of which both processes run; 0 only when there is none of either."""
        count = 0
        for entry in os.listdir("/proc"):
            try:
                words = Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            count += entry.isdigit() and words[:2] == [b"sleep", self._seconds.encode()]
        return (count + 1) // 2

    def real(self, name: str, data: bytes) -> File:
        """A declared file that stands at its own path, and not in the store."""
        from gg.core.ids import BlobId

        path = self.where / "w" / name
        path.write_bytes(data)
        return File(SandboxPath(os.fsencode(path)), BlobId.of(data))


def until(text: str) -> str:
    """Shell that waits, but not for long, until the file `edited` holds `text`."""
    return f"n=0; until grep -q {text} edited || [ $n = 60 ]; do n=$((n + 1)); sleep 0.05; done"


@pytest.fixture(params=Isolation, ids=lambda isolation: isolation.value)
def local(request: pytest.FixtureRequest, tmp_path: Path) -> LocalSubject:
    return LocalSubject(tmp_path, request.param)


class TestLocalEngine(EngineSuite):
    @pytest.fixture
    def subject(self, local: LocalSubject) -> Subject:
        return local

    def test_an_input_is_read_in_place(self, local: LocalSubject) -> None:
        thunk = local.concat("out", "!", local.real("here", b"here"))
        time.sleep(0.05)  # a file that was changed just now is read from the store
        with self.running(local) as answers:
            assert self.output(local, answers.of(thunk)) == b"here!"

    def test_an_input_that_was_edited_since(self, local: LocalSubject) -> None:
        """Its recorded bytes are used while the store has them, and the edit is not."""
        file = local.graph.file("edited", b"old")
        (local.where / "w" / "edited").write_bytes(b"new")
        with self.running(local) as answers:
            assert self.output(local, answers.of(local.concat("out", "", file))) == b"old"

    def test_an_input_that_is_edited_under_way(self, local: LocalSubject) -> None:
        """The command reads what was written meanwhile: it runs again, with the bytes that were recorded."""
        file = local.real("edited", b"old")
        local.graph.file("edited", b"old")
        time.sleep(0.05)
        thunk = local.shell("out", f"cat edited > out; {local.read_when('new')}", files=(file,))
        with self.running(local) as answers:
            answers.submit(1, thunk)
            self.until_hanging(local, answers, 1)
            (local.where / "w" / "edited").write_bytes(b"new")
            assert self.output(local, answers.next().result) == b"oldold"

    def test_an_input_that_is_edited_and_put_back_under_way(self, local: LocalSubject) -> None:
        """The bytes are right afterwards, and those that were read were not."""
        file = local.real("edited", b"old")
        time.sleep(0.1)
        thunk = local.shell("out", f"{local.read_when('new')}; {until('old')}", files=(file,))
        path = local.where / "w" / "edited"
        with self.running(local) as answers:
            answers.submit(1, thunk)
            self.until_hanging(local, answers, 1)
            path.write_bytes(b"new")
            self.until_hanging(local, answers, 0)
            path.write_bytes(b"old")
            assert self.output(local, answers.next().result) == b"old"

    def test_nothing_is_written_outside(self, local: LocalSubject) -> None:
        with self.running(local) as answers:
            result = answers.of(local.shell("out", "echo x > out; echo y > beside; mkdir d; echo z > d/f"))
        assert isinstance(result, Reduction)
        assert os.listdir(local.where / "w") == []
        extra = {os.fsdecode(path): read_blob(local.store, made.blob) for path, made in result.extra_outputs}
        assert extra == {f"{local.where}/w/beside": b"y\n", f"{local.where}/w/d/f": b"z\n"}

    def test_an_output_that_was_left_as_it_was(self, local: LocalSubject) -> None:
        file = local.graph.file("lib.a", b"already indexed")
        with self.running(local) as answers:
            assert (
                self.output(local, answers.of(local.shell("lib.a", ": < lib.a", files=(file,)))) == b"already indexed"
            )

    def test_what_a_command_leaves_in_the_background_ends(self, local: LocalSubject) -> None:
        with self.running(local) as answers:
            answers.of(local.shell("out", f"sleep {local._seconds} & echo x > out"))
            self.until_hanging(local, answers, 0)

    def test_scratch_is_removed(self, local: LocalSubject) -> None:
        with self.running(local) as answers:
            answers.of(local.concat("out", "x"))
        assert os.listdir(local.where / ".gg" / "tmp") == []


def test_a_program_written_a_moment_ago_is_not_busy(tmp_path: Path) -> None:
    """Another thread forks while the executable is still open for writing; execve then says ETXTBSY for a while."""
    local = LocalSubject(tmp_path, Isolation.PATHMAP)
    program = tmp_path / "w" / "prog"
    program.write_bytes(Path("/bin/true").read_bytes())
    program.chmod(0o755)
    thunk = local.graph.thunk("out", ["prog"], program=str(program))
    with open(program, "r+b") as held:
        child = subprocess.Popen(["sleep", "0.3"], pass_fds=[held.fileno()])
    answers = Answers(local.engine(), local.graph)
    result = answers.of(thunk)
    answers.engine.close()
    child.wait()
    assert isinstance(result, Reduction)


def test_the_machine(tmp_path: Path) -> None:
    meminfo, limit, none, vmstat = (tmp_path / name for name in ("meminfo", "limit", "none", "vmstat"))
    meminfo.write_text("MemFree: 1 kB\nMemTotal:        2048 kB\n")
    limit.write_text("1048576\n")
    none.write_text("max\n")
    vmstat.write_text("pgfault 7\noom_kill 3\n")
    assert memory_total(str(meminfo), (str(none), str(tmp_path / "absent"))) == 2048 * 1024
    assert memory_total(str(meminfo), (str(limit),)) == 1048576
    assert memory_total(str(tmp_path / "absent"), ()) is None
    assert oom_kills(str(vmstat)) == 3
    assert LocalSubject(tmp_path, Isolation.PATHMAP).engine().caps.memory_total == memory_total()


def test_two_that_are_killed_at_once_for_want_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is told so, though the first to be answered has seen both kills; who begins later is not."""
    kills = [5]
    monkeypatch.setattr("gg.host.machine.oom_kills", lambda: kills[0])
    engine = LocalSubject(tmp_path, Isolation.PATHMAP).engine()
    started = time.time()
    kills[0] = 7
    assert engine._kills.since(started)
    assert engine._kills.since(started)
    time.sleep(0.01)
    assert not engine._kills.since(time.time())
    engine.close()
