"""Debian packages as their maintainers build them: `dpkg-buildpackage -b`, plainly and under gg-infer.

What must be equal is what is shipped: each .deb, those with the debug information too, byte for byte. debhelper packs
them with the times of the changelog, so two plain builds give the same bytes, and a package whose tests run in the
build runs them on what gg made. Both builds happen at one path, as the debug information may name it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks import state
from benchmarks.packages import sources, summary, tree
from benchmarks.packages.stages import Result, Setting
from benchmarks.timing import clean_environment, run

SHIPPED = (".deb", ".ddeb", ".udeb")


class DebianPackage:
    """One source package at work in `CACHE/debian/NAME/tree`; what it ships is left beside that."""

    def __init__(self, name: str, setting: Setting) -> None:
        self.setting = setting
        self.description = sources.fetch_debian(setting.cache, name)
        self.directory = setting.cache / "debian" / name
        self.tree = self.directory / "tree"
        self.logs = setting.cache / "logs" / f"debian-{name}"
        shutil.rmtree(self.logs, ignore_errors=True)
        self.logs.mkdir(parents=True)
        version = self.description.stem.partition("_")[2]
        self.result = Result(f"{name} (dpkg-buildpackage)", version)

    def unpack(self) -> None:
        state.forget()
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        sources.unpack_debian(self.description, self.tree)

    def _step(self, step: str, command: list[str]) -> None:
        log = self.logs / f"{step.replace(' ', '.')}.log"
        ran = run(command, self.tree, clean_environment(), log)
        self.result.seconds[step], self.result.cpu[step] = round(ran.wall, 3), round(ran.cpu, 3)
        if ran.status:
            self.result.failures.append(f"{step}: status {ran.status} (see {log})")

    def build(self, stage: str, *before: str) -> tree.Tree:
        """Unpack and build from the start, `before` the command; the packages that came out."""
        self.unpack()
        command = [*before, "dpkg-buildpackage", "-b", "-us", "-uc", f"-j{self.setting.jobs}"]
        self._step(f"{stage} {'infer' if before else 'make'}", command)
        found = tree.snapshot(self.directory, (b"tree",))
        return {path: leaf for path, leaf in found.items() if path.endswith(tuple(end.encode() for end in SHIPPED))}

    def through_gg(self, gg: Path) -> tree.Tree:
        """Build under gg-infer; what no package has shipped is forced afterwards, as a user may."""
        made = self.build("gg", str(gg / "gg-infer"))
        found = summary.read(gg, self.tree)
        self.result.thunks, self.result.real_runs = found.thunks, found.real_runs
        self.result.questions = found.questions
        self.result.shares = summary.shares_of(found, self.tree)
        self._step("gg force", [str(gg / "gg-force")])
        return made


def _compare(package: DebianPackage, wanted: tree.Tree, made: tree.Tree) -> None:
    """Fill the result with the packages that differ, after one more plain build has told which do so by themselves."""
    differ, result = tree.compare(wanted, made), package.result
    unstable = tree.compare(wanted, package.build("again")) if differ else tree.NONE
    result.nondeterministic = unstable.lines()
    differ = differ.without(unstable.paths())
    result.compared = len(wanted)
    result.identical = result.compared - len(differ.paths() & wanted.keys()) - len(result.nondeterministic)
    result.failures += differ.lines()


def side_by_side(name: str, setting: Setting) -> Result:
    """Build one package plainly and through gg and compare what it ships; without gg, plainly twice."""
    package = DebianPackage(name, setting)
    package.unpack()
    sources.install_build_dependencies(package.description, package.tree)
    wanted = package.build("plain")
    package.result.artefacts = {"package": len(wanted)}
    if not wanted:
        package.result.failures.append("nothing was built")
    if not package.result.failures:
        made = package.build("second") if setting.gg is None else package.through_gg(setting.gg)
        _compare(package, wanted, made)
    return package.result
