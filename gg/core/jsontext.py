"""JSON from somebody else."""

from __future__ import annotations

import json
import math
from typing import Any

from gg.errors import FormatError

_MOST = 1 << 64  # of a number's size: what is larger is no count, size or time, and no float


def json_from(data: bytes | str, what: str) -> Any:
    """What the JSON in `data` says; FormatError for anything else: too deep nesting, numbers of more than 64 bits, and those that
    are none or infinite included, so that whoever reckons with them gets no other exception. Some 25 times as large as `data` at
    most: who reads it bounds that first.
    """
    try:
        return json.loads(data, parse_int=_whole, parse_float=_fraction, parse_constant=_fraction)
    except (ValueError, RecursionError) as error:
        raise FormatError(
            f"a {what} is damaged", hint="it was cut short or changed, or something else wrote it"
        ) from error


def _whole(text: str) -> int:
    if len(text) > 21 or not -_MOST < (number := int(text)) < _MOST:
        raise ValueError(text)
    return number


def _fraction(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
