"""Only what is one character wide is repeated by `*+`, `++` and `?+`: of more, Python before 3.11.5 matches that wrongly."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import gg
from gg.light.regex import _Late

_ONE = {"LITERAL", "NOT_LITERAL", "IN", "ANY", "CATEGORY"}


def expressions() -> Iterator[tuple[str, str | bytes, int]]:
    """All that modules of gg name."""
    for module in pkgutil.walk_packages(gg.__path__, "gg."):
        if module.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, _Late):
                yield f"{module.name}.{name}", value._text, value._flags
            elif isinstance(value, re.Pattern):
                yield f"{module.name}.{name}", value.pattern, value.flags & ~re.UNICODE


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
