"""Measure the include scanner: milliseconds a unit, cold, warm, and in a second session with the lexed text kept.

    python benchmarks/include_scan.py                       a tree of FFmpeg's size, made for the purpose
    python benchmarks/include_scan.py COMMANDS              the compile commands of a real tree, run nowhere:
                                                            compile_commands.json, or `make -n V=1` output with --cwd
    python benchmarks/include_scan.py COMMANDS --check N    and compare N of the units with the compiler's own -M

Cold: a new scanner, no lexed text kept (the files are in the page cache). Warm: every unit once more in the same
session. Build: as warm, with a file created beside each source before it is scanned, as compiling does. Second: a
new scanner with the lexed text of the first. `depfile` adds the ordered list of names, as a dependency file needs it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

from gg.formats.make_rule import prerequisites
from gg.models.drafts import Lexer, Scan, SearchPath
from gg.models.includes import FileSignature, LocalDisk, Scanner

_JOINED = (b"-I", b"-D", b"-iquote", b"-isystem", b"-idirafter", b"-include", b"-imacros")


class KeepingDisk(LocalDisk):
    """A real disk that keeps lexed text in memory, as a session's database does between sessions."""

    def __init__(self, kept: dict[tuple[bytes, str], tuple[FileSignature, bytes]]) -> None:
        super().__init__()
        self.kept = kept
        self.reads = 0

    def read(self, path: bytes) -> bytes:
        self.reads += 1
        return super().read(path)

    def lexed(self, path: bytes, kind: str, signature: FileSignature) -> bytes | None:
        known = self.kept.get((path, kind))
        return known[1] if known is not None and known[0] == signature else None

    def keep(self, path: bytes, kind: str, signature: FileSignature, lexed: bytes) -> None:
        self.kept[(path, kind)] = (signature, lexed)


@dataclass(frozen=True)
class Unit:
    scan: Scan
    cwd: bytes
    argv: tuple[bytes, ...]


def builtin(compiler: bytes, language: bytes) -> tuple[bytes, ...]:
    """The directories that the compiler searches on its own."""
    argv = [compiler, b"-E", b"-v", b"-x", language, b"/dev/null"]
    text = subprocess.run(argv, capture_output=True, check=True).stderr
    part = text.partition(b"#include <...> search starts here:\n")[2].partition(b"End of search list.")[0]
    return tuple(line.strip() for line in part.splitlines())


def parse(argv: list[bytes], cwd: bytes, known: dict[tuple[bytes, bytes], tuple[bytes, ...]]) -> Unit | None:
    """The scan of a simple compile command: what a model does in full."""
    found: dict[bytes, list[bytes]] = {option: [] for option in _JOINED}
    sources = []
    words = iter(argv[1:])
    for word in words:
        option = next((o for o in _JOINED if word.startswith(o)), None)
        if option is not None:
            found[option].append(word[len(option) :] or next(words))
        elif word in (b"-o", b"-MF", b"-MT", b"-MQ"):
            next(words)
        elif not word.startswith(b"-") and word.endswith((b".c", b".cc", b".cpp", b".cxx", b".S")):
            sources.append(word)
    if not sources:
        return None
    language = b"c" if sources[0].endswith((b".c", b".S")) else b"c++"
    compiler = (argv[0], language)
    if compiler not in known:
        known[compiler] = builtin(*compiler)
    user = tuple(found[b"-I"])
    bracket = (*user, *found[b"-isystem"], *known[compiler], *found[b"-idirafter"])
    scan = Scan(
        lexer=Lexer.C,
        sources=tuple(sources),
        search=SearchPath(tuple(found[b"-iquote"]), bracket, len(user)),
        forced=(*found[b"-imacros"], *found[b"-include"]),
        defines=tuple(found[b"-D"]),
    )
    return Unit(scan, cwd, tuple(argv))


def load(path: str, cwd: str) -> list[Unit]:
    """The units of a compilation database, or of the lines of a dry run."""
    known: dict[tuple[bytes, bytes], tuple[bytes, ...]] = {}
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        text = file.read()
    commands: list[tuple[list[str], str]] = []
    if path.endswith(".json"):
        for entry in json.loads(text):
            commands.append((entry.get("arguments") or shlex.split(entry["command"]), entry["directory"]))
    else:
        commands = [(shlex.split(line), cwd) for line in text.splitlines() if " -c " in line]
    parsed = (parse([os.fsencode(word) for word in argv], os.fsencode(where), known) for argv, where in commands)
    return [unit for unit in parsed if unit is not None]


def synthesise(root: str, units: int = 2000, headers: int = 3400, closure: int = 150) -> list[Unit]:
    """A tree of that many units and headers, the mean closure about as large as asked, objects beside the sources."""
    draw = random.Random(5)
    folders = [f"lib{chr(97 + i)}" for i in range(12)]
    for folder in folders:
        os.makedirs(os.path.join(root, folder))
    names: list[str] = []
    filler = "static inline int f(int a, int b) { return a * b + 1; } /* some text as a header has it */\n" * 30
    for i in range(headers):
        name = f"{folders[i % 12]}/h{i}.h"
        # A shallow core that everybody includes, and many headers that few do.
        core = max(8, closure)
        picks = {draw.randrange(min(i, core)) for _ in range(draw.randint(1, 6))} if i else set()
        lines = [f'#include "{names[p]}"' if p % 3 else f"#include <{names[p]}>" for p in sorted(picks)]
        with open(os.path.join(root, name), "w", encoding="ascii") as file:
            file.write("\n".join([f"#ifndef H{i}", f"#define H{i}", *lines, filler, "#endif\n"]))
        names.append(name)
    made = []
    known: dict[tuple[bytes, bytes], tuple[bytes, ...]] = {}
    for i in range(units):
        source = f"{folders[i % 12]}/u{i}.c"
        own = [names[draw.randrange(headers)] for _ in range(12)]
        with open(os.path.join(root, source), "w", encoding="ascii") as file:
            file.write("#include <stdio.h>\n" + "".join(f'#include "{name}"\n' for name in own) + filler * 5)
        argv = [b"gcc", b"-I.", b"-I./", b"-c", source.encode(), b"-o", source.encode()[:-1] + b"o"]
        unit = parse(argv, os.fsencode(root), known)
        assert unit is not None
        made.append(unit)
    time.sleep(0.1)  # or else every file counts as still being written
    return made


def timed(name: str, units: list[Unit], work: Callable[[Unit], object]) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    for unit in units:
        work(unit)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:<28} {wall / len(units) * 1e3:8.3f} ms a unit   (cpu {cpu / len(units) * 1e3:.3f})")


def measure(units: list[Unit]) -> None:
    kept: dict[tuple[bytes, str], tuple[FileSignature, bytes]] = {}
    disk = KeepingDisk(kept)
    scanner = Scanner(disk)
    timed("cold", units, lambda u: scanner.scan(u.scan, u.cwd))
    print(f"{'':<28} {disk.reads} files read")
    timed("warm", units, lambda u: scanner.scan(u.scan, u.cwd))
    timed("warm, with depfile", units, lambda u: scanner.scan(u.scan, u.cwd).files())
    made: list[bytes] = []

    def compiled(unit: Unit) -> None:
        path = os.path.join(unit.cwd, unit.scan.sources[0]) + b".tmp~"
        with open(path, "wb"):
            made.append(path)
        scanner.scan(unit.scan, unit.cwd)

    timed("warm, in a build", units, compiled)
    for path in made:
        os.unlink(path)
    second = KeepingDisk(kept)
    again = Scanner(second)
    timed("second session", units, lambda u: again.scan(u.scan, u.cwd))
    print(f"{'':<28} {second.reads} files read")
    third = Scanner(KeepingDisk(kept))
    timed("second session, with depfile", units, lambda u: third.scan(u.scan, u.cwd).files())
    closures = [again.scan(u.scan, u.cwd) for u in units]
    sizes = sorted(len({header.path for header in closure.files()}) for closure in closures)
    unresolved = sum(bool(closure.unresolved) for closure in closures)
    groups = sum(len(closure.clusters) for closure in closures) / len(closures)
    print(f"{len(units)} units, {unresolved} of them unresolved, {groups:.1f} groups a unit")
    print(f"closure: mean {sum(sizes) / len(sizes):.0f}, median {sizes[len(sizes) // 2]} files")


def check(units: list[Unit], count: int) -> int:
    """How many of some units' real dependencies the scanner did not find."""
    scanner = Scanner(LocalDisk())
    wrong = 0
    for unit in random.Random(1).sample(units, min(count, len(units))):
        drop = {b"-c", b"-MMD", b"-MD", b"-MP"}
        argv: list[bytes] = []
        words = iter(unit.argv)
        for word in words:
            if word in (b"-o", b"-MF", b"-MT", b"-MQ"):
                next(words)
            elif word not in drop:
                argv.append(word)
        done = subprocess.run([*argv, b"-M"], cwd=unit.cwd, capture_output=True, check=False)
        closure = scanner.scan(unit.scan, unit.cwd)
        ours = {header.display for header in closure.files()}
        missing = [name for name in prerequisites(done.stdout) if name not in ours]
        if missing and not closure.unresolved:
            wrong += 1
            print(f"{os.fsdecode(unit.scan.sources[0])}: not found: {missing[:5]}")
    print(f"{wrong} of {min(count, len(units))} units lack a file that the compiler reads")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description="measure the include scanner")
    parser.add_argument("commands", nargs="?", help="compile_commands.json, or the output of make -n V=1")
    parser.add_argument("--cwd", default=".", help="where the commands of a dry run are run")
    parser.add_argument("--check", type=int, default=0, metavar="N", help="compare N units with the compiler")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="gg-include-scan-") as root:
        if options.commands is None:
            units = synthesise(os.path.realpath(root))
        else:
            units = load(options.commands, os.path.realpath(options.cwd))
        measure(units)
        return 1 if options.check and check(units, options.check) else 0


if __name__ == "__main__":
    sys.exit(main())
