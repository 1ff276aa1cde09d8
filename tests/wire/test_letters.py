"""What stands in a queue may be a stranger's: it is a letter, or refused as damaged, and it never ends who reads it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest

from gg.errors import FormatError
from gg.wire import letters
from gg.wire.build_key import build_name, here_id, job_id, job_number
from gg.wire.letters import AnswerLetter, CallLetter, JobLetter, OtherLetterVersion
from gg.wire.peers import Holding, Peer

BUILD = "0123456789abcdef"
KEY = bytes(range(32))
HALF = "\ud800"  # of a character
DIGEST = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize("weight", ["1" + "0" * 400, "-1" + "0" * 400, "1e999", "-1e999", "0", "true", "1e-400"])
def test_a_weight_has_bounds(weight: str) -> None:
    call = letters.decode_call(f'{{"v": 3, "asks": 4, "key": "{KEY.hex()}", "call": 1, "weight": {weight}}}')
    assert 1 / 8 <= call.weight <= 8.0


@pytest.mark.parametrize("weight", ["NaN", '"1"', "null", "[]", "1" + "0" * 5000])
def test_what_is_no_weight(weight: str) -> None:
    with pytest.raises(FormatError):
        letters.decode_call(f'{{"v": 3, "asks": 4, "key": "{KEY.hex()}", "call": 1, "weight": {weight}}}')


@pytest.mark.parametrize(
    ("decode", "letter"),
    [
        (letters.decode_answer, {"id": HALF, "worker": "w", "what": "started"}),
        (letters.decode_answer, {"id": "a", "worker": HALF, "what": "started"}),
        (letters.decode_job, {"id": HALF, "request": ""}),
        (letters.decode_job, {"id": "a", "request": ["blob", DIGEST, 1, HALF, "b", "p", "r", "o"]}),
        (letters.decode_job, {"id": "a", "request": ["blob", DIGEST, 1, "e", "b", HALF, "r", "o"]}),
        (letters.decode_offer, {"build": BUILD, "handle": HALF, "received": 1, "job": "{}"}),
    ],
)
def test_no_text_is_half_of_a_character(decode: Callable[[str], object], letter: dict[str, object]) -> None:
    """Nobody could send it on, write it down or print it."""
    with pytest.raises(FormatError):
        decode(json.dumps({"v": 3, **letter}))


def test_a_worker_speaks_for_itself_alone() -> None:
    """Else one worker could have all others ask, in each later build too, whomever it names."""
    one, other = (Holding(Peer(f"10.0.0.{n}:1", "t" * 32), (bytes(32),)) for n in (5, 6))
    answer = AnswerLetter("a-1", "w", "reply", b"x", (one,))
    assert letters.decode_answer(letters.encode_answer(answer)) == answer
    with pytest.raises(FormatError):
        letters.decode_answer(letters.encode_answer(answer._replace(held=(one, other))))
    job = JobLetter("a-1", b"x", (one, other))
    assert letters.decode_job(letters.encode_job(job)) == job


def test_what_is_withdrawn_is_told_by_ranges() -> None:
    assert letters.ranges([7, 1, 2, 3, 9, 8]) == ((1, 3), (7, 9))
    many = letters.ranges(range(0, 2000, 2))
    assert (len(many), many[-1]) == (256, (1998, 1998)), "the highest"
    call = CallLetter(KEY, 3, 1.0, many)
    assert letters.decode_call(letters.encode_call(call)) == call
    assert len(letters.encode_call(call)) < 5000


def test_ids_are_made_with_the_builds_key() -> None:
    id, other_key = job_id(KEY, 12), bytes(32)
    proof = id.removeprefix("12-")
    assert job_number(KEY, id) == 12
    assert here_id(KEY) != here_id(other_key)
    assert CallLetter(KEY, 0).build == build_name(KEY) != build_name(other_key)
    others = ["", "-", "12", "12-", f"-{proof}", f"13-{proof}", f"012-{proof}", f"\u0661\u0662-{proof}", f"12-{proof}0"]
    others += [
        f"12-{proof.upper()}",
        f"12-{'0' * 16}",
        f"{'1' * 20}-{proof}",
        f"{build_name(KEY)}-12",
        job_id(other_key, 12),
    ]
    assert [job_number(KEY, other) for other in others] == [None] * len(others)


def test_another_version_is_told_from_damage() -> None:
    """Its workers may read the same queue."""
    for version in ("2", "4", "-1", "1" + "0" * 400):
        with pytest.raises(OtherLetterVersion):
            letters.decode_call(f'{{"v": {version}, "build": "{BUILD}"}}')
    with pytest.raises(OtherLetterVersion):
        letters.decode_call(letters.encode_call(CallLetter(KEY, 1)).replace('"asks": 4', '"asks": 3'))
    for version in ("null", '"2"', "2.0", "true"):
        with pytest.raises(FormatError) as caught:
            letters.decode_call(f'{{"v": {version}, "build": "{BUILD}"}}')
        assert caught.type is FormatError


@pytest.mark.parametrize(
    "withdrawn",
    [
        *("1", "null", "[1]", "[[1]]", "[[2, 1]]", "[[1, 2], [2, 3]]", "[[3, 4], [1, 2]]", "[[-1, 2]]", "[[1, 1e3]]"),
        *("[[1, null]]", "[[0, 9007199254740992]]", "[" + ",".join(f"[{n},{n}]" for n in range(257)) + "]"),
    ],
)
def test_what_withdraws_nothing(withdrawn: str) -> None:
    with pytest.raises(FormatError):
        letters.decode_call(
            f'{{"v": 3, "asks": 4, "key": "{KEY.hex()}", "call": 1, "weight": 1, "withdrawn": {withdrawn}}}'
        )
