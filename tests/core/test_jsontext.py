"""JSON from somebody else."""

from __future__ import annotations

import pytest

from gg.core.jsontext import json_from
from gg.errors import FormatError


@pytest.mark.parametrize(
    "text",
    [
        "1" + "0" * 400,
        "-1" + "0" * 25,
        "18446744073709551616",
        "1e400",
        "-1e999",
        "NaN",
        "Infinity",
        "[-Infinity]",
        "[" * 9999,
        "x",
    ],
)
def test_what_is_no_number_of_64_bits_and_what_is_no_json(text: str) -> None:
    with pytest.raises(FormatError):
        json_from(text.encode(), "text")


@pytest.mark.parametrize("number", [0, -5, 2**64 - 1, 1 - 2**64, 1.5, -2e300])
def test_numbers(number: float) -> None:
    assert json_from(repr({"a": [number]}).replace("'", '"').encode(), "text") == {"a": [number]}
