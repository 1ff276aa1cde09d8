"""The scanner against the compiler: random trees of headers, and what `gcc -M` says of them."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from gg.formats.make_rule import prerequisites
from gg.models.includes import Closure, LocalDisk, Scanner
from tests.models.includes_disk import request

_DIRECTORIES = ("", "p", "p/q", "r", "r/s", "t", "link", "t/up")
_NAMES = tuple(f"h{i}.h" for i in range(6))


def _line(draw: random.Random, source: bool) -> str:
    """One guarded include in one of the many ways to say it."""
    name = draw.choice(_NAMES)
    where = draw.choice(
        ("", "", "", "./", "p/", "q/", "../", "../r/", "s/", "link/", "link/../", "up/", "t/up/../", "p//q/")
    )
    quoted = draw.random() < 0.5
    operand = f'"{where}{name}"' if quoted else f"<{where}{name}>"
    if not source and draw.random() < 0.2:
        return f"#if __has_include_next({operand})\n#include_next {operand}\n#endif\n"
    word = draw.choice(("#include ", "# include /* c */ ", "#inc\\\nlude ", "%:include ", "#include\\\n "))
    return f"#if __has_include({operand})\n{word}{operand}\n#endif\n"


def _make_tree(root: Path, seed: int) -> tuple[list[str], list[str], list[str], list[str]]:
    """Headers of a few names in a few directories; the arguments for -I, -iquote, -isystem and -include."""
    draw = random.Random(seed)
    for name in ("p/q", "r/s", "t", "end/a/b"):
        (root / name).mkdir(parents=True)
    (root / "link").symlink_to("r/s")
    (root / "t" / "up").symlink_to("../p", target_is_directory=True)
    made: list[Path] = []
    for directory in ("", "p", "p/q", "r", "r/s", "t"):
        for name in draw.sample(_NAMES, draw.randint(1, 5)):
            path = root / directory / name
            if draw.random() < 0.06:
                path.mkdir()
                continue
            guard = f"G{len(made)}"
            made.append(path)
            lines = "".join(_line(draw, False) for _ in range(draw.randint(0, 4)))
            path.write_text(f"#ifndef {guard}\n#define {guard}\n{lines}#endif\n")
    lines = "".join(_line(draw, True) for _ in range(draw.randint(2, 6)))
    (root / "p" / "main.c").write_text(lines)
    (root / "main.c").write_text(lines)
    pool = [*_DIRECTORIES[1:], ".", "./p", "p/../t", "missing", str(root / "r")]
    pool = [name + draw.choice(("", "", "/")) for name in pool]
    include, quote, system = (draw.sample(pool, draw.randint(0, most)) for most in (4, 2, 2))
    forced = [str(path.relative_to(root)) for path in draw.sample(made, min(len(made), draw.choice((0, 0, 1))))]
    # The compiler refuses __has_include_next in a file that is found in the last directory: so that one is empty.
    return include, quote, [*system, "end/a/b"], forced


def _gcc(
    root: Path, source: str, include: list[str], quote: list[str], system: list[str], forced: list[str]
) -> list[bytes]:
    argv = ["gcc", "-M", "-w", "-nostdinc", source]
    for option, values in (("-I", include), ("-iquote", quote), ("-isystem", system), ("-include", forced)):
        for value in values:
            argv += [option, value]
    done = subprocess.run(argv, cwd=root, capture_output=True, check=True)
    return list(prerequisites(done.stdout))


def _real(root: Path, name: bytes) -> bytes:
    return os.path.realpath(os.path.join(os.fsencode(root), name))


def _compare(root: Path, closure: Closure, expected: list[bytes]) -> None:
    reals = {_real(root, header.path) for header in closure.files()}
    assert [name for name in expected if _real(root, name) not in reals] == []
    assert all(os.path.isfile(header.path) for header in closure.files())


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert shutil.which("gcc"), "these tests compare with gcc: install it"
    return Path(os.path.realpath(tmp_path_factory.mktemp("trees")))


@pytest.mark.parametrize("block", range(10))
def test_finds_what_the_compiler_reads(trees: Path, block: int) -> None:
    for seed in range(block * 20, block * 20 + 20):
        root = trees / str(seed)
        include, quote, system, forced = _make_tree(root, seed)
        source = ("main.c", "./main.c", "p/main.c", str(root / "p/main.c"))[seed % 4]
        wanted = request(source, include=include, quote=quote, system=system, forced=forced)
        closure = Scanner(LocalDisk()).scan(wanted, os.fsencode(root))
        expected = _gcc(root, source, include, quote, system, forced)
        _compare(root, closure, expected)
        # What one and the same file is called, found as the system's and as the user's, takes the compiler's own order.
        if len(system) == 1:
            displays = {header.display for header in closure.files()}
            assert [name for name in expected if name not in displays] == []


def test_follows_changes_as_the_compiler_does(trees: Path) -> None:
    """One scanner while headers appear, vanish and change, half of them faster than a file's time can tell."""
    root = trees / "changing"
    _, quote, system, _ = _make_tree(root, 4242)
    include = ["p", "link", "t", "r"]
    draw = random.Random(7)
    scanner = Scanner(LocalDisk())
    wanted = request("main.c", include=include, quote=quote, system=system)
    for step in range(50):
        directory = root / draw.choice(("", "p", "p/q", "r", "r/s", "t", "new"))
        path = directory / draw.choice(_NAMES)
        if path.is_file() and draw.random() < 0.4:
            path.unlink()
        elif not path.is_dir():
            directory.mkdir(exist_ok=True)
            path.write_text(f"#ifndef S{step}\n#define S{step}\n{_line(draw, False)}{_line(draw, False)}#endif\n")
        if step % 2:
            time.sleep(0.06)
        closure = scanner.scan(wanted, os.fsencode(root))
        reals = {_real(root, header.path) for header in closure.files()}
        expected = _gcc(root, "main.c", include, quote, system, [])
        assert [name for name in expected if _real(root, name) not in reals] == []
        fresh = Scanner(LocalDisk()).scan(wanted, os.fsencode(root))
        assert {h.path for h in closure.files()} == {h.path for h in fresh.files()}


def test_finds_the_systems_headers() -> None:
    text = subprocess.run(["gcc", "-E", "-v", "-x", "c", "/dev/null"], capture_output=True, check=True).stderr
    part = text.partition(b"#include <...> search starts here:\n")[2].partition(b"End of search list.")[0]
    system = [line.strip().decode() for line in part.splitlines()]
    source = Path("/usr/include/stdio.h")
    expected = subprocess.run(["gcc", "-M", str(source)], capture_output=True, check=True).stdout
    closure = Scanner(LocalDisk()).scan(request(str(source), system=system), b"/")
    assert set(prerequisites(expected)) <= {header.display for header in closure.files()}
    assert not closure.unresolved
    assert not closure.hazards
