"""Remembers which functions were found a short while ago: asking again costs a connection and a round trip before the first thunk.

The list is kept among the workspace's records for ten minutes, for the place that was searched and the user who searched, and as
long as the workspace's memory of its deployment is the same: so a `gg deploy` is seen at once. If a function turns out to be gone,
the list is forgotten.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence

from gg.aws.failures import RequestContext
from gg.core.jsontext import json_from
from gg.engines.awslambda.deployed_functions import DeployedFunction
from gg.errors import FormatError

_HELD_S = 600.0
_NAME, _DEPLOYED = "functions.json", "deployment.json"


class FunctionListCache:
    """The memory of the workspace whose records are in `dot`."""

    def __init__(self, dot: str, clock: Callable[[], float] = time.time) -> None:
        self._path = os.path.join(dot, _NAME)
        self._deployed = os.path.join(dot, _DEPLOYED)
        self._clock = clock

    def find(self, prefix: str, asked: RequestContext) -> tuple[DeployedFunction, ...] | None:
        """The functions whose names begin so; None when nobody has looked lately."""
        known = self._read().get(self._key(prefix, asked))
        if known is None or not 0 <= self._clock() - known[0] < _HELD_S:
            return None
        return known[1]

    def keep(self, prefix: str, asked: RequestContext, found: Sequence[DeployedFunction]) -> None:
        now = self._clock()
        fresh = {key: value for key, value in self._read().items() if now - value[0] < _HELD_S}
        self._write({**fresh, self._key(prefix, asked): (now, tuple(found))})

    def forget(self) -> None:
        """Forget all lists: something is not as it was."""
        self._write({})

    def _key(self, prefix: str, asked: RequestContext) -> str:
        try:
            info = os.stat(self._deployed)
            stamp = f"{info.st_ino} {info.st_mtime_ns}"
        except OSError:
            stamp = ""
        return "\n".join((asked.host, asked.region, asked.access_key, prefix, stamp))

    def _read(self) -> dict[str, tuple[float, tuple[DeployedFunction, ...]]]:
        """The lists; none if the file is damaged, for AWS can be asked again."""
        try:
            with open(self._path, "rb") as file:
                table = json_from(file.read(), "list of functions")
            return {str(key): (float(at), tuple(map(_function, found))) for key, (at, found) in table.items()}
        except (OSError, FormatError, ValueError, TypeError, AttributeError):
            return {}

    def _write(self, table: Mapping[str, tuple[float, tuple[DeployedFunction, ...]]]) -> None:
        aside = f"{self._path}.{os.getpid()}"
        try:
            with open(aside, "w", encoding="utf-8") as file:
                json.dump(table, file)
            os.replace(aside, self._path)
        except OSError:
            return  # the next run asks AWS


def _function(raw: Sequence[object]) -> DeployedFunction:
    name, memory, seconds, memory_mb, disk_mb = raw
    sizes = (memory, memory_mb, disk_mb)
    if isinstance(name, str) and isinstance(seconds, float) and all(type(size) is int for size in sizes):
        return DeployedFunction(name, int(str(memory)), seconds, int(str(memory_mb)), int(str(disk_mb)))
    raise ValueError(f"no function: {raw!r}")
