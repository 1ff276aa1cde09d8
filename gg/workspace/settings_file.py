"""Reads a settings file and says what is wrong with it. The file may be a stranger's."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping

from gg.errors import UsageError

_TABLES = ("tool",)
_MOST = 64 << 10  # bytes; parsing `a.a.a…` takes the square of its length


def read(path: str, defaults: Mapping[str, object]) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """The settings and the `[tool]` tables in a file. UsageError for a name or a type that is wrong.

    `defaults`: every setting that there is, with a value of its type.
    """
    content = _parsed(path)
    tables = content.get("tool", {})
    if not isinstance(tables, dict):
        hint = "[tool.NAME] is a table, which declares what a tool reads and writes"
        raise UsageError(f"{path}: unknown setting 'tool'", hint=hint)
    found: dict[str, object] = {}
    for key, value in content.items():
        name = key.replace("-", "_")
        if key not in _TABLES:
            found[name] = value
            _check_type(name, value, path, defaults)
    return found, tables


def _check_type(name: str, value: object, path: str, defaults: Mapping[str, object]) -> None:
    """TOML has types: `keep_going = "maybe"` and `jobs = true` are mistakes."""
    if name not in defaults:
        tables = value if isinstance(value, list) else [value]
        raise _unknown(name, path, defaults, table=any(isinstance(each, dict) for each in tables))
    default = defaults[name]
    if isinstance(default, bool):
        kind, right = "true or false", isinstance(value, bool)
    elif name == "store_size":
        kind, right = "bytes, or a number and a unit", isinstance(value, (int, str)) and not isinstance(value, bool)
    elif isinstance(default, int):
        kind, right = "a whole number", isinstance(value, int) and not isinstance(value, bool)
    elif isinstance(default, float):
        kind, right = "a number", isinstance(value, (int, float)) and not isinstance(value, bool)
    elif isinstance(default, tuple):
        texts = value if isinstance(value, list) else [value]
        kind, right = "a string, or a list of strings", all(isinstance(text, str) for text in texts)
    else:
        kind, right = "a string", isinstance(value, str)
    if not right:
        said = "that" if name == "reapi_headers" else repr(value)  # which may be a token
        raise UsageError(f"{path}: {name} cannot be {said}", hint=f"it is {kind}")


def _unknown(name: str, place: str, known: Mapping[str, object], *, table: bool) -> UsageError:
    from gg.light.nearest import known_names

    settings = sorted(known)
    if not table:
        return UsageError(f"{place}: unknown setting {name!r}", hint=known_names(name, settings))
    hint = known_names(name, _TABLES) + "; settings are not in a table, they come before the first one"
    return UsageError(f"{place}: unknown table {name!r}", hint=hint)


def _parsed(path: str) -> Mapping[str, object]:
    """The contents of a settings file. UsageError if it cannot be one: a tree that may be a stranger's names it."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode) or info.st_size > _MOST:
                raise ValueError("this is no file of settings")
            return tomllib.loads(file.read(_MOST).decode())
    except (FileNotFoundError, NotADirectoryError):  # a home may be /dev/null
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {error}", hint="mend the file or move it away") from error
