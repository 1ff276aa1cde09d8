"""What comes out of the scheduler: what the driver is to do, and what it is told. Times are seconds, memory is bytes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from gg.light.named import NamedTuple
from gg.schedule.events import AttemptId, EngineName, Fault, NodeId


class Lookup(NamedTuple):
    """All that these nodes need is done: is a reduction known for them as they are now? The answer is Hit, Miss or Became."""

    ids: tuple[NodeId, ...]


class Start(NamedTuple):
    """Submit one attempt. `deadline`: seconds it may take, None for no limit.

    `memory`: the engine's memory class in bytes, or what is reserved of a shared memory; 0 when neither applies.
    `hedge`: a duplicate of an attempt that drags. `more`: attempts to be submitted with it, to run after it in the same place
    and on the same slot, each with an answer of its own (`EngineCaps.batch`).
    """

    attempt: AttemptId
    id: NodeId
    engine: EngineName
    deadline: float | None
    memory: int
    hedge: bool = False
    more: tuple[Start, ...] = ()


class Cancel(NamedTuple):
    """Nobody waits for this attempt any more; its engine still answers once, and holds the slot until then."""

    attempt: AttemptId
    engine: EngineName


class How(Enum):
    """How a node came to be done."""

    RAN = "ran"
    HIT = "hit"
    BECAME = "became"


class Finished(NamedTuple):
    """A wanted node is done. `attempt` is the one that made its value, None unless it ran."""

    id: NodeId
    how: How
    attempt: AttemptId | None = None


class Failed(NamedTuple):
    """A wanted node will not be done. `attempt` is the last one, whose reply tells more; None if there was none."""

    id: NodeId
    fault: Fault
    attempt: AttemptId | None = None


class Skipped(NamedTuple):
    """A wanted node cannot be done, because `cause`, somewhere below it, failed."""

    id: NodeId
    cause: NodeId


class Tripped(NamedTuple):
    """An engine fails again and again: it is left alone for a while, or `given_up`. For people to know."""

    engine: EngineName
    given_up: bool


class Silent(NamedTuple):
    """Nothing has come from this engine for so many seconds, and all `attempts` that run there are overdue. For people to know."""

    engine: EngineName
    seconds: float
    attempts: int


class Unmanned(NamedTuple):
    """No worker takes what waits at this engine; others do it, until one does. For people to know."""

    engine: EngineName


class WakeAt(NamedTuple):
    """Send a Tick at this time, or soon after. It replaces the time asked for before."""

    time: float


class Summary(NamedTuple):
    """What has happened so far, over the scheduler's whole life.

    `finished`, `failed`, `skipped`: nodes now in these states. `dropped`: wanted, and given up unsettled by a stop or
    after a failure. `ran`, `hits`, `became`: how nodes were done; `unchanged` of `ran` made the outputs known before.
    `attempts`: Starts. `faults`: by kind, of attempts that somebody waited for. `retries`: faults after which the node
    was tried again. `lost_again`: done nodes whose blobs were lost. `trips`: of circuit breakers.
    `late`: answers of attempts that nobody waited for. `busy_seconds`: of answered attempts.
    """

    finished: int = 0
    failed: int = 0
    skipped: int = 0
    dropped: int = 0
    ran: int = 0
    hits: int = 0
    became: int = 0
    unchanged: int = 0
    attempts: int = 0
    hedges: int = 0
    hedges_won: int = 0
    hedges_lost: int = 0
    late: int = 0
    lost_again: int = 0
    trips: int = 0
    busy_seconds: float = 0.0
    faults: Mapping[Fault, int] = MappingProxyType({})
    retries: Mapping[Fault, int] = MappingProxyType({})
    attempts_by_engine: Mapping[EngineName, int] = MappingProxyType({})
    stopped: bool = False

    @property
    def ok(self) -> bool:
        """All that was wanted is done."""
        return not (self.failed or self.skipped or self.dropped or self.stopped)


class Done(NamedTuple):
    """All that is wanted is settled, or is not going to be; a later Want begins anew."""

    summary: Summary


Command = Lookup | Start | Cancel | Finished | Failed | Skipped | Tripped | Silent | Unmanned | WakeAt | Done


class Eta(NamedTuple):
    """How long the rest may take, in seconds: `path` along the longest chain, `work` in all, `width` attempts at once.

    `seconds` is the larger of the chain and the work spread over the width: a lower bound that a list schedule by
    critical path stays close to (Graham 1969: within their sum). `sure`: the width without attempts for which nobody has shown
    that a worker is there, and without engines in reserve.
    """

    path: float
    work: float
    width: int
    sure: int = 0

    @property
    def seconds(self) -> float:
        return max(self.path, self.work / self.width if self.width else self.work)
