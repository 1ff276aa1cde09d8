"""Whether the compiler accepts a call's options: what is asked, how often, and what needs no question."""

from __future__ import annotations

import subprocess

import pytest

from gg.models.drafts import Draft
from gg.models.driver.accepted import QUESTION
from gg.models.driver.certain import SINCE, certain, words
from gg.models.driver.flags import CLANG, GCC
from gg.models.driver.model import DriverModel
from tests.models.driver_probe import FakeFacts, FakeToolchain, answer, call, machine
from tests.support.compilers import other_gcc

ASKED = [
    ("gcc -O2 -Wall -g -std=c99 -fPIC -DX -Iinc -c a.c", None),
    ("gcc -O2 -Wcoverage-mismatch -c a.c", "-O2 -Wcoverage-mismatch|-fsyntax-only -x c Q"),
    ("g++ -Wcoverage-mismatch -c a.cc", "-Wcoverage-mismatch|-fsyntax-only -x c++ Q"),
    ("gcc -std=c++17 -c a.c", "-std=c++17|-fsyntax-only -x c Q"),
    ("gcc -msse2 -c a.S", "-msse2|-E -x assembler-with-cpp /dev/null -o /dev/null"),
    ("gcc -msse2 -c a.s", "-msse2|-### -c -x assembler /dev/null"),
    ("gcc -Wa,-msse2avx,-n -c a.c", "-Wa,-msse2avx -Wa,-n|-c -x assembler /dev/null -o /dev/null"),
    ("gcc -O2 -Wcoverage-mismatch a.o -o x", "-O2 -Wcoverage-mismatch|-### /dev/null"),
    ("gcc -O2 -shared -fopenmp a.o -o x", None),
    ("gcc -fstack-usage -c a.c", "-fstack-usage|-### /dev/null"),
    ("gcc --coverage -gsplit-dwarf -save-temps=obj -c a.c", None),
    ("gcc -frandom-seed=a.o -fdebug-prefix-map=/a=/b -c a.c", None),
    ("clang -Wnewline-eof -c a.c", "-Wnewline-eof|-fsyntax-only -x c Q"),
    ("clang -Werror -Wnewline-eof -c a.c", "-Werror -Wnewline-eof|-c -x c Q -o /dev/null"),
    ("clang -Werror -S a.c", None),
    ("clang -Werror -lm -c a.c", "-Werror -lm|-c -x c Q -o /dev/null"),
    ("clang -Werror -L. a.c -o x", None),
]


@pytest.mark.parametrize(("line", "expected"), ASKED)
def test_what_is_asked(line: str, expected: str | None) -> None:
    facts = FakeFacts("clang" if line.startswith("clang") else "gcc", (14,))
    assert isinstance(answer(line, facts=facts), Draft)
    asked = [(b" ".join(flags), b" ".join(then)) for name, flags, then in _accepts(facts) if name]
    made = [f"{flags.decode()}|{then.decode()}".replace(QUESTION.decode(), "Q") for flags, then in asked]
    assert made == ([expected] if expected else [])


def _accepts(facts: FakeFacts) -> list[tuple[str, tuple[bytes, ...], tuple[bytes, ...]]]:
    found = []
    for question in facts.asked:
        match question:
            case ("accepts", tuple() as flags, tuple() as then):
                found.append(("accepts", flags, then))
    return found


def test_a_set_of_options_is_asked_about_once() -> None:
    facts = FakeFacts("gcc", (12, 2, 0))
    model, probe = DriverModel(FakeToolchain(facts)), machine("gcc a.c b.c c.c")
    for name in "abc":
        assert isinstance(model(call(f"gcc -Wcoverage-mismatch -D{name} -c {name}.c -o {name}.o"), probe), Draft)
    assert len(_accepts(facts)) == 1


def test_nothing_is_certain_of_an_old_compiler() -> None:
    facts = FakeFacts("gcc", (4, 8, 5))
    assert isinstance(answer("gcc -O2 -c a.c", facts=facts), Draft)
    assert len(_accepts(facts)) == 1


@pytest.mark.parametrize(("program", "flavour"), [("gcc", GCC), ("other gcc", GCC), ("clang", CLANG)])
@pytest.mark.parametrize(("front", "language"), [("c", "c"), ("c++", "c++")])
def test_what_is_certain_is_accepted(program: str, flavour: str, front: str, language: str) -> None:
    """All of the list at once, but for what would make the rest unheard."""
    program = other_gcc() if program == "other gcc" else program
    apart = {b"-w", b"-Wno-error", b"-static", b"-r"}
    flags = sorted(words(flavour, front) - apart)
    line = [program.encode(), b"-Werror", b"-fsyntax-only", *flags, b"-x", language.encode(), QUESTION]
    done = subprocess.run(line, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    wrong = [program.encode(), b"-fsyntax-only", *flags, b"-fgg-nope", b"-x", language.encode(), QUESTION]
    assert subprocess.run(wrong, capture_output=True, check=False).returncode != 0


def test_certain() -> None:
    sure = certain(GCC, SINCE[GCC], "c")
    assert all(map(sure, (b"-O2", b"-Wall", b"-std=c99", b"-frandom-seed=x y", b"-fdebug-prefix-map=/a=")))
    assert not any(
        map(sure, (b"-O2x", b"-Wnope", b"-std=c++11", b"-march=i686", b"-fdebug-prefix-map=x", b"-fno-rtti"))
    )
