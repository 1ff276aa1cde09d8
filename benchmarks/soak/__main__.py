"""`python -m benchmarks.soak`: after each of many random edits, gg must give what a clean plain build gives.

Both are made at one path: the tree that gg has built step by step is moved aside while a pristine copy with the same
edits is built there. The plain side uses ccache where it can. Exit status 1 when anything differs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import state
from benchmarks.packages import recipe, sources, summary, tree
from benchmarks.soak.edits import Editor, Step
from benchmarks.soak.subjects import SUBJECTS, Subject, make_small
from benchmarks.timing import CommandFailed, clean_environment, run

MADE = (tree.Kind.OBJECT, tree.Kind.ARCHIVE, tree.Kind.EXECUTABLE, tree.Kind.SHARED)


@dataclass(slots=True)
class Soak:
    """One subject in `scratch`. `failures` are sentences, each with the step that they belong to."""

    subject: Subject
    scratch: Path
    gg: Path
    jobs: int = 2
    seed: int = 1
    failures: list[str] = field(default_factory=list)
    compared: int = 0

    @property
    def work(self) -> Path:
        return self.scratch / self.subject.name / "tree"

    @property
    def _pristine(self) -> Path:
        return self.work.with_name("pristine")

    @property
    def _aside(self) -> Path:
        return self.work.with_name("aside")

    def _run(self, command: str | list[str], env: dict[str, str] | None = None) -> float:
        log = self.work.with_name("log")
        return run(command, self.work, env or clean_environment(), log, check=True).wall

    def _build(self) -> str:
        return self.subject.build.format(jobs=self.jobs)

    def prepare(self, cache: Path) -> None:
        """Unpack and configure (or write) the sources, and keep a pristine copy of them. gg knows nothing of them."""
        state.keep_below(self.scratch)
        state.forget()
        shutil.rmtree(self.work.parent, ignore_errors=True)
        self.work.parent.mkdir(parents=True)
        if self.subject.recipe is None:
            make_small(self.work)
        else:
            chosen = recipe.load()[self.subject.recipe]
            sources.unpack(sources.fetch(cache, chosen), self.work)
            for command in chosen.configure:
                self._run(command, self._ccache())  # CMake writes down where it found its compiler
        self._copy(self.work, self._pristine)

    def _copy(self, source: Path, target: Path) -> None:
        run(["cp", "-a", str(source), str(target)], self.scratch, check=True)

    def clean_build(self) -> tree.Tree:
        """What a plain build writes, from nothing, at the same path; the tree itself is back there afterwards."""
        self.work.rename(self._aside)
        try:
            self._copy(self._pristine, self.work)
            before = tree.snapshot(self.work)
            self._run(self._build(), self._ccache())
            return tree.changed(before, tree.snapshot(self.work))
        finally:
            shutil.rmtree(self.work, ignore_errors=True)
            self._aside.rename(self.work)

    def _ccache(self) -> dict[str, str]:
        masquerade = "/usr/lib/ccache"
        path = f"{masquerade}{os.pathsep}{os.environ['PATH']}" if os.path.isdir(masquerade) else os.environ["PATH"]
        env = clean_environment({"PATH": path, "CCACHE_DIR": str(self.scratch / "ccache")}, ["CCACHE_DISABLE"])
        del env["CCACHE_DISABLE"]
        return env

    def gg_build(self) -> None:
        """Record and force; no placeholder may be left, and a plain build afterwards writes nothing."""
        self._run([str(self.gg / "gg-infer"), "--quiet", "/bin/sh", "-c", self._build()])
        self._run([str(self.gg / "gg-force"), "--quiet", "--jobs", str(self.jobs)])

    def _again(self) -> list[str]:
        before = tree.snapshot(self.work)
        self._run(self._build())
        written = tree.changed(before, tree.snapshot(self.work))
        return [f"make wrote again: {os.fsdecode(name)}" for name, leaf in written.items() if leaf.kind in MADE]

    def check(self, step: str) -> None:
        """Build both ways, and note what differs."""
        self.gg_build()
        made = tree.snapshot(self.work)
        wanted = {name: leaf for name, leaf in self.clean_build().items() if self._counts(name, leaf)}
        differences = tree.compare(wanted, {name: made[name] for name in wanted.keys() & made.keys()})
        left = [os.fsdecode(name) for name in made if summary.is_placeholder(self.work / os.fsdecode(name))]
        trouble = [*differences.lines(), *(f"still a placeholder: {name}" for name in left), *self._again()]
        self.failures += [f"after {step}: {line}" for line in trouble]
        self.compared += len(wanted)

    def _counts(self, name: bytes, leaf: tree.Leaf) -> bool:
        return leaf.kind in MADE or not self.subject.is_loose(os.fsdecode(name))

    def steps(self, count: int) -> None:
        """The first build, then `count` edits; each step is told on standard output."""
        editor = Editor(self.subject, self._pristine, self.seed)
        for number in range(count + 1):
            step = editor.next() if number else Step("nothing", {})
            step.apply(self._pristine)
            step.apply(self.work)
            start, known = time.perf_counter(), len(self.failures)
            self.check(f"step {number}, {step.what}")
            verdict = "same" if len(self.failures) == known else "DIFFERENT"
            print(
                f"{self.subject.name} {number}: {step.what}: {verdict}, {time.perf_counter() - start:.1f} s", flush=True
            )
            print(*self.failures[known:], sep="\n", end="\n" if len(self.failures) > known else "", flush=True)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    assert __doc__
    known = ",".join(subject.name for subject in SUBJECTS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default=known, help=f"subjects, with commas between (default: {known})")
    parser.add_argument("--steps", type=int, default=20, help="edits of each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "gg-packages")
    parser.add_argument("--gg-prefix", type=Path, help="directory of gg-infer and gg-force (default: from PATH)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = _arguments(argv)
    found = shutil.which("gg-infer", path=str(args.gg_prefix) if args.gg_prefix else None)
    if found is None:
        raise SystemExit("gg-infer is not on PATH: install gg, or give --gg-prefix")
    failed = False
    for subject in (s for s in SUBJECTS if s.name in args.only.split(",")):
        scratch = args.cache.absolute() / "soak"
        soak = Soak(subject, scratch, Path(found).absolute().parent, args.jobs, args.seed)
        try:
            soak.prepare(args.cache.absolute())
            soak.steps(args.steps)
        except CommandFailed as error:
            soak.failures.append(str(error))
            print(error, file=sys.stderr)
        verdict = f"{len(soak.failures)} failures" if soak.failures else "all the same"
        print(f"{subject.name}: {args.steps} edits, {soak.compared} files compared: {verdict}", flush=True)
        failed |= bool(soak.failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
