"""One name, one thing: in gg/ a name of a class or of a type stands for one of them, a private one too."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

GG = Path(__file__).parents[2] / "gg"

TWICE = {
    "Output": "the SDK's own, for programs that import gg: what a thunk of theirs makes",
    "Thunk": "the SDK's own, for programs that import gg: a command that is not run yet",
    "ThunkFailed": "the SDK's exception; the event has its name from --json, where it is `thunk-failed`",
}
"""Names that two things have, and why. Both are what others see: they would break by another name."""


def _named(body: list[ast.stmt]) -> Iterator[str]:
    """Classes, those within others too, and what is assigned under a name of a type."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield node.name
            yield from _named(node.body)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name.lstrip("_")[:1].isupper() and not name.isupper():
                yield name
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            yield from _named(node.body)


def _places() -> dict[str, list[str]]:
    places = defaultdict(list)
    for path in sorted(GG.rglob("*.py")):
        for name in set(_named(ast.parse(path.read_text()).body)):
            places[name].append(path.relative_to(GG).as_posix())
    return places


def test_a_name_stands_once() -> None:
    twice = {name: paths for name, paths in _places().items() if len(paths) > 1}
    assert not {name: paths for name, paths in twice.items() if name not in TWICE}
    assert set(TWICE) == set(twice), "an exception that is none"
    assert all(paths[-1] == "sdk/values.py" and len(paths) == 2 for paths in twice.values())
