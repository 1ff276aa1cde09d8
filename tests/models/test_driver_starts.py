"""What command lines have in common at their start is taken apart once, and gives what it always gives."""

from __future__ import annotations

import random

import pytest

from gg.models.driver import parse as parsing
from gg.models.driver.command import Command
from gg.models.driver.flags import CLANG, GCC
from gg.models.driver.starts import Starts

WORDS = (
    *(
        b"-O2",
        b"-g",
        b"-c",
        b"-Wall",
        b"-I.",
        b"-Iinclude",
        b"-isystem",
        b"-iquote",
        b"-DA=1",
        b"-D",
        b"-UA",
        b"-MD",
        b"-MMD",
    ),
    *(
        b"-MF",
        b"-MT",
        b"-MQ",
        b"-MP",
        b"-o",
        b"a.c",
        b"b.cc",
        b"c.S",
        b"d.o",
        b"libe.a",
        b"-lm",
        b"-L.",
        b"-x",
        b"c",
        b"none",
    ),
    *(
        b"-include",
        b"h.h",
        b"-Wl,-z,now",
        b"-Wa,--defsym,x=1",
        b"-Wp,-MD,x.d",
        b"-Xlinker",
        b"-Xassembler",
        b"-pipe",
        b"-E",
    ),
    *(
        b"-S",
        b"-flto",
        b"-fprofile-use",
        b"-march=native",
        b"-save-temps",
        b"-gsplit-dwarf",
        b"-fno-lto",
        b"-specs=x",
        b"-v",
    ),
    *(b"--version", b"-nope", b"-static", b"-shared", b"-Bdir", b"-fplugin=p.so", b"-", b""),
)


def fresh(words: list[bytes], flavour: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    with monkeypatch.context() as patch:
        patch.setattr(parsing, "_starts", Starts())
        return parsing.parse(words, flavour)


@pytest.mark.parametrize("flavour", [GCC, CLANG])
@pytest.mark.parametrize("seed", range(6))
def test_a_known_start_changes_nothing(seed: int, flavour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    starts = [rng.choices(WORDS, k=rng.randint(3, 24)) for _ in range(4)]
    for _ in range(300):
        start = rng.choice(starts)
        words = [*start[: len(start) - rng.choice((0, 0, 0, 1, 5))], *rng.choices(WORDS, k=rng.randint(0, 8))]
        assert parsing.parse(words, flavour) == fresh(words, flavour, monkeypatch)


def test_starts_are_used() -> None:
    starts, words = Starts(), tuple(b"-D%d" % i for i in range(20))
    assert starts.find("kind", (*words, b"a.c")) == (None, 0, 0)
    _, _, learn = starts.find("kind", (*words, b"b.c"))
    assert learn == 20
    command = parsing.parse(words, GCC)
    starts.learn("kind", words, command)
    found, length, _ = starts.find("kind", (*words, b"c.c"))
    assert (found, length) == (command, 20)
    assert found is not None
    assert found.kept is not command.kept
