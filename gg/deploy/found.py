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
    """A deployed worker. `functions` by memory, the smallest first; `store` is the URI of the store that they read and write."""

    region: str
    architecture: str
    functions: tuple[FoundFunction, ...]
    store: str = ""


def remember(dot: str, deployments: tuple[Deployment, ...]) -> None:
    """Write the deployments to the records of a workspace, `dot`. An empty list means that nothing is deployed."""
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
    """The regions in which to look for functions: `wanted`, or else the regions that this workspace was deployed to, if the
    store's own region `home` is one of them.
    """
    if wanted:
        return list(dict.fromkeys(wanted))
    deployed = dict.fromkeys([each.region for each in remembered(dot) if each.architecture == architecture])
    return list(deployed) if home in deployed else [home]


def remembered(dot: str) -> tuple[Deployment, ...]:
    """The deployments that `remember` has written; none if it has not. FormatError for a file that it did not write."""
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
