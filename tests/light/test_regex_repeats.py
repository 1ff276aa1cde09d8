"""Only what is one character wide is repeated by `*+`, `++` and `?+`: of more, Python before 3.11.5 matches that wrongly."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gg
from gg.light.regex import _Late

_ONE = {"LITERAL", "NOT_LITERAL", "IN", "ANY", "CATEGORY"}


def expressions() -> Iterator[tuple[str, str | bytes, int]]:
    """All that modules of gg name. Other modules are not imported: the worker's handler begins to work where it is."""
    top = Path(os.fsdecode(gg.__path__[0]))
    for path in sorted(top.rglob("*.py")):
        if path.stem == "__main__" or not re.search(r"\bregex\(|\bre\.compile\(", path.read_text()):
            continue
        module = ".".join(("gg", *path.relative_to(top).with_suffix("").parts))
        for name, value in vars(importlib.import_module(module)).items():
            if isinstance(value, _Late):
                yield f"{module}.{name}", value._text, value._flags
            elif isinstance(value, re.Pattern):
                yield f"{module}.{name}", value.pattern, value.flags & ~re.UNICODE


def wide_repeats(parsed: Any) -> Iterator[object]:
    if isinstance(parsed, list | tuple) or hasattr(parsed, "data"):
        each = list(getattr(parsed, "data", parsed))
        if len(each) == 2 and str(each[0]) == "POSSESSIVE_REPEAT":
            body = list(each[1][2])
            if len(body) != 1 or str(body[0][0]) not in _ONE:
                yield body
        for part in each:
            yield from wide_repeats(part)


def test_what_is_repeated_without_giving_back_is_one_character() -> None:
    parser = re._parser  # type: ignore[attr-defined]
    found = list(expressions())
    assert len(found) > 150
    assert not [name for name, text, flags in found if list(wide_repeats(parser.parse(text, flags)))]
    assert list(wide_repeats(parser.parse(r"a(?:b|c*(?:de)++)", 0))), "it sees one"
