"""A placeholder is what `PlaceholderWriter` makes, and nothing that Python would take for it."""

from __future__ import annotations

import pytest

from gg.core.placeholder import SIZE, PlaceholderWriter, parse

WHOLE = PlaceholderWriter(b"/bin/sh").encode(bytes(range(32)), 7)
DIGITS = bytes(range(32)).hex().encode()


def test_it_is_read_as_it_was_made() -> None:
    assert len(WHOLE) == SIZE
    assert parse(WHOLE) == (bytes(range(32)), 7)


@pytest.mark.parametrize(
    "number", [b"-0001", b"+0007", b"    7", b"7    ", b"1_000", b"\xb2\xb2\xb2\xb2\xb2", b"0x007"]
)
def test_a_number_is_five_digits(number: bytes) -> None:
    assert WHOLE.count(b" 00007\n") == 1
    assert parse(WHOLE.replace(b" 00007\n", b" " + number + b"\n")) is None


@pytest.mark.parametrize("digits", [DIGITS.upper(), DIGITS[:-2] + b"  ", b" " + DIGITS[:-1], DIGITS[:-1] + b"\n"])
def test_a_digest_is_64_digits(digits: bytes) -> None:
    assert parse(WHOLE.replace(DIGITS, digits)) is None
