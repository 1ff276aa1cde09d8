"""What all figures of a run share, and what a figure is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import standin, state
from benchmarks.packages import recipe, sources, summary
from benchmarks.timing import Ran, clean_environment, run


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value, its limit (None: reported only) and all single values behind it, in `unit`."""

    name: str
    value: float
    unit: str
    limit: float | None
    note: str = ""
    runs: dict[str, list[float]] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return self.limit is None or self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how to measure. `gg` is the directory of gg's programs, None to run the plain sides alone."""

    cache: Path
    gg: Path | None
    jobs: int
    repeats: int

    @property
    def scratch(self) -> Path:
        return self.cache / "figures"

    def tool(self, name: str) -> str:
        """The path of `gg-infer`, `gg-force` or `gg`."""
        assert self.gg is not None
        return str(self.gg / name)

    def null_environment(self) -> dict[str, str]:
        """The environment in which tools only create their outputs."""
        stand_ins = standin.build(self.cache / "standin")
        return clean_environment({"PATH": f"{stand_ins}{os.pathsep}{os.environ['PATH']}", "GG_NULL_TOOLS": "1"})

    def ccache_environment(self) -> dict[str, str]:
        """The environment in which compilers are ccache's, with a cache of our own; CommandFailed without ccache."""
        masquerade = Path("/usr/lib/ccache")
        if not masquerade.is_dir():
            raise sources.SourceError("ccache is not installed: apt-get install ccache")
        env = clean_environment({"PATH": f"{masquerade}{os.pathsep}{os.environ['PATH']}"}, without=["CCACHE_DISABLE"])
        del env["CCACHE_DISABLE"]
        return env | {"CCACHE_DIR": str(self.scratch / "ccache")}

    def log(self, name: str) -> Path:
        """The file that the outputs of a figure's commands are appended to."""
        directory = self.cache / "logs" / "figures"
        directory.mkdir(parents=True, exist_ok=True)
        return directory / f"{name}.log"

    def run(self, command: str | Sequence[str], cwd: Path, log: str, env: dict[str, str] | None = None) -> Ran:
        """Run a command that must succeed, its output to a log."""
        return run(command, cwd, env or clean_environment(), self.log(log), check=True)

    def status(self, cwd: Path) -> summary.Summary:
        """What `gg status --json` says there."""
        assert self.gg is not None
        return summary.read(self.gg, cwd)


class Tree:
    """A package's configured tree, kept pristine, and a work copy that is made anew as often as wanted.

    The work copy always has the same path, and the file times of the configured tree. Two sides that must keep their
    state from turn to turn have a tree each, configured where it is used.
    """

    def __init__(self, setting: Setting, name: str, side: str = "") -> None:
        self.recipe = recipe.load()[name]
        self.directory = setting.scratch / "work" / (name + side)
        self._kept = setting.scratch / "configured" / (name + side)
        if not (self._kept / ".configured").exists():
            self._configure(setting)

    def _configure(self, setting: Setting) -> None:
        sources.unpack(sources.fetch(setting.cache, self.recipe), self.directory)
        for command in self.recipe.configure:
            setting.run(command, self.directory, f"configure-{self.recipe.name}")
        shutil.rmtree(self._kept, ignore_errors=True)
        self._kept.parent.mkdir(parents=True, exist_ok=True)
        setting.run(["cp", "-a", str(self.directory), str(self._kept)], setting.scratch, "copy")
        (self._kept / ".configured").touch()

    def renew(self, setting: Setting) -> Path:
        """A fresh work copy, of which gg knows nothing; its directory."""
        state.forget()
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        setting.run(["cp", "-a", str(self._kept), str(self.directory)], setting.scratch, "copy")
        return self.directory


def seconds(runs: Sequence[Ran]) -> list[float]:
    return [round(ran.wall, 4) for ran in runs]


def ratio(name: str, unit: str, limit: float | None, ours: Sequence[Ran], theirs: Sequence[Ran], note: str) -> Figure:
    """The median over pairs of our wall time over theirs."""
    ratios = sorted(a.wall / b.wall for a, b in zip(ours, theirs, strict=True))
    middle = ratios[len(ratios) // 2] if len(ratios) % 2 else sum(ratios[len(ratios) // 2 - 1 :][:2]) / 2
    return Figure(name, round(middle, 3), unit, limit, note, {"gg s": seconds(ours), "other s": seconds(theirs)})
