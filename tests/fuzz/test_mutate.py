"""Inputs that are changed by their values get past the first check of a decoder; what is cut or spliced by its bytes does not."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from gg.wire import letters
from tests.fuzz.decoders.mutate import Mutator
from tests.fuzz.decoders.table import TARGETS

TRIES = 500


@pytest.mark.parametrize("name", ["thunk", "group", "request", "log-body", "reply", "habits", "deployment"])
def test_more_of_them_are_taken(name: str) -> None:
    target = TARGETS[name]
    random = Random(7)
    seed = target.seeds[0]

    def splice(data: bytes) -> bytes:
        at, more = random.randrange(len(data) + 1), random.randrange(3)
        return data[:at] + random.randbytes(more) + data[at + 1 :]

    def taken(change: Callable[[bytes], bytes]) -> int:
        tried = {change(seed) for _ in range(TRIES)}
        return sum(_is_taken(name, data) for data in tried if len(data) != len(seed))

    assert taken(Mutator(random, splice).change) > 5 * taken(splice) + 5


def _is_taken(name: str, data: bytes) -> bool:
    try:
        TARGETS[name].decode(data)
    except TARGETS[name].refused:
        return False
    return True


def test_what_is_wrapped_in_what_is_wrapped_is_reached() -> None:
    """base64 of a zstd frame in JSON: a letter's body."""
    body = b"x" * 1000
    letter = letters.encode_answer(letters.AnswerLetter("build.1", "worker", "reply", body))
    mutator = Mutator(Random(3), lambda data: data.replace(b"x", b"y"))
    found = set()
    for _ in range(TRIES):
        try:
            found.add(letters.decode_answer(mutator.change(letter.encode()).decode()).data)
        except Exception:
            continue
    assert body.replace(b"x", b"y") in found
