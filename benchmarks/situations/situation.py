"""The table of situations: `situations.toml`, a table each."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("situations.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One project and how it is built.

    `depends` are Debian packages, `pip` and `npm` packages of those registries (in $VENV and $NPM). `like` names a
    situation whose files this one has too. `loose` are patterns of files that hold a time, a process's number or the
    like; a file that differs between two plain builds is left out without being named. `git` makes the sources a commit.
    """

    name: str
    about: str
    build: str
    files: dict[str, str]
    depends: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()
    git: bool = False


def load(table: Path = TABLE) -> dict[str, Situation]:
    """All of them, by name, in the table's order."""
    with open(table, "rb") as file:
        raw: dict[str, dict[str, Any]] = tomllib.load(file)
    return {name: _situation(name, fields, raw) for name, fields in raw.items()}


def _situation(name: str, fields: dict[str, Any], raw: dict[str, dict[str, Any]]) -> Situation:
    like = raw[fields["like"]]["files"] if "like" in fields else {}
    lists = {key: tuple(fields.get(key, ())) for key in ("depends", "pip", "npm", "loose")}
    files = {**like, **fields.get("files", {})}
    return Situation(
        name=name, about=fields["about"], build=fields["build"], files=files, git=fields.get("git", False), **lists
    )
