"""Makes a setting's value from text in a file, the environment or the command line. Loaded when there is such text."""

from __future__ import annotations

import os
from collections.abc import Mapping

from gg.errors import UsageError
from gg.light.regex import regex
from gg.workspace.engine_names import ENGINES

_FIXED_PATH = regex(rb"(/[A-Za-z0-9_+~-][A-Za-z0-9._+~-]*)+")


def with_hosts(engines: object, place: str) -> dict[str, object]:
    """Take `remote=HOST,HOST` and `reapi=URL` among engines apart: the engines, and where they are. UsageError."""
    assert isinstance(engines, tuple)
    names: list[str] = []
    hosts: list[str] = []
    found: dict[str, object] = {}
    for word in engines:
        name, equals, host = word.partition("=")
        if equals and name == "reapi" and host:
            names.append(name)
            found["reapi"] = host
            continue
        if equals and name == "remote" and host:
            hosts.append(host)
            names.append(name)
        elif hosts and word not in ENGINES:
            hosts.append(word)
        elif equals:
            raise UsageError(
                f"{place}: engine cannot be {word!r}", hint="where is given so: remote=HOST,HOST or reapi=URL"
            )
        else:
            names.append(word)
    found["engine"] = tuple(dict.fromkeys(names))
    return {**found, "workers": tuple(hosts)} if hosts else found


def refuse_keys(values: Mapping[str, object], place: str) -> None:
    """UsageError if a worker's key is in a file that travels with the tree."""
    texts = [values.get(name) for name in ("engine", "workers")]
    words = [word for text in texts for word in (text if isinstance(text, list) else [text]) if isinstance(word, str)]
    if any("/" in word for word in words if not word.strip().startswith("reapi=")):
        raise UsageError(
            f"{place}: a worker's key does not belong into a file that others get",
            hint="name the host alone; each user gives the key once: gg-force --engine remote=HOST/KEY",
        )


def size(text: str, place: str) -> int:
    """Bytes, of a number with a unit if it has one: 500M, 10G. UsageError."""
    number, unit = text.strip().lower().removesuffix("b").removesuffix("i"), 1
    if number[-1:] in tuple("kmgt"):
        number, unit = number[:-1], 1 << 10 * (1 + "kmgt".index(number[-1]))
    try:
        if float(number) >= 0:
            return int(float(number) * unit)
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"{place}: {text!r} is no size", hint="bytes, or a number and a unit: 500M, 10G")


def converted(name: str, value: object, default: object, place: str) -> object:
    """The value of the setting `name`, of the type that `default` has. UsageError."""
    try:
        if isinstance(default, bool):
            if isinstance(value, str):
                return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[value.lower()]
            return bool(value)
        if name == "store_size":
            return size(str(value), place)
        if isinstance(default, int):
            return int(str(value))
        if isinstance(default, float):
            return float(str(value))
        if isinstance(default, tuple):
            if isinstance(value, str):
                return tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, (list, tuple)):
                return tuple(str(part) for part in value)
            raise ValueError
        return str(value)
    except (ValueError, KeyError):
        raise UsageError(f"{place}: {name} cannot be {value!r}") from None


def check_known_as(name: str, root: str | None) -> None:
    """UsageError for a fixed path that cannot serve; `root`: the workspace, where there is one."""
    if not _FIXED_PATH.fullmatch(os.fsencode(name)):
        raise UsageError(
            f"known_as is {name!r}", hint="an absolute path of plain letters and digits, such as /src/project"
        )
    if root and name != root and (f"{root}/".startswith(f"{name}/") or f"{name}/".startswith(f"{root}/")):
        raise UsageError(
            f"known_as is {name}, and the workspace {root}",
            hint="neither may be inside of the other: choose another path",
        )
    if name != root and os.path.lexists(name):
        raise UsageError(
            f"known_as is {name}, and that is another thing on this machine", hint="choose another path for known_as"
        )
