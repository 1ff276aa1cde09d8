"""The stages of one package: built plainly, built through gg in the same directory, and what is compared.

Both start from the unconfigured tree of the tarball; through gg, configure and build are one recorded command. Debug
information and some generated files hold the directory's name, so both builds happen at one path, one after the other;
what is kept of the first is its snapshot. Every file that configure or the build wrote is compared. When one differs,
the package is configured plainly once more, and if need be built: a file that differs between two plain runs too says
nothing about gg, and is listed apart.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import standin, state
from benchmarks.packages import far, sources, summary, tree
from benchmarks.packages.recipe import Recipe
from benchmarks.packages.share import Share
from benchmarks.timing import Ran, clean_environment, run

ARTEFACTS = (tree.Kind.OBJECT, tree.Kind.ARCHIVE, tree.Kind.EXECUTABLE, tree.Kind.SHARED)


_PROGRAMS = (tree.Kind.OBJECT, tree.Kind.ARCHIVE, tree.Kind.EXECUTABLE, tree.Kind.SHARED)


@dataclass(frozen=True, slots=True)
class Setting:
    """What is common to all packages of a run. `gg` is the directory of `gg-infer` and `gg-force`.

    `far` is for an engine elsewhere: where it remembers, each package is forced once more in another checkout, and nothing may
    run.
    """

    cache: Path
    jobs: int
    gg: Path | None
    checks: bool
    far: far.Far | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """What a build does that was done already: tools that it starts, artefacts that it writes again.

    Few do anything at all, but some makefiles ask the compiler something each time (config.guess does).
    """

    calls: frozenset[str] = frozenset()
    rewritten: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Built:
    """What a stage left: what configure and the build wrote and, with `install`, those that were installed.

    `configured` is what there was before the build, in so far as configure was a step of its own. `again` is what
    the build does when there is nothing to do.
    """

    files: tree.Tree
    installed: tree.Tree
    configured: tree.Tree = field(default_factory=dict)
    again: Again = Again()


@dataclass(slots=True)
class Result:
    """One package. `failures` are sentences; none means that all was seen as it must be. `waiting`: thunks that were not forced yet
    when recording ended.
    """

    package: str
    version: str
    artefacts: dict[str, int] = field(default_factory=dict)
    compared: int = 0
    identical: int = 0
    nondeterministic: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    thunks: int | None = None
    waiting: int | None = None
    real_runs: dict[str, int] = field(default_factory=dict)
    questions: dict[str, int] = field(default_factory=dict)
    shares: dict[str, Share] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


class Package:
    """One recipe at work in its directory, `CACHE/work/NAME`; logs go to `CACHE/logs/NAME`."""

    def __init__(self, recipe: Recipe, setting: Setting) -> None:
        self.recipe = recipe
        self.setting = setting
        self.directory = setting.cache / "work" / recipe.name
        self.destination = setting.cache / "installed" / recipe.name
        self.logs = setting.cache / "logs" / recipe.name
        self.logs.mkdir(parents=True, exist_ok=True)
        for old in self.logs.iterdir():
            old.unlink()
        self.tarball = sources.fetch(setting.cache, recipe)
        version = self.tarball.name.removeprefix(recipe.source + "_").partition(".orig.tar")[0]
        self.result = Result(recipe.name, version)
        if version != recipe.version:
            self.result.failures.append(f"the source is {version}; the recipe's counts are of {recipe.version}")

    def _command(self, text: str) -> str:
        return text.format(jobs=self.setting.jobs, dest=self.destination)

    def _run(self, stage: str, step: str, command: str | list[str], env: dict[str, str] | None = None) -> Ran:
        """One step, timed under `stage step`; a failing one is a failure of the package."""
        ran = run(command, self.directory, env or clean_environment(), self.logs / f"{stage}.{step}.log")
        key = f"{stage} {step}"
        self.result.seconds[key] = round(self.result.seconds.get(key, 0) + ran.wall, 3)
        self.result.cpu[key] = round(self.result.cpu.get(key, 0) + ran.cpu, 3)
        if ran.status:
            self.result.failures.append(f"{key}: status {ran.status} (see {self.logs}/{stage}.{step}.log)")
        return ran

    def _unpack(self) -> tree.Tree:
        state.forget()
        sources.unpack(self.tarball, self.directory)
        return tree.snapshot(self.directory)

    def _install(self, stage: str) -> tree.Tree:
        if not self.recipe.install:
            return {}
        shutil.rmtree(self.destination, ignore_errors=True)
        self.destination.mkdir(parents=True)
        self._run(stage, "install", self._command(self.recipe.install))
        return tree.snapshot(self.destination)

    def configure(self, stage: str) -> tuple[tree.Tree, tree.Tree]:
        """Unpack and configure with the system's own tools: the tree as it was unpacked, and what configure wrote."""
        unpacked = self._unpack()
        for command in self.recipe.configure:
            self._run(stage, "configure", command)
        return unpacked, tree.changed(unpacked, tree.snapshot(self.directory))

    def plain(self, stage: str = "plain") -> Built:
        """Unpack, configure and build with the system's own tools."""
        unpacked, configured = self.configure(stage)
        self._run(stage, "make", self._command(self.recipe.build))
        files = tree.changed(unpacked, tree.snapshot(self.directory))
        again = self._build_again(stage)
        return Built(files, self._install(stage), configured, again)

    def through_gg(self, gg: Path, plain: Again) -> Built:
        """Unpack, record configure and build, force the partial targets, force all. The directory stays as that is.

        A build again may do no more than it does after a `plain` one.
        """
        unpacked = self._unpack()
        self._record("gg", gg)
        if self.recipe.partial:
            self._force("gg", gg, *self.recipe.partial)
        self._force("gg", gg)
        found = summary.read(gg, self.directory)
        self.result.thunks, self.result.real_runs = found.thunks, found.real_runs
        self.result.questions, self.result.waiting = found.questions, found.waiting
        self.result.shares = summary.shares_of(found, self.directory)
        files = tree.changed(unpacked, tree.snapshot(self.directory))
        self._placeholders(files)
        self._traces(files)
        self.use("gg", plain)
        return Built(files, self._install("gg"))

    def _record(self, stage: str, gg: Path) -> None:
        steps = (*self.recipe.configure, self._command(self.recipe.build))
        whole = " && ".join(f"({step})" for step in steps)
        self._run(stage, "infer", [str(gg / "gg-infer"), "/bin/sh", "-c", whole])

    def _force(self, stage: str, gg: Path, *targets: str) -> None:
        env = clean_environment(self.setting.far.environment(self.recipe.name)) if self.setting.far else None
        self._run(stage, "force-some" if targets else "force", [str(gg / "gg-force"), *targets], env)

    def in_another_checkout(self, gg: Path, first: Built) -> None:
        """At the same path, with nothing remembered here: nothing may run, and programs come out as in the first one."""
        unpacked = self._unpack()
        before = self._actions()
        self._record("other", gg)
        self._force("other", gg)
        found = summary.read(gg, self.directory)
        ran = found.ran if before is None else (self._actions() or 0) - before
        had = found.cached if before is None else (found.cached or 0) + (found.ran or 0)
        if ran != 0 or (had or 0) < (self.result.waiting or 0):  # what was forced when recorded may be here from then
            self.result.failures.append(f"another checkout ran {ran} of {self.result.waiting} thunks, and has {had}")
        made = tree.changed(unpacked, tree.snapshot(self.directory))
        programs = [{p: leaf for p, leaf in files.items() if leaf.kind in _PROGRAMS} for files in (first.files, made)]
        self.result.failures += [f"another checkout, {line}" for line in tree.compare(*programs).lines()]

    def _actions(self) -> int | None:
        """How many commands the engine has run so far; None where gg itself knows."""
        far = self.setting.far
        return far.actions() if far and far.actions else None

    def _placeholders(self, files: tree.Tree) -> None:
        left = [path for path in files if summary.is_placeholder(self.directory / os.fsdecode(path))]
        self.result.failures += [f"still a placeholder: {os.fsdecode(path)}" for path in left]

    def _traces(self, files: tree.Tree) -> None:
        """No file may name what gg put in the build's way, one that differs by itself neither."""
        for path, leaf in files.items():
            if leaf.kind is tree.Kind.LINK or os.fsdecode(path) in self.recipe.environments:
                continue
            data = (self.directory / os.fsdecode(path)).read_bytes()
            if b"/gg/workspaces/" in data or b"gg-shim" in data or b"GG_SOCKET" in data:
                self.result.failures.append(f"gg left a trace in {os.fsdecode(path)}")

    def use(self, stage: str, plain: Again) -> None:
        """What one does with an ordinary tree: run it, build again (nothing to do), check it."""
        for command in self.recipe.smoke:
            self._run(stage, "smoke", command)
        again = self._build_again(stage)
        more = sorted(again.calls - plain.calls)[:5]
        self.result.failures += [f"{stage}: make was not done, it ran: {said[:200]}" for said in more]
        more = sorted(again.rewritten - plain.rewritten)[:5]
        self.result.failures += [f"{stage}: make wrote again: {path}" for path in more]
        if self.setting.checks and self.recipe.check:
            self._run(stage, "check", self._command(self.recipe.check))

    def _build_again(self, stage: str) -> Again:
        """Build once more, plainly, with stand-ins that note which tools are started."""
        wrappers = standin.build(self.setting.cache / "standin")
        log = self.logs / f"{stage}.again.commands"
        log.unlink(missing_ok=True)
        before = tree.snapshot(self.directory)
        path = f"{wrappers}{os.pathsep}{os.environ['PATH']}"
        env = clean_environment({"PATH": path, "GG_COMMAND_LOG": str(log)})
        self._run(stage, "again", self._command(self.recipe.again), env)
        rewritten = tree.changed(before, tree.snapshot(self.directory))
        return Again(
            frozenset(_without_drawn_names(call.argv) for call in standin.read(log)),
            frozenset(os.fsdecode(path) for path, leaf in rewritten.items() if leaf.kind in ARTEFACTS),
        )


def _without_drawn_names(argv: tuple[bytes, ...]) -> str:
    """A command line as text, the same for calls that differ in the names of their temporary files only."""
    return re.sub(r"/tmp/[^/ ]+", "/tmp/*", b" ".join(argv).decode(errors="replace"))


def _difference(wanted: Built, made: Built) -> tuple[tree.Differences, tree.Differences]:
    return tree.compare(wanted.files, made.files), tree.compare(wanted.installed, made.installed)


def _compare(package: Package, wanted: Built, made: Built) -> None:
    """Fill the result with what differs, after plain runs have told what differs by itself."""
    files, installed = _difference(wanted, made)
    result = package.result
    unstable, unstable_installed = _unstable(package, wanted, files, installed)
    result.nondeterministic = unstable.lines() + unstable_installed.lines()
    files, installed = files.without(unstable.paths()), installed.without(unstable_installed.paths())
    result.compared = len(wanted.files) + len(wanted.installed)
    result.identical = result.compared - len(files.paths() & wanted.files.keys())
    result.identical -= len(installed.paths() & wanted.installed.keys())
    result.identical -= len(result.nondeterministic)
    result.failures += files.lines() + [f"installed, {line}" for line in installed.lines()]


def _unstable(
    package: Package, wanted: Built, files: tree.Differences, installed: tree.Differences
) -> tuple[tree.Differences, tree.Differences]:
    """What differs between two plain runs: of configure alone, if that is all there is to ask, else of the build too."""
    if not files and not installed:
        return tree.NONE, tree.NONE
    _, configured = package.configure("again")
    by_itself = tree.compare(wanted.configured, configured)
    if not installed and not files.without(by_itself.paths()):
        return by_itself, tree.NONE
    for line in files.without(by_itself.paths()).lines() + installed.lines():
        print(f"{package.result.package}: {line}; built plainly once more, to tell whether gg did that", flush=True)
    return _difference(wanted, package.plain("again"))


def _counts(package: Package, built: Built) -> None:
    result, expected = package.result, package.recipe.artefacts
    result.artefacts = tree.count(built.files)
    for kind, number in expected.items():
        if result.artefacts.get(kind, 0) != number:
            result.failures.append(f"{result.artefacts.get(kind, 0)} files of kind {kind}, {number} expected")


def side_by_side(recipe: Recipe, setting: Setting) -> Result:
    """Build one package plainly and through gg and compare; without gg, plainly twice."""
    package = Package(recipe, setting)
    wanted = package.plain()
    _counts(package, wanted)
    if not package.result.failures:
        if setting.gg is None:
            package.use("plain", wanted.again)
            _compare(package, wanted, package.plain("second"))
        else:
            made = package.through_gg(setting.gg, wanted.again)
            _compare(package, wanted, made)
            if setting.far and setting.far.remembers and not package.result.failures:
                package.in_another_checkout(setting.gg, made)
    return package.result
