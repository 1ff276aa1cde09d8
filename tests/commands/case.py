"""One row of the table: command lines that run one after the other in a directory of their own.

`real.jsonl` holds command lines taken from build logs of Debian packages (`from_logs.py` made it), `odd.jsonl` those
written by hand. A row is one JSON object:

  name      unique; the case's directory has this name
  from      the package whose build it was taken from, or "hand"
  cwd       where the commands run, relative to the case's directory ("" is the directory itself)
  run       list of command lines; "{top}" in an argument is the case's directory, "{other-gcc}" a GCC of another version. Bytes
            that are not UTF-8 are lone surrogates, as Python decodes file names
  files     path to text, for what the command lines need and `world.py` cannot invent; a list of lines means a file
            that holds base64
  prepare   command lines run plainly beforehand, with the real tools (optional)
  volatile  outputs whose bytes differ between two plain runs; only that they are there is compared (optional)
  world     false when nothing is to be invented (optional)
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path

from tests.support.compilers import other_gcc

HERE = Path(__file__).parent
Argv = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One row, decoded; see the module."""

    name: str
    origin: str
    cwd: bytes
    run: tuple[Argv, ...]
    files: tuple[tuple[bytes, bytes], ...]
    prepare: tuple[Argv, ...]
    world: bool
    volatile: frozenset[bytes]

    def commands(self, top: bytes) -> list[list[bytes]]:
        """The command lines with the case's directory and the other GCC filled in."""
        return [[_filled(arg, top) for arg in argv] for argv in self.run]


def _filled(arg: bytes, top: bytes) -> bytes:
    if arg == b"{other-gcc}":
        return other_gcc().encode()
    return arg.replace(b"{top}", top)


def _text(row: dict[str, object], key: str, default: str = "") -> str:
    value = row.get(key, default)
    if not isinstance(value, str):
        raise ValueError(f"{row.get('name')}: {key} is no string")
    return value


def _argvs(row: dict[str, object], key: str) -> tuple[Argv, ...]:
    value = row.get(key, [])
    if not isinstance(value, list) or not all(isinstance(argv, list) and argv for argv in value):
        raise ValueError(f"{row.get('name')}: {key} is no list of command lines")
    return tuple(tuple(os.fsencode(str(arg)) for arg in argv) for argv in value)


def _strings(row: dict[str, object], key: str) -> list[bytes]:
    value = row.get(key, [])
    if not isinstance(value, list):
        raise ValueError(f"{row.get('name')}: {key} is no list")
    return [os.fsencode(str(item)) for item in value]


def _content(value: object) -> bytes:
    if isinstance(value, list):
        return base64.b64decode("".join(map(str, value)))
    return os.fsencode(str(value))


def _files(row: dict[str, object]) -> tuple[tuple[bytes, bytes], ...]:
    value = row.get("files", {})
    if not isinstance(value, dict):
        raise ValueError(f"{row.get('name')}: files is no table")
    return tuple((os.fsencode(str(path)), _content(content)) for path, content in value.items())


def decode(row: dict[str, object]) -> Case:
    """A row as read from JSON; ValueError when it is not one."""
    return Case(
        name=_text(row, "name"),
        origin=_text(row, "from"),
        cwd=os.fsencode(_text(row, "cwd")),
        run=_argvs(row, "run"),
        files=_files(row),
        prepare=_argvs(row, "prepare"),
        world=row.get("world", True) is True,
        volatile=frozenset(_strings(row, "volatile")),
    )


def load(name: str) -> list[Case]:
    """All rows of `NAME.jsonl` beside this file, in order."""
    with open(HERE / f"{name}.jsonl", encoding="utf-8") as lines:
        return [decode(json.loads(line)) for line in lines if line.strip()]
