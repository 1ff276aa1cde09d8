"""Jobs that every way of running a thunk must do alike, and a bench that declares what each of them reads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gg.core.ids import SandboxPath
from gg.core.thunk import Directory, File, Output, Symlink, Thunk, Work
from gg.host.trees import hash_file
from gg.run.expand import Groups
from gg.run.job import Isolation, Job, RunResult
from gg.run.runner import Runner
from gg.store.memory import MemoryStore
from tests.native.maps import declared

Declared = File | Symlink | Directory

SOURCES = {
    "main.c": '#include <stdio.h>\n#include "part.h"\nint main(void) { printf("%d\\n", part(X)); return 0; }\n',
    "part.h": "#define X 4\nint part(int);\n",
    "part.c": '#include "part.h"\nint part(int x) { return x + X; }\n',
    "wide.cc": "#include <vector>\nstd::vector<int> f(int n) { return std::vector<int>(n, __LINE__); }\n",
    "broken.c": "int f(void) { return nowhere; }\n",
    "warned.c": "int f(void) { int unused; return 0; }\n",
    "made.sh": "#!/bin/sh\nset -e\nfor i in 1 2; do echo $i $0; done > out.txt\ncat part.h >> out.txt\necho done >&2\n",
}


@dataclass(frozen=True)
class Case:
    """One command. `after`: cases that make its inputs. `in_place`: it changes its outputs, so they are inputs."""

    name: str
    argv: Sequence[str]
    outputs: Sequence[str] = ()
    after: Sequence[str] = ()
    in_place: bool = False


CASES = (
    Case("compile", ("gcc", "-O2", "-c", "main.c", "-o", "main.o"), ["main.o"]),
    Case("part", ("gcc", "-g", "-c", "part.c", "-o", "part.o"), ["part.o"]),
    Case("debug", ("g++", "-g", "-O1", "-c", "wide.cc", "-o", "wide.o"), ["wide.o"]),
    Case("save-temps", ("gcc", "-save-temps", "-c", "part.c", "-o", "p.o"), ["p.o"]),
    Case("warning", ("gcc", "-Wall", "-c", "warned.c", "-o", "warned.o"), ["warned.o"]),
    Case("failing", ("gcc", "-c", "broken.c", "-o", "broken.o"), ["broken.o"]),
    Case("link", ("gcc", "main.o", "part.o", "-o", "prog"), ["prog"], ["compile", "part"]),
    Case("archive", ("ar", "rcs", "lib.a", "main.o", "part.o"), ["lib.a"], ["compile", "part"]),
    Case("strip", ("strip", "prog"), ["prog"], ["link"], in_place=True),
    Case("shell", ("./made.sh",), ["out.txt"]),
    Case("extra", ("sh", "-c", "echo a > a.txt; mkdir d; echo b > d/b.txt; chmod 755 a.txt"), ["a.txt"]),
    Case("removes", ("sh", "-c", "rm main.o; echo x > y"), ["y"], ["compile"]),
    Case("renames", ("sh", "-c", "mv main.o other.o; cp part.h copy.h; ln -s copy.h ln.h"), ["other.o"], ["compile"]),
    Case("appends", ("sh", "-c", "echo more >> part.h"), ["part.h"], in_place=True),
    Case("status", ("sh", "-c", "echo out; echo err >&2; exit 7"), []),
    Case("signal", ("sh", "-c", "kill -SEGV $$"), []),
    Case("temporary", ("sh", "-c", 'echo x > "$TMPDIR/t"; cat "$TMPDIR/t" > t; test ! -e old && test -d .'), ["t"]),
)


@dataclass(frozen=True)
class Result:
    """All that can be compared of a run."""

    status: int
    stdout: bytes
    stderr: bytes
    written: dict[bytes, tuple[bytes, bool]]
    removed: frozenset[bytes]
    reads: frozenset[bytes] | None

    @classmethod
    def of(cls, ran: RunResult) -> Result:
        written = {bytes(p): (Path(place).read_bytes(), executable) for p, (place, executable) in ran.written.items()}
        reads = None if ran.reads is None else frozenset(f.path for f in ran.reads)
        return cls(ran.status, ran.stdout, ran.stderr, written, frozenset(ran.removed), reads)


class Bench:
    """A small project and a runner for it."""

    def __init__(self, where: Path) -> None:
        self.project = where / "project"
        self.project.mkdir(parents=True)
        for name, text in SOURCES.items():
            (self.project / name).write_text(text)
        (self.project / "made.sh").chmod(0o755)
        self._scratch = where / "scratch"
        self._kept = where / "kept"
        self._kept.mkdir()

    @contextmanager
    def runner(self) -> Iterator[Runner]:
        runner = Runner(str(self._scratch), Groups(MemoryStore()))
        try:
            yield runner
        finally:
            runner.close()

    def thunk(self, case: Case, entries: Sequence[Declared] = ()) -> Thunk:
        found = shutil.which(case.argv[0]) if "/" not in case.argv[0] else str(self.project / case.argv[0])
        assert found is not None, f"{case.argv[0]} is needed"
        return Thunk(
            argv=tuple(os.fsencode(a) for a in case.argv),
            program=SandboxPath(os.fsencode(os.path.normpath(found))),
            cwd=SandboxPath(os.fsencode(self.project)),
            env=((b"LC_ALL", b"C"), (b"PATH", b"/usr/bin:/bin")),
            entries=tuple(entries),
            groups=(),
            outputs=tuple(Output(SandboxPath(os.fsencode(self.project / o))) for o in case.outputs),
            work=Work.OTHER,
            model="test/1",
        )

    def learn(self, case: Case) -> list[Declared]:
        """Every file that the command reads, with the links that lead there: found by the path map, one run after another."""
        paths: set[bytes] = {os.fsencode(self.project / name) for name in case.outputs}
        paths = {path for path in paths if os.path.exists(path) and case.in_place}
        paths.add(self.thunk(case).program)
        entries = _entries(paths)
        with self.runner() as runner:
            for _ in range(6):
                ran = runner.run(Job(thunk=self.thunk(case, entries), place=lambda file: None))
                new = {*ran.undeclared, *filter(os.path.isfile, ran.missing)} - paths
                if not new:
                    return entries
                paths |= new
                entries = _entries(paths)
        raise AssertionError(f"{case.name} reads ever more: {new}")

    def run(
        self, case: Case, entries: Sequence[Declared], isolation: Isolation, *, kept: bool = False, passed: bytes = b""
    ) -> Result:
        """Run with exactly these inputs. `kept`: their bytes are in a store, and not at their own path."""
        place = self._keep if kept else lambda file: None
        with self.runner() as runner:
            job = Job(
                thunk=self.thunk(case, entries), place=place, isolation=isolation, passed=(passed,) if passed else ()
            )
            return Result.of(runner.run(job))

    def put(self, result: Result) -> None:
        """Make what was written real, for cases that come after."""
        for path, (data, executable) in result.written.items():
            Path(os.fsdecode(path)).write_bytes(data)
            os.chmod(path, 0o755 if executable else 0o644)

    def _keep(self, file: File) -> str | None:
        if not file.path.startswith(os.fsencode(self.project)):
            return None
        place = self._kept / (file.blob.hex + (".x" if file.executable else ""))
        if not place.exists():
            shutil.copyfile(os.fsdecode(file.path), place)
            place.chmod(0o555 if file.executable else 0o444)
        return str(place)


def _entries(paths: set[bytes]) -> list[Declared]:
    found: list[Declared] = []
    for kind, path, target in declared(paths):
        if kind == "F":
            found.append(File(SandboxPath(path), hash_file(path), os.access(path, os.X_OK)))
        elif kind == "L":
            found.append(Symlink(SandboxPath(path), target))
        else:
            found.append(Directory(SandboxPath(path)))
    return found
