"""Runs a batch of cases plainly, or under gg-infer and gg-force, in one directory, and tells what each left.

Both ways happen at the same path, one after the other, for debug information holds it. A case's directory is
made anew each time from the same files.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gg.core import placeholder
from tests.commands.case import Case
from tests.commands.driver import Outcome
from tests.commands.elf import Templates
from tests.commands.world import World

DRIVER = Path(__file__).with_name("driver.py")
WORKERS = 2
SECONDS = 150  # a batch takes ten


@dataclass(frozen=True, slots=True)
class Left:
    """One file or link as it was found: its bytes (or target), and whether it may be executed."""

    content: bytes
    executable: bool
    link: bool = False


Files = dict[bytes, Left]


@dataclass(frozen=True, slots=True)
class Seen:
    """What one case did: the outcomes of its command lines, in order, and all files of its directory."""

    outcomes: tuple[Outcome, ...]
    files: Files

    @property
    def status(self) -> int:
        return self.outcomes[-1][0]

    @property
    def said(self) -> bytes:
        """Everything that the command lines wrote, standard output first."""
        return "".join(out for _, out, _ in self.outcomes).encode("latin-1") + "".join(
            err for _, _, err in self.outcomes
        ).encode("latin-1")


def environment() -> dict[str, str]:
    """The environment of all command lines: the caller's PATH, one language, nothing that steers a compiler."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | {"LC_ALL": "C.UTF-8", "CCACHE_DISABLE": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def set_up(directory: Path, cases: Sequence[Case], templates: Templates) -> None:
    """An empty directory with one directory a case, and in it all that its command lines read."""
    shutil.rmtree(directory, ignore_errors=True)
    for case in cases:
        top = os.fsencode(directory / case.name)
        world = World(top, case.cwd, templates)
        for argv in case.commands(top) if case.world else []:
            world.add(argv)
        files = world.files | dict(case.files)
        for inside in world.directories | {os.path.dirname(path) for path in files}:
            os.makedirs(os.path.join(top, inside), exist_ok=True)
        for path, content in files.items():
            _write(os.path.join(top, path), content)
        for command in case.prepare:
            argv = [arg.replace(b"{top}", top) for arg in command]
            subprocess.run(argv, cwd=os.path.join(top, case.cwd), env=environment(), check=True, capture_output=True)


def _write(path: bytes, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
    if content.startswith(b"\x7fELF"):
        os.chmod(path, 0o755 if content[16] != 1 else 0o644)


def look(directory: Path) -> Files:
    """All files and links below a directory, by relative path; empty directories are not told."""
    top, found = os.fsencode(directory), Files()
    for where, names, files in os.walk(top):
        for name in files + [name for name in names if os.path.islink(os.path.join(where, name))]:
            path = os.path.join(where, name)
            inside = os.path.relpath(path, top)
            if os.path.islink(path):
                found[inside] = Left(os.readlink(path), False, link=True)
            else:
                with open(path, "rb") as file:
                    found[inside] = Left(file.read(), os.access(path, os.X_OK))
    return found


def _drive(directory: Path, cases: Sequence[Case], before: Sequence[str]) -> list[list[Outcome]]:
    jobs, results = directory.with_suffix(".jobs"), directory.with_suffix(".results")
    work = []
    for case in cases:
        top = os.fsencode(directory / case.name)
        run = [[arg.decode("latin-1") for arg in argv] for argv in case.commands(top)]
        work.append({"cwd": os.path.join(top, case.cwd).decode("latin-1"), "run": run})
    jobs.write_text(json.dumps(work))
    results.unlink(missing_ok=True)
    command = [*before, str(_samu(directory)), "-S", str(DRIVER), str(jobs), str(results), str(WORKERS)]
    env = environment() | {"PYTHONHOME": sys.base_prefix}
    done = subprocess.run(command, cwd=directory, env=env, capture_output=True, check=False, timeout=SECONDS)
    if done.returncode or not results.exists():
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stderr.decode(errors='replace')}")
    return [[(int(s), str(out), str(err)) for s, out, err in case] for case in json.loads(results.read_text())]


def _samu(directory: Path) -> Path:
    """A Python that is called samu, which prints what it reads from its commands: calls whose words go there may wait."""
    program = directory.with_name("samu")
    if not program.exists():
        shutil.copy(os.path.realpath(sys.executable), program)
    return program


def plainly(directory: Path, cases: Sequence[Case], templates: Templates) -> list[Seen]:
    """Run the cases with the real tools."""
    set_up(directory, cases, templates)
    outcomes = _drive(directory, cases, [])
    return [Seen(tuple(one), look(directory / case.name)) for case, one in zip(cases, outcomes, strict=True)]


@dataclass(frozen=True, slots=True)
class Through:
    """A batch through gg: each case as seen after `gg-infer` and after `gg-force`; what `gg-force` wrote in all, and its status."""

    inferred: list[Seen]
    forced: list[Files]
    said: bytes
    status: int


def programs() -> Path:
    """The directory of gg-infer and gg-force: beside this Python, or from PATH."""
    found = shutil.which("gg-infer", path=str(Path(sys.executable).parent)) or shutil.which("gg-infer")
    if found is None:
        raise AssertionError("gg-infer is not installed beside this Python and not on PATH")
    return Path(found).parent


def _force(directory: Path, *args: bytes | str) -> tuple[int, bytes]:
    command = [str(programs() / "gg-force"), "--quiet", "--jobs", str(WORKERS), *args]
    with open(directory.with_suffix(".forced"), "w+b") as said:
        try:
            done = subprocess.run(
                command,
                cwd=directory,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired:
            said.write(b"gg-force did not end in %d s\n" % SECONDS)
            return 124, _all(said)
        return done.returncode, _all(said)


def _all(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def through_gg(directory: Path, cases: Sequence[Case], templates: Templates) -> Through:
    """Record the cases in one `gg-infer`, and force all."""
    set_up(directory, cases, templates)
    outcomes = _drive(directory, cases, [str(programs() / "gg-infer")])
    inferred = [Seen(tuple(one), look(directory / case.name)) for case, one in zip(cases, outcomes, strict=True)]
    status, said = _force(directory, "--keep-going")
    return Through(inferred, [look(directory / case.name) for case in cases], said, status)


def placeholders(files: Files) -> list[bytes]:
    return [path for path, left in files.items() if placeholder.parse(left.content) is not None]
