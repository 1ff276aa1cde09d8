"""What was deployed: remembered beside the workspace's store, or found in the account by the rule of names."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from gg.core.jsontext import json_from
from gg.deploy.aws_calls import AwsService
from gg.deploy.functions import listed
from gg.errors import FormatError, SetupError

if TYPE_CHECKING:
    from gg.aws.setup import AwsSession

_FILE, _VERSION = "deployment.json", 1


class FoundFunction(NamedTuple):
    """A function that can be invoked."""

    name: str
    memory_mb: int


class Deployment(NamedTuple):
    """Where a worker was put. `functions` by memory, the smallest first; `store` is the URI of what they may read and write."""

    region: str
    architecture: str
    functions: tuple[FoundFunction, ...]
    store: str = ""


def remember(dot: str, deployments: tuple[Deployment, ...]) -> None:
    """Write them to the records of a workspace, `dot`; nothing there means that nothing is deployed."""
    path = os.path.join(dot, _FILE)
    if not deployments:
        if os.path.exists(path):
            os.unlink(path)
        return
    listed = [
        {**d._asdict(), "functions": [{"name": f.name, "memory_mb": f.memory_mb} for f in d.functions]}
        for d in deployments
    ]
    aside = f"{path}.{os.getpid()}"
    with open(aside, "w", encoding="utf-8") as file:
        json.dump({"version": _VERSION, "deployments": listed}, file, indent=1)
    os.replace(aside, path)


def regions(wanted: Sequence[str], home: str, dot: str, architecture: str) -> list[str]:
    """Where functions are looked for: the regions `wanted`; else where this workspace was deployed to, if the store's own region
    `home` is among them.
    """
    if wanted:
        return list(dict.fromkeys(wanted))
    deployed = dict.fromkeys([each.region for each in remembered(dot) if each.architecture == architecture])
    return list(deployed) if home in deployed else [home]


def remembered(dot: str) -> tuple[Deployment, ...]:
    """What `remember` has written; nothing when it has not. FormatError for another's file."""
    path = os.path.join(dot, _FILE)
    try:
        with open(path, "rb") as file:
            table = json_from(file.read(), "list of deployments")
        if table["version"] != _VERSION:
            raise FormatError(f"{path} is of version {table['version']}", hint="deploy again: gg deploy lambda")
        return tuple(
            Deployment(
                each["region"],
                each["architecture"],
                tuple(FoundFunction(f["name"], int(f["memory_mb"])) for f in each["functions"]),
                each["store"],
            )
            for each in table["deployments"]
        )
    except FileNotFoundError:
        return ()
    except FormatError as error:
        raise FormatError(f"{path}: {error}", hint="deploy again: gg deploy lambda") from error
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise FormatError(f"{path} is damaged: {error}", hint="deploy again: gg deploy lambda") from error


def look(session: AwsSession, name: str, architecture: str) -> Deployment:
    """The deployment of that name in the session's region. SetupError when there is none."""
    region = session.region()
    found = listed(AwsService(session, "lambda", dry=True), name, architecture)
    if not found:
        raise SetupError(f"no functions {name}-{architecture}-* in {region}", hint="deploy them: gg deploy lambda")
    functions = tuple(FoundFunction(each["FunctionName"], int(each["MemorySize"])) for each in found)
    return Deployment(region, architecture, functions)
