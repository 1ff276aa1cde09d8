"""How another machine's compiler is told of this one's processor: which calls, and that it comes out the same."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from gg.core.ids import SandboxPath
from gg.core.thunk import Thunk, Work
from gg.models.driver.flags import CLANG, GCC
from gg.models.driver.parse import parse
from gg.models.driver.this_cpu import elsewhere
from gg.models.toolchain import facts
from gg.run.processor import arguments, needs_home
from tests.models.toolchain_probes import DiskProbe
from tests.support.compilers import other_gcc

X86 = b"x86_64-linux-gnu"
SAID = b"-march=cpu -mavx -mno-xop --param l1-cache-size=48 -mtune=cpu"


def told(line: str, meaning: bytes, target: bytes = X86) -> bytes:
    argv = tuple(shlex.split(line))
    words = tuple(word.encode() for word in argv)
    command = parse(words[1:], CLANG if argv[0].startswith("clang") else GCC)
    return elsewhere(command, words, target, tuple(meaning.split()))


CASES = [
    ("gcc -march=native -c a.c", SAID, b"specs " + SAID),
    ("gcc -march=native -mtune=native -O2 -flto a.o -o a", SAID, b"specs " + SAID),
    ("gcc -march=native -mno-avx2 -c a.c", SAID + b" -mno-avx2", b"specs " + SAID),
    ("gcc -mtune=native -c a.c", b"-mtune=cpu -march=x86-64", b"specs -mtune=cpu"),
    ("gcc -march=native -march=haswell -c a.c", b"-march=haswell", b""),
    ("gcc -march=native -mtune=generic -c a.c", b"-march=cpu -mavx -mtune=generic", b""),
    ("gcc -march=native -mno-avx -mno-avx -c a.c", SAID + b" -mno-avx", b""),
    ("gcc -march=native -specs=mine -c a.c", SAID, b""),
    ("gcc -v -march=native -c a.c", SAID, b""),
    ("gcc -march=native -c a.c", b"-march=c%pu -mtune=cpu", b""),
    (
        "clang -march=native -c a.c",
        b"-march=cpu -Xclang -target-feature",
        b"instead -march=cpu -Xclang -target-feature",
    ),
    ("clang -march=native -grecord-command-line -c a.c", b"-march=cpu", b""),
    ("clang -march=native -c a.S", b"-march=cpu", b""),
    ("clang -march=native a.c -o a", b"-march=cpu", b""),
]


@pytest.mark.parametrize(("line", "meaning", "how"), CASES)
def test_which_calls(line: str, meaning: bytes, how: bytes) -> None:
    assert told(line, meaning) == how


def test_other_processors_are_asked_at_home() -> None:
    assert told("gcc -march=native -c a.c", SAID, b"aarch64-linux-gnu") == b""


def thunk(argv: tuple[bytes, ...], how: bytes) -> Thunk:
    env = [(b"GG_NATIVE", b"-march=cpu")]
    return Thunk(
        argv=argv,
        program=SandboxPath(b"/usr/bin/" + argv[0]),
        cwd=SandboxPath(b"/w"),
        env=tuple(sorted([*env, *([(b"GG_ELSEWHERE", how)] if how else [])])),
        entries=(),
        groups=(),
        outputs=(),
        work=Work.COMPILE,
        model="gcc/1",
    )


def test_what_cannot_be_told_is_for_this_machine(tmp_path: Path) -> None:
    argv = (b"gcc", b"-march=native", b"-c", b"a.c")
    assert needs_home(thunk(argv, b""))
    assert not needs_home(thunk(argv, b"specs -march=cpu"))
    assert arguments(thunk(argv, b""), str(tmp_path)) == argv
    assert not list(tmp_path.iterdir())


SOURCE = "void scale(float *x, float *y) { for (int i = 0; i < 64; i++) x[i] = x[i] * y[i] + 2; }\n"
REAL = [
    "gcc -O3 -march=native",
    "gcc -O3 -g -march=native -mtune=native -frecord-gcc-switches",
    "gcc -O3 -g -mtune=native -mno-sse4.2",
    "gcc -O3 -g -flto -frandom-seed=a -mno-avx2 -march=native",
    "gcc -O3 -g -m32 -march=native -fno-pic",
    "{other-gcc} -O3 -g -march=native -mno-avx512f",
    "g++ -O3 -g -march=native",
    "clang -O3 -g -march=native",
    "clang -O3 -g -mno-avx2 -march=native -mtune=native",
    "clang -O3 -mtune=native -flto",
]


@pytest.mark.parametrize("line", REAL)
def test_the_same_bytes_with_real_compilers(line: str, tmp_path: Path) -> None:
    """All that the object holds, its record of the command line too, as with `native`, which is not asked of anyone."""
    (tmp_path / "a.c").write_text(SOURCE)
    line = line.replace("{other-gcc}", other_gcc())
    argv = tuple(word.encode() for word in (*line.split(), "-c", "a.c", "-o", "a.o"))
    program = b"/usr/bin/" + argv[0]
    known = facts(DiskProbe(), program, {b"PATH": b"/usr/bin:/bin"})
    command = parse(argv[1:], known.flavour)
    meaning = known.expand_native(tuple(word for word in command.kept if word.startswith(b"-m")))
    assert meaning is not None
    how = elsewhere(command, argv, known.target, meaning)
    assert how
    changed = arguments(thunk(argv, how), str(tmp_path))
    made = []
    for words in (argv, changed):
        done = subprocess.run([program, *words[1:]], cwd=tmp_path, capture_output=True, check=True)
        made.append(((tmp_path / "a.o").read_bytes(), done.stderr))
    assert made[0] == made[1]
    asked = subprocess.run([program, *changed[1:], "-###"], cwd=tmp_path, capture_output=True, check=True).stderr
    assert b"=native" not in b"".join(line for line in asked.splitlines() if b"-target-cpu" in line or b"/cc1" in line)
