"""JSON from somebody else."""

from __future__ import annotations

import json
from typing import Any

from gg.errors import FormatError


def json_from(data: bytes, what: str) -> Any:
    """What the JSON in `data` says; FormatError for anything else, too deep nesting included. Some 25 times as large as
    `data` at most: who reads it bounds that first.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError(
            f"a {what} is damaged", hint="it was cut short or changed, or something else wrote it"
        ) from error
