"""The deployed functions: one a memory size, found by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gg.aws.connection import Response
from gg.aws.failures import RequestContext, from_no_answer, from_reply
from gg.aws.http import Client
from gg.aws.sign import query_string
from gg.aws.trouble import NoAnswer
from gg.core.bounded import damaged
from gg.core.jsontext import json_from
from gg.errors import SetupError
from gg.light.named import NamedTuple

RESERVE = 192 << 20  # bytes of a function's memory that its commands do not get, as in gg.worker.handler
_PATH = "/2015-03-31/functions"
_WHAT = "list of Lambda's functions"
_MOST_PAGE = 4 << 20  # bytes
_MOST_PAGES = 1000  # of 50 functions: more than an account can have, so there is no end to them
_MOST_MEGABYTES = 1 << 20


class DeployedFunction(NamedTuple):
    """One function. `memory`: bytes that its commands get; `seconds`: its timeout. AWS bills `memory_mb` and
    `disk_mb`.
    """

    name: str
    memory: int
    seconds: float
    memory_mb: int = 0
    disk_mb: int = 512


async def find(client: Client, prefix: str, asked: RequestContext) -> tuple[DeployedFunction, ...]:
    """The functions whose names begin with `prefix` and `-`, the smallest first. SetupError when there is none."""
    found: list[DeployedFunction] = []
    marker = ""
    asked_by: set[str] = set()
    while marker not in asked_by and len(asked_by) < _MOST_PAGES:
        asked_by.add(marker)
        pairs = [("MaxItems", "50"), *([("Marker", marker)] if marker else [])]
        try:
            reply = await client.request("GET", f"{_PATH}/", query=query_string(pairs), most=_MOST_PAGE)
        except NoAnswer as error:
            raise from_no_answer(error) from error
        if reply.status != 200:
            raise from_reply(reply, asked)
        functions, marker = page(reply.body)
        found += [function for function in functions if function.name.startswith(prefix + "-")]
        if not marker:
            break
    else:
        raise damaged(_WHAT)
    if not found:
        raise SetupError(f"there is no function {prefix}-… in {asked.region}", hint="set it up with: gg deploy lambda")
    return tuple(sorted(found, key=lambda f: f.memory))


def page(body: bytes) -> tuple[list[DeployedFunction], str]:
    """The functions on one page of a listing, and the marker of the next page. FormatError for what is no page."""
    try:
        said = json_from(body, _WHAT)
        return [_function(each) for each in said["Functions"]], str(said.get("NextMarker") or "")
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise damaged(_WHAT) from error


def _function(said: Any) -> DeployedFunction:
    memory, timeout = _megabytes(said["MemorySize"]), float(str(said["Timeout"]))
    disk = _megabytes((said.get("EphemeralStorage") or {"Size": 512})["Size"])
    return DeployedFunction(str(said["FunctionName"]), max((memory << 20) - RESERVE, 64 << 20), timeout, memory, disk)


def _megabytes(value: object) -> int:
    if type(value) is not int or not 0 < value <= _MOST_MEGABYTES:
        raise ValueError(value)
    return value


def choose(functions: Sequence[DeployedFunction], memory: int) -> DeployedFunction:
    """The smallest function that gives `memory` bytes, else the largest one."""
    return next((f for f in functions if f.memory >= memory), functions[-1])


def invocation_path(name: str) -> str:
    return f"{_PATH}/{name}/invocations"


def gone(reply: Response, name: str, region: str) -> SetupError | None:
    """The error if the function is not there any more."""
    if reply.status != 404:
        return None
    return SetupError(f"there is no function {name} in {region}", hint="set it up with: gg deploy lambda")
