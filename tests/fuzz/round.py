"""One round: a project, some steps of edits, and after each step gg's incremental build against a clean plain one."""

from __future__ import annotations

import random
import re
import shutil
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.project import SCRIPTS, Project, Result, Tree
from tests.fuzz.model import Model

COMPILERS = (("gcc", "g++"), ("gcc", "g++"), ("clang", "clang++"), ("/usr/bin/gcc", "/usr/bin/g++"))
MODES = ("usual", "usual", "usual", "--force", "namespace", "kill-infer", "kill-force", "two", "jobs")
_MESSAGE = re.compile(r"(warning|error|undefined reference)[^\n]*")


def words(result: Result) -> list[str]:
    """What was said about the sources, each once, sorted: make -j prints in no order."""
    return sorted({match[0] for match in _MESSAGE.finditer(result.text) if "make" not in match[0]})


@dataclass(slots=True)
class Round:
    """`play` raises AssertionError with the whole story where gg and plain make differ."""

    seed: int
    root: Path
    env: dict[str, str]
    chance: random.Random = field(init=False)
    model: Model = field(init=False)
    story: list[str] = field(default_factory=list)
    failed: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.model = Model(self.chance, self.chance.choice(COMPILERS))

    @property
    def project(self) -> Project:
        return Project(self.root, self.env, acts=True)

    def play(self, steps: int) -> None:
        for number in range(steps + 1):
            edits = [self.model.mutate() for _ in range(self.chance.choice([1, 1, 2]))] if number else ["first"]
            mode = self.chance.choice(MODES)
            self.story.append(f"step {number}: {'; '.join(edits)} [{mode}]")
            self._step(mode)

    def _step(self, mode: str) -> None:
        expected, plain = self._plain()
        self._write()
        if mode.startswith("kill"):
            self._kill(mode)
        built = self._build("usual" if mode.startswith("kill") else mode)
        what = "\n".join([f"seed {self.seed}", *self.story, "plain:", plain.text[-2000:], "gg:", built.text[-3000:]])
        assert (plain.status == 0) == (built.status == 0), f"status {plain.status}, {built.status}\n{what}"
        if plain.status:
            self.failed += 1
            assert set(words(plain)) & set(words(built)) or not words(plain), f"another error\n{what}"
            return
        got = self.project.tree()
        wrong = sorted(n for n, kept in expected.items() if got.get(n) != kept and not n.endswith(".gcda"))
        assert not wrong, f"differ from a clean plain build: {wrong}\n{what}"
        assert not self.project.placeholders(), f"still placeholders: {self.project.placeholders()}\n{what}"
        again = self.project.make("-q", status=None)
        assert again.status == 0, f"make has something to do\n{what}"

    def _write(self) -> None:
        """The sources, with new times for those that changed."""
        wanted = self.model.files()
        for known in [path for path in self.root.rglob("*.h") if path.name != "gen.h"]:
            if str(known.relative_to(self.root)) not in wanted:
                known.unlink()
        for name, text in wanted.items():
            path = self.root / name
            if not path.exists() or path.read_text() != text:
                self.project.write(name, text)

    def _plain(self) -> tuple[Tree, Result]:
        """What a clean plain build comes to, at the same path."""
        aside = self.root.with_name(self.root.name + ".aside")
        self.root.rename(aside)
        try:
            self.root.mkdir()
            self._write()
            result = self.project.make("-k", status=None)
            return self.project.tree(), result
        finally:
            shutil.rmtree(self.root)
            aside.rename(self.root)

    def _build(self, mode: str) -> Result:
        project = self.project
        if mode == "--force":
            return project.run(SCRIPTS / "gg-infer", "--force", "make", "-k", status=None)
        if mode == "two":
            project.infer("make", "-k", status=None)
        recorded = project.infer("make", "-k", *(("-j3",) if mode == "jobs" else ()), status=None)
        flags = ("--isolation", "namespace") if mode == "namespace" else ()
        forced = project.force("--keep-going", *flags, status=None)
        status = recorded.status or forced.status
        return Result(status, recorded.stdout + forced.stdout, recorded.stderr + forced.stderr)

    def _kill(self, mode: str) -> None:
        command = ["gg-infer", "make", "-k", "-j2"]
        if mode == "kill-force":
            self.project.infer("make", "-k", status=None)
            command = ["gg-force", "--keep-going"]
        child = self.project.start(SCRIPTS / command[0], *command[1:])
        time.sleep(self.chance.uniform(0.05, 0.6))
        child.send_signal(signal.SIGKILL)
        child.communicate()
