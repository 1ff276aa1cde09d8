"""`gg-create-thunk` without click: a thunk may call it hundreds of times, and loading click takes longer than the work.

`create_thunk.py` declares the options and their help. This module reads the plain forms of the same options. At anything else
(help, an unknown option, a missing value) it gives up, and click answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

_REPEATED = {"envar": "E", "value": "v", "thunk": "t", "executable": "e", "output": "o", "link": "L"}
_ONCE = {"placeholder": "C", "timeout": "T"}
_NAMES = {f"--{name}": name for name in (*_REPEATED, *_ONCE)}
_NAMES |= {f"-{letter}": name for name, letter in (*_REPEATED.items(), *_ONCE.items())}


@dataclass(slots=True)
class CreateThunkArguments:
    """The request, by the options' names."""

    options: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in (*_REPEATED, *_ONCE)})
    arguments: tuple[str, ...] = ()

    def last(self, name: str) -> str:
        return self.options[name][-1] if self.options[name] else ""


def parse(arguments: Sequence[str]) -> CreateThunkArguments | None:
    """The request in these arguments; None if only click can answer."""
    request = CreateThunkArguments()
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        spelled, equals, value = word.partition("=") if word.startswith("--") else (word[:2], word[2:], word[2:])
        if spelled not in _NAMES or not (equals or rest):
            return None
        request.options[_NAMES[spelled]].append(value if equals else rest.pop(0))
    request.arguments = tuple(rest)
    timeout = request.last("timeout")
    return request if rest and (not timeout or timeout.isdigit()) else None


def create(request: CreateThunkArguments) -> str:
    """Make the thunk, and return its reference."""
    from gg.errors import UsageError
    from gg.sdk.custom import Maker

    links: list[str] = []
    for item in request.options["link"]:
        name, equals, reference = item.partition("=")
        if not equals:
            raise UsageError(f"{item!r} has no target", hint="--link NAME=REF")
        links.append(f"{reference}={name}")
    with Maker() as maker:
        return maker.thunk(
            request.arguments[0],
            request.arguments[1:],
            executables=request.options["executable"],
            outputs=request.options["output"],
            values=(*request.options["value"], *links),
            thunks=request.options["thunk"],
            environment=request.options["envar"],
            placeholder=request.last("placeholder"),
        )
