"""A small source tree that is built twice at one path: by plain make, and by gg-infer and gg-force.

Everything goes through the installed commands, as a person would use them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gg.core import placeholder
from gg.record.hearers import branches
from gg.workspace import roots

SCRIPTS = Path(sysconfig.get_path("scripts"))
ACTED_ON = {branches.SHELL, branches.MAKE, branches.FIND, branches.PROGRAM}
SECONDS = 120.0  # no command of a small tree takes this long, however busy the machine


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        return (self.stdout + self.stderr).decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Forced:
    """What `gg-force --json` told: the events, and of those the labels of thunks that ran or were known."""

    result: Result
    events: tuple[dict[str, object], ...]

    @property
    def ran(self) -> list[str]:
        return sorted(str(e["label"]) for e in self.events if e["event"] == "thunk-done" and e["how"] == "ran")

    @property
    def cached(self) -> list[str]:
        return sorted(str(e["label"]) for e in self.events if e["event"] == "thunk-done" and e["how"] == "cached")

    @property
    def summary(self) -> dict[str, object]:
        return next(e for e in self.events if e["event"] == "run-finished")


@dataclass(frozen=True, slots=True)
class Kept:
    """One name in a tree: its kind and permissions, and its bytes or its link's target."""

    mode: str
    data: bytes


Tree = dict[str, Kept]


def by_make(project: Project, *lines: str) -> tuple[str, ...]:
    """A build of some shell commands, each of which must succeed, as a recipe: what a make goes on to do waits for nothing."""
    recipe = "".join(f"\t{line.replace('$', '$$')}\n" for line in lines)
    project.write("GNUmakefile", f".SHELLFLAGS = -ec\n.PHONY: goal\ngoal:\n{recipe}")
    return "make", "-s"


def is_placeholder(path: Path) -> bool:
    return placeholder.parse(path.read_bytes()) is not None


@dataclass(slots=True)
class Project:
    """A tree at `root`. `env` is the whole environment of what runs in it, `seconds` how long a command may take, `acts` whether it
    is meant that all calls run for real, for somebody acts on their status.
    """

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    seconds: float = SECONDS
    acts: bool = False

    def write(self, name: str | bytes, content: str | bytes, mode: int | None = None) -> Path:
        path = Path(os.fsdecode(os.path.join(os.fsencode(self.root), os.fsencode(name))))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else os.fsencode(content))
        if mode is not None:
            path.chmod(mode)
        return path

    def settings(self, text: str) -> Path:
        """A gg.toml that this user has allowed to say what it says."""
        self.env["GG_TRUST"] = "all"
        return self.write("gg.toml", text)

    def path(self, name: str) -> Path:
        return self.root / name

    # gg's state

    @property
    def cache(self) -> Path:
        """Where gg keeps the state of all workspaces of this environment."""
        cache = self.env.get("XDG_CACHE_HOME") or os.path.join(self.env["HOME"], ".cache")
        return Path(cache) / "gg"

    @property
    def records(self) -> Path:
        """The workspace's own part of it."""
        found = roots.find(str(self.cache), str(self.root))
        assert found, f"{self.root} is no workspace"
        return Path(found)

    @property
    def deferred(self) -> int:
        """How many calls the last gg-infer in this workspace has deferred."""
        return int(self._last_recording()["thunks"])

    @property
    def ran_for_real(self) -> dict[str, int]:
        """Why calls ran for real then, and how many."""
        return dict(self._last_recording()["real"])

    def _last_recording(self) -> dict[str, Any]:
        """What `gg status --json` shows as "infer"."""
        history = Path(roots.find(str(self.cache), str(self.root)) or os.devnull) / "history.jsonl"
        lines = history.read_text().splitlines() if history.exists() else []
        return next((run for run in map(json.loads, reversed(lines)) if run["what"] == "infer"), {})

    @property
    def store(self) -> Path:
        """The store, of all workspaces."""
        return self.cache / "store"

    def forget(self) -> None:
        """As on a machine that never saw this tree: no records, and an empty store."""
        shutil.rmtree(self.cache, ignore_errors=True)

    # Commands

    def start(
        self, *argv: str | bytes | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """A command in a process group of its own, with its output kept."""
        return subprocess.Popen(
            argv,
            cwd=cwd or self.root,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )

    def run(
        self,
        *argv: str | bytes | Path,
        status: int | None = 0,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """Run to the end; the exit status must be `status` (None: any)."""
        child = self.start(*argv, cwd=cwd, env=env)
        try:
            out, err = child.communicate(timeout=self.seconds)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            raise
        result = Result(child.returncode, out, err)
        assert b"Traceback" not in err, result.text
        assert b"internal error" not in err, result.text
        assert status is None or result.status == status, f"{argv!r} ended with {result.status}:\n{result.text}"
        return result

    def make(self, *arguments: str, status: int | None = 0) -> Result:
        return self.run("make", *arguments, status=status)

    def gg(self, *arguments: str, status: int | None = 0) -> Result:
        return self.run(SCRIPTS / "gg", *arguments, status=status)

    def infer(
        self,
        *command: str | bytes,
        status: int | None = 0,
        env: Mapping[str, str] | None = None,
        deferred: int | None = None,
    ) -> Result:
        """gg-infer, by default of plain `make`. `deferred`: how many calls it must defer, else the test tries something else."""
        result = self.run(SCRIPTS / "gg-infer", *(command or ("make",)), status=status, env=env)
        if deferred is not None:
            assert self.deferred == deferred, f"ran for real: {self.ran_for_real}"
        elif not self.acts and self._last_recording():
            assert self.deferred or ACTED_ON.isdisjoint(self.ran_for_real), (
                "tries nothing: have a make call it (by_make)"
            )
        return result

    def force(self, *arguments: str | bytes, status: int | None = 0) -> Result:
        """gg-force --quiet: only what the tools printed."""
        return self.run(SCRIPTS / "gg-force", "--quiet", *arguments, status=status)

    def forced(self, *arguments: str | bytes, status: int | None = 0) -> Forced:
        """gg-force --json."""
        result = self.run(SCRIPTS / "gg-force", "--json", *arguments, status=status)
        return Forced(result, tuple(json.loads(line) for line in result.stdout.splitlines()))

    def build(self, *command: str) -> Forced:
        """Record and force."""
        self.infer(*command)
        return self.forced()

    # The tree

    def tree(self) -> Tree:
        """All below the root; times are not compared."""
        found: Tree = {}
        for directory, directories, names in os.walk(self.root):
            for name in (*names, *directories):
                path = os.path.join(directory, name)
                mode = os.lstat(path).st_mode
                data = b""
                if stat.S_ISLNK(mode):
                    data = os.fsencode(os.readlink(path))
                elif stat.S_ISREG(mode):
                    data = Path(path).read_bytes()
                found[os.path.relpath(path, self.root)] = Kept(stat.filemode(mode), data)
        return found

    def placeholders(self) -> list[str]:
        return sorted(name for name, kept in self.tree().items() if placeholder.parse(kept.data) is not None)

    def plain(self, *command: str, status: int | None = 0) -> tuple[Tree, Result]:
        """What the plain command makes of the tree as it is now; the tree is then put back at the same path."""
        aside = self.root.with_name(self.root.name + ".aside")
        shutil.copytree(self.root, aside, symlinks=True)
        result = self.run(*(command or ("make",)), status=status)
        built = self.tree()
        shutil.rmtree(self.root)
        shutil.copytree(aside, self.root, symlinks=True)
        shutil.rmtree(aside)
        return built, result

    def same_as_plain(
        self,
        *command: str,
        isolation: str = "pathmap",
        ignore: Sequence[str] = (),
        make: bool = True,
        deferred: int | None = None,
    ) -> Forced:
        """Build both ways and compare all bytes and modes; then `make` must have nothing to do."""
        expected, _ = self.plain(*command)
        self.infer(*command, deferred=deferred)
        forced = self.forced("--isolation", isolation)
        self.assert_tree(expected, ignore)
        if make:
            self.make("-q")
        return forced

    def assert_tree(self, expected: Tree, ignore: Sequence[str] = ()) -> None:
        got = self.tree()
        for name in ignore:
            got.pop(name, None)
        expected = {name: kept for name, kept in expected.items() if name not in ignore}
        assert sorted(got) == sorted(expected)
        different = [n for n in got if got[n] != expected[n]]
        assert not different, f"differ from plain make: {different}, modes {[got[n].mode for n in different]}"
