"""What the harness knows of a package: data in `recipes.toml`, read and checked here."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

RECIPES = Path(__file__).with_name("recipes.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One package. Commands are for `sh -c` in the source tree; `{jobs}` and `{dest}` are filled in.

    `version` is the upstream version that the counts belong to. `depends` are Debian packages. `partial` are the
    targets of the first `gg-force`. `smoke` commands run what was built. `again` is the build command that must find
    nothing to do afterwards. `artefacts` counts what the build leaves, by kind of file (`tree.Kind`). `environments` are
    the files into which configure writes all of its environment, with what gg adds to it.
    """

    name: str
    source: str
    version: str
    depends: tuple[str, ...]
    configure: tuple[str, ...]
    build: str
    again: str
    partial: tuple[str, ...]
    smoke: tuple[str, ...]
    check: str
    install: str
    artefacts: dict[str, int]
    environments: tuple[str, ...] = ()


class RecipeError(Exception):
    """`recipes.toml` does not say what a recipe must say."""


def _text(table: dict[str, object], key: str, default: str | None = None) -> str:
    value = table.pop(key, default)
    if not isinstance(value, str):
        raise RecipeError(f"{key}: a string is wanted, not {value!r}")
    return value


def _texts(table: dict[str, object], key: str) -> tuple[str, ...]:
    value = table.pop(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise RecipeError(f"{key}: a list of strings is wanted, not {value!r}")
    return tuple(value)


def _counts(table: dict[str, object], key: str) -> dict[str, int]:
    value = table.pop(key, {})
    if not isinstance(value, dict) or not all(isinstance(count, int) for count in value.values()):
        raise RecipeError(f"{key}: a table of numbers is wanted, not {value!r}")
    return dict(value)


def _recipe(name: str, table: dict[str, object]) -> Recipe:
    build = _text(table, "build")
    recipe = Recipe(
        name=name,
        source=_text(table, "source", name),
        version=_text(table, "version"),
        depends=_texts(table, "depends"),
        configure=_texts(table, "configure"),
        build=build,
        again=_text(table, "again", build),
        partial=_texts(table, "partial"),
        smoke=_texts(table, "smoke"),
        check=_text(table, "check", ""),
        install=_text(table, "install", ""),
        artefacts=_counts(table, "artefacts"),
        environments=_texts(table, "environments"),
    )
    if table:
        raise RecipeError(f"{name}: unknown keys {', '.join(sorted(table))}")
    return recipe


def load(path: Path = RECIPES) -> dict[str, Recipe]:
    """All recipes by name, in the order of the file; RecipeError when one is wrong."""
    tables = tomllib.loads(path.read_text())
    return {name: _recipe(name, dict(table)) for name, table in tables.items()}
