"""What a worker says of its own work, cut to what is possible.

Nobody here can check how long a command took on another machine, or how many requests its worker made. But a figure that is
believed stays. Durations and memory decide where later builds run; what was paid ends a run at its budget, and is in the history
for ever. So a worker's figures are cut to what they could have been at most.
"""

from __future__ import annotations

from gg.core.thunk import Usage
from gg.engines.awslambda.deployed_functions import DeployedFunction
from gg.light.named import NamedTuple
from gg.wire.reply import CacheUse

_MOST_CPUS = 1024
_MOST_MEMORY = 1 << 40  # bytes of a machine that is no function
_BEGIN = 1000  # requests of a worker that has just been asked
_REQUESTS_S = 5000  # of one worker: it makes eight at once, in 2 ms at least
_PUTS_S = 500


class Possible(NamedTuple):
    """`seconds`: since the worker was asked. `memory`: bytes that its commands can have had."""

    seconds: float
    memory: int = _MOST_MEMORY

    @classmethod
    def at(cls, function: DeployedFunction, seconds: float) -> Possible:
        """What is possible of a function that was asked so many seconds ago."""
        return cls(seconds, function.memory_mb << 20 or _MOST_MEMORY)

    def usage(self, said: Usage) -> Usage:
        wall = int(self.seconds * 1e9)
        return Usage(min(said.wall_ns, wall), min(said.cpu_ns, wall * _MOST_CPUS), min(said.memory, self.memory))

    def requests(self, said: CacheUse) -> tuple[int, int]:
        """How many requests of those that a worker says it has made put, and how many get."""
        put = min(said.puts, int(_BEGIN + self.seconds * _PUTS_S))
        get = min(max(said.requests - said.puts, 0), int(_BEGIN + self.seconds * _REQUESTS_S))
        return put, get
