"""The deployed functions: one a memory size, found by their names."""

from __future__ import annotations

import json
from collections.abc import Sequence

from gg.aws.connection import Reply
from gg.aws.failures import Asked, from_no_answer, from_reply
from gg.aws.http import Client
from gg.aws.sign import query_string
from gg.aws.trouble import NoAnswer
from gg.errors import SetupError
from gg.light.named import NamedTuple

RESERVE = 192 << 20  # bytes of a function's memory that its commands do not get, as in gg.worker.handler
_PATH = "/2015-03-31/functions"


class Function(NamedTuple):
    """One function. `memory` in bytes, what commands get of it; `seconds`: its timeout. What is paid for: `memory_mb`,
    `disk_mb`.
    """

    name: str
    memory: int
    seconds: float
    memory_mb: int = 0
    disk_mb: int = 512


async def find(client: Client, prefix: str, asked: Asked) -> tuple[Function, ...]:
    """The functions whose names begin with `prefix` and `-`, the smallest first. SetupError when there is none."""
    found: list[Function] = []
    marker = ""
    while True:
        pairs = [("MaxItems", "50"), *([("Marker", marker)] if marker else [])]
        try:
            reply = await client.request("GET", f"{_PATH}/", query=query_string(pairs))
        except NoAnswer as error:
            raise from_no_answer(error) from error
        if reply.status != 200:
            raise from_reply(reply, asked)
        page = json.loads(reply.body)
        found += [_function(each) for each in page["Functions"] if each["FunctionName"].startswith(prefix + "-")]
        marker = page.get("NextMarker") or ""
        if not marker:
            break
    if not found:
        raise SetupError(f"there is no function {prefix}-… in {asked.region}", hint="set it up with: gg deploy lambda")
    return tuple(sorted(found, key=lambda f: f.memory))


def _function(said: dict[str, object]) -> Function:
    memory, timeout = int(str(said["MemorySize"])), float(str(said["Timeout"]))
    storage = said.get("EphemeralStorage")
    disk = int(storage["Size"]) if isinstance(storage, dict) else 512
    return Function(str(said["FunctionName"]), max((memory << 20) - RESERVE, 64 << 20), timeout, memory, disk)


def choose(functions: Sequence[Function], memory: int) -> Function:
    """The smallest that gives `memory` bytes, else the largest."""
    return next((f for f in functions if f.memory >= memory), functions[-1])


def invocation_path(name: str) -> str:
    return f"{_PATH}/{name}/invocations"


def gone(reply: Reply, name: str, region: str) -> SetupError | None:
    """What to say if the function is not there any more."""
    if reply.status != 404:
        return None
    return SetupError(f"there is no function {name} in {region}", hint="set it up with: gg deploy lambda")
