"""`python -m tests.fuzz.kills --kills 300`: SIGKILL at random moments of gg-infer and gg-force on 60 units.

After each kill every file is whole, a placeholder or absent. Where gg-infer alone was killed its make goes on with the real
tools: what one of these was writing when it was killed too is half a file, as it would be without gg, and is removed. At the
end one recording and one force come to the bytes of a plain build, and nothing is left over: in the tree, nor in gg's
directories for temporary files.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from gg.core import placeholder
from tests.e2e.project import SCRIPTS, Project, Tree


def write_units(project: Project, units: int, functions: int = 60) -> None:
    """`units` sources of so many functions with a header, an archive and a program of them."""
    for i in range(units):
        body = "".join(f"int f{i}_{j}(int x) {{ return x * {j} + {i}; }}\n" for j in range(functions))
        project.write(f"u{i}.c", '#include "all.h"\n' + body)
    project.write("all.h", "#define ALL 1\n")
    project.write("main.c", "int f0_0(int); int main(void) { return f0_0(1); }\n")
    objects = " ".join(f"u{i}.o" for i in range(units))
    project.write(
        "Makefile",
        f"prog: main.o lib.a\n\tgcc -o $@ main.o lib.a\nlib.a: {objects}\n\trm -f $@\n\tar rcs $@ $^\n"
        "%.o: %.c\n\tgcc -O1 -g -MMD -c -o $@ $<\nclean:\n\trm -f *.o *.d lib.a prog\n-include *.d\n",
    )


def whole(project: Project, expected: Tree) -> list[str]:
    """What is neither a whole output nor a placeholder."""
    bad = []
    for name, kept in project.tree().items():
        if name not in expected:
            bad.append(f"left over: {name}")
        elif kept.data != expected[name].data and placeholder.parse(kept.data) is None and not name.endswith(".d"):
            bad.append(f"half a file: {name}")
    return bad


def kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def half_written(group: int, root: Path) -> list[Path]:
    """The files below `root` that programs not of gg in this process group, which is stopped for that, have open for writing."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGSTOP)
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            program = os.readlink(process / "exe")
            if os.getpgid(int(process.name)) != group or "/gg/" in program or "python" in os.path.basename(program):
                continue
            for fd in (process / "fd").iterdir():
                flags = next(
                    line for line in (process / "fdinfo" / fd.name).read_text().splitlines() if "flags" in line
                )
                path = Path(os.readlink(fd))
                if int(flags.split()[1], 8) & os.O_ACCMODE and path.is_relative_to(root):
                    found.append(path)
    return found


def kill_once(project: Project, chance: random.Random, longest: float) -> str:
    """Start one of the two and kill it: alone, or with all below it. What was killed."""
    command = chance.choice(["gg-infer", "gg-force"])
    child = project.start(SCRIPTS / command, *(("make", "-j2") if command == "gg-infer" else ("--quiet",)))
    time.sleep(chance.uniform(0.02, longest))
    torn: list[Path] = []
    if chance.random() < 0.5:
        child.send_signal(signal.SIGKILL)
        child.wait()
        time.sleep(chance.uniform(0, 0.1))
        torn = half_written(child.pid, project.root)
    kill_group(child.pid)
    for path in torn:
        path.unlink(missing_ok=True)
    child.communicate()
    return command


def play(project: Project, *, kills: int, units: int, seed: int, longest: float = 1.5) -> list[str]:
    """All of it; what was wrong. From time to time the tree is cleaned, or it would soon be finished."""
    chance = random.Random(seed)
    write_units(project, units)
    expected, _ = project.plain()
    bad: list[str] = []
    for number in range(kills):
        if chance.random() < 0.15:
            project.make("clean")
        killed = kill_once(project, chance, longest)
        bad += [f"kill {number} ({killed}): {line}" for line in whole(project, expected)]
    project.infer("make", "-j2")
    project.forced()
    try:
        project.assert_tree(expected)
    except AssertionError as error:
        bad.append(f"at the end: {error}")
    return bad


def main() -> int:
    assert __doc__
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.kills", description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--units", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gg-kills-") as top:
        project = at(Path(top).resolve())
        bad = play(project, kills=args.kills, units=args.units, seed=args.seed)
        if still := at_work(project):
            bad.append(f"still at work: {still}")
        project.force("--quiet")
        bad += left_over(project)
    print(*bad, f"{args.kills} kills, {len(bad)} wrong", sep="\n")
    return 1 if bad else 0


def at(top: Path) -> Project:
    """A project below `top`, with a home and a cache of its own there."""
    root = top / "tree"
    root.mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(top), "XDG_CACHE_HOME": str(top / "cache"), "LC_ALL": "C"}
    return Project(root, env, acts=True)


def at_work(project: Project, seconds: float = 30.0) -> list[str]:
    """Processes that the kills have left: a gg-force, say, that a shim began when its gg-infer was gone. They may take so long."""
    mark = os.fsencode(f"XDG_CACHE_HOME={project.env['XDG_CACHE_HOME']}")
    end = time.monotonic() + seconds
    while True:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    found.append(os.readlink(process / "exe"))
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.1)


def left_over(project: Project) -> list[str]:
    """Files in gg's directories for temporary files, below the cache; another command has run since the last kill."""
    cache = Path(project.env["XDG_CACHE_HOME"])
    return [
        f"left over: {path}" for tmp in cache.rglob("tmp") if tmp.is_dir() for path in tmp.rglob("*") if path.is_file()
    ]


if __name__ == "__main__":
    sys.exit(main())
