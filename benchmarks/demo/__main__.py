"""`python -m benchmarks.demo`: a real C project, built plainly, then through gg in the same directory, and compared.

The project is Lua, from the source archive of this Debian or Ubuntu. Without a network it is the small program in
`sample/`, and the demo says so. Every command is shown as it would be typed. Exit status 1 when anything is not as
it must be.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.packages import recipe, sources, summary, tree
from benchmarks.timing import clean_environment

SAMPLE = Path(__file__).with_name("sample")


@dataclass(frozen=True, slots=True)
class Project:
    """What is built: the build's words after `make`, the program that is shown, its arguments, a source to edit."""

    name: str
    build: tuple[str, ...]
    program: str
    arguments: tuple[str, ...]
    source: str


LUA = Project("Lua", ("linux",), "src/lua", ("-e", 'print(_VERSION .. " says that 6 * 7 is " .. 6 * 7)'), "src/lcode.c")
CALCULATOR = Project("the sample calculator", (), "calculator", ("6 * (3 + 4)",), "parse.c")


class NotShown(Exception):
    """A step did not do what it must do."""


class Demo:
    """One run in one directory. `gg` is where gg-infer and gg-force are."""

    def __init__(self, directory: Path, gg: Path, jobs: int) -> None:
        self._directory = directory
        self._tree = directory / "tree"
        self._gg = gg
        self._make = ("make", f"-j{jobs}")
        self._env = clean_environment({"PATH": f"{gg}{os.pathsep}{os.environ['PATH']}"})

    def run(self) -> None:
        project = self._fetch()
        command = (*self._make, *project.build)
        say("A plain build first, to compare with.")
        before = tree.snapshot(self._tree)
        self._do(*command, shown=False)
        plain = tree.changed(before, tree.snapshot(self._tree))
        self._fetch_again(project)
        before = tree.snapshot(self._tree)

        say("The same build, recorded: nothing is compiled, placeholders stand where the outputs would be.")
        self._do("gg-infer", *command, shown=False)
        self._expect(summary.is_placeholder(self._tree / project.program), f"{project.program} is no placeholder")
        self._do("ls", "-l", project.program)
        say("One target: what it needs is compiled and linked, the rest stays as it is.")
        self._do("gg-force", project.program)
        self._do("./" + project.program, *project.arguments)
        say("Then all the rest.")
        self._do("gg-force")

        made = tree.changed(before, tree.snapshot(self._tree))
        differences = tree.compare(plain, made)
        self._expect(not differences, "\n".join(differences.lines()))
        kinds = ", ".join(f"{number} of kind {kind}" for kind, number in tree.count(made).items())
        say(f"Compared with the plain build: {len(made)} files, all the same bytes ({kinds}).")
        say("It is an ordinary tree: make has nothing to do.")
        self._do(*command)
        self._expect(not tree.changed(made | before, tree.snapshot(self._tree)), "make wrote something")

        say(
            "A comment is added to one source: what is compiled and archived anew has the same bytes, so nothing is linked."
        )
        with (self._tree / project.source).open("a") as file:
            file.write("/* a comment */\n")
        self._do("gg-infer", *command, shown=False)
        self._do("gg-force")

    def _fetch(self) -> Project:
        shutil.rmtree(self._tree, ignore_errors=True)
        lua = recipe.load()["lua5.4"]
        try:
            say("Fetching the source of Lua from this system's package archive.")
            sources.unpack(sources.fetch(self._directory, lua), self._tree)
        except sources.SourceError as error:
            print(
                f"{error}\nIt is not to be had here, so a small program of gg's own is built instead of Lua.",
                flush=True,
            )
            shutil.copytree(SAMPLE, self._tree)
            return CALCULATOR
        return LUA

    def _fetch_again(self, project: Project) -> None:
        """The tree as it was before the plain build, at the same path: debug information would hold that."""
        shutil.rmtree(self._tree)
        if project is LUA:
            sources.unpack(sources.fetch(self._directory, recipe.load()["lua5.4"]), self._tree)
        else:
            shutil.copytree(SAMPLE, self._tree)

    def _do(self, *command: str, shown: bool = True) -> None:
        """Run a command where the project is. Standard output is shown on request, what goes wrong always."""
        print(f"  $ {shlex.join(command)}", flush=True)
        output = None if shown else subprocess.DEVNULL
        done = subprocess.run(
            command, cwd=self._tree, env=self._env, stdin=subprocess.DEVNULL, stdout=output, check=False
        )
        self._expect(done.returncode == 0, f"{command[0]} ended with status {done.returncode}")

    @staticmethod
    def _expect(fact: bool, otherwise: str) -> None:
        if not fact:
            raise NotShown(otherwise)


def say(text: str) -> None:
    print(f"\n{text}", flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.demo", description="Show what gg does, on a real project."
    )
    parser.add_argument("--directory", type=Path, default=Path("build/demo"), help="where to build")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args(argv)
    gg = shutil.which("gg-infer", path=str(Path(sys.executable).parent)) or shutil.which("gg-infer")
    if gg is None:
        print("gg-infer is not installed beside this Python and not on PATH", file=sys.stderr)
        return 1
    try:
        Demo(args.directory.absolute(), Path(gg).absolute().parent, args.jobs).run()
    except NotShown as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    say(f"The tree is {args.directory / 'tree'}: look around with gg status, gg describe, gg explain.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
