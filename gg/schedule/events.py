"""The events that go into the scheduler; the commands that come out are in `commands.py`.

The scheduler is a function of events: `step(event) -> list[Command]`. It has no clock: `now` is in every event, in
seconds of any monotonic clock, and a `WakeAt` asks for a `Tick` at such a time. Nodes and engines are named by the
driver; attempts are numbered by the scheduler. Memory and sizes are bytes, times are seconds.

Who says what:

    the driver   Add Want Hit Miss Lost Grew Became Stop Tick EngineUp EngineChanged EngineDown
    an engine    Ran or Faulted, exactly one for each Start and for each in its `more`; before it Sent, if its EngineCaps
                 say so. (The driver makes Grew or Became of a reply that shows an undeclared placeholder, or an output
                 that is again a thunk.)
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum
from typing import NewType

from gg.core.thunk import Work
from gg.light.named import NamedTuple

NodeId = Hashable
AttemptId = NewType("AttemptId", int)
EngineName = str


class SchedulerError(Exception):
    """The driver broke the protocol of events: a bug, not a condition to handle."""


class Fault(Enum):
    """Why an attempt gave no value, and so whose fault it is."""

    TOOL = "tool"  # the command itself failed: the user's, never retried, never held against an engine
    INFRA = "infra"  # the engine or the network: a 5xx, a broken worker, a corrupt reply
    LOST = "lost"  # the worker vanished in mid-run, and the thunk may be why
    DIED = "died"  # the worker has surely died while it ran this, and the thunk is likely to be why
    TIMEOUT = "timeout"  # the attempt's deadline passed
    MEMORY = "memory"  # the command was killed for want of memory
    TOO_BIG = "too-big"  # this engine cannot take such a request at all
    THROTTLED = "throttled"  # refused for now, nothing ran: backpressure, not an attempt
    UNDECLARED = "undeclared"  # it read a file that was not declared; declared since by the driver, to be run again
    MISSING_INPUT = "missing-input"  # an input blob is nowhere to be found
    CHANGED = "changed"  # an input is not what was recorded, and its bytes are nowhere: it must be recorded anew
    CANCELLED = "cancelled"  # ended at our request, or because the worker is being taken away
    NO_ENGINE = "no-engine"  # no engine is there that may run it (only in Failed)
    CYCLE = "cycle"  # what it needs needs it (only in Failed)


class NodeSpec(NamedTuple):
    """One node of the graph, as the driver knows it.

    `seconds`: expected duration, None when never seen. `memory`: expected peak in bytes, 0 when unknown.
    `input_size`: bytes an engine would have to be given. `engines`: the only ones that may run it; empty for any. `ran_on`: the
    engine that ran it last, in an earlier build; empty when nobody knows.
    """

    id: NodeId
    deps: tuple[NodeId, ...] = ()
    work: Work = Work.OTHER
    seconds: float | None = None
    memory: int = 0
    input_size: int = 0
    engines: tuple[EngineName, ...] = ()
    ran_on: EngineName = ""


class Ramp(NamedTuple):
    """How fast an engine may widen: `burst` attempts side by side at once, then `rate` more every second.

    AWS Lambda, "Lambda scaling behavior" in its developer guide: each function gains 1,000 environments every 10 s,
    that is `Ramp(burst=1000, rate=100)`.
    """

    burst: int
    rate: float


class EngineCaps(NamedTuple):
    """What an engine can do; capabilities are stated, never guessed from its type. None or empty: no limit.

    `memory_classes`: sizes in bytes, ascending, of which each attempt is given one (functions of several sizes).
    `memory_total`: bytes that all its attempts share (one machine). `max_input`: bytes of inputs for one attempt.
    `max_seconds`: longest attempt. `works`: kinds of work it takes. `overhead`: seconds it adds to each attempt, and
    `slowness`: its time for a command over that of this machine; both order the engines, they forbid nothing.
    `independent`: its attempts run on different hosts, so a second one may be faster than a first that drags.
    `reserve`: takes only nodes that name it in `NodeSpec.engines`, and those that fall back (`Policy.fallback`).
    `announces`: it says when an attempt was really sent (`Sent`); until then none is late.
    `leaving`: it is about to go: its attempts may end, but it is given no more.
    `batch`: how many short attempts it takes in one go, one after the other in one place; `call`: seconds that it costs
    this machine to have something run there, whatever is in it.
    `price`: dollars that a second of one attempt costs more than what is paid anyway. `startup`: seconds more for an attempt
    that goes wider than the engine ever was, such as a cold start. `queued`: attempts wait there until a worker takes them, so
    `slots` does not say how many run. `keeps`: what a node has read or made there need not be sent there again. `taken`:
    how many attempts the workers of a queue that have told of themselves take at once.
    """

    memory_classes: tuple[int, ...] = ()
    memory_total: int | None = None
    max_input: int | None = None
    max_seconds: float | None = None
    works: frozenset[Work] | None = None
    overhead: float = 0.0
    slowness: float = 1.0
    independent: bool = True
    reserve: bool = False
    ramp: Ramp | None = None
    announces: bool = False
    leaving: bool = False
    batch: int = 1
    call: float = 0.0
    price: float = 0.0
    startup: float = 0.0
    queued: bool = False
    keeps: bool = False
    taken: int = 0


# Events


class Add(NamedTuple):
    """New nodes; dependencies are in the same event or were added before. A node that is known is left alone."""

    now: float
    nodes: tuple[NodeSpec, ...]


class Want(NamedTuple):
    """These nodes, and so their cones, are to be settled. Others are never run.

    `boost`: seconds added to their priority (a process is waiting for them). `again`: nodes in the cone that failed or
    were skipped are tried afresh, but for those that need themselves; without it they stay as they are.
    """

    now: float
    ids: tuple[NodeId, ...]
    boost: float = 0.0
    again: bool = False


class Hit(NamedTuple):
    """A valid reduction of each of these nodes is known, its blobs are there: nothing needs to run. Also unasked."""

    now: float
    ids: tuple[NodeId, ...]


class Miss(NamedTuple):
    """No reduction of these nodes is known: run them. The answer to a Lookup."""

    now: float
    ids: tuple[NodeId, ...]


class Sent(NamedTuple):
    """The engine has sent these attempts: their time limits start now. It may leave out attempts that were answered at once."""

    now: float
    attempts: tuple[AttemptId, ...]


class Ran(NamedTuple):
    """An attempt succeeded, after `seconds` of wall time. `changed`: its outputs differ from the last ones known."""

    now: float
    attempt: AttemptId
    seconds: float
    changed: bool = True


class Faulted(NamedTuple):
    """An attempt gave no value."""

    now: float
    attempt: AttemptId
    fault: Fault


class Grew(NamedTuple):
    """A node turned out to need `deps` too (an undeclared placeholder was found): it waits, at no cost of an attempt.

    `attempt` is the one that found out, and ends with this; None when the driver found out in a Lookup.
    """

    now: float
    id: NodeId
    deps: tuple[NodeId, ...]
    attempt: AttemptId | None = None


class Became(NamedTuple):
    """A dynamic thunk's output is again a thunk: `id` is done when `other` is. `attempt` as in Grew."""

    now: float
    id: NodeId
    other: NodeId
    attempt: AttemptId | None = None
    seconds: float = 0.0


class Lost(NamedTuple):
    """The output blobs of these done nodes are gone: force them again."""

    now: float
    ids: tuple[NodeId, ...]


class Tick(NamedTuple):
    """Time has passed."""

    now: float


class EngineUp(NamedTuple):
    """An engine is there, for the first time or again, with room for `slots` attempts (0: its workers are coming)."""

    now: float
    engine: EngineName
    slots: int
    caps: EngineCaps = EngineCaps()


class EngineChanged(NamedTuple):
    """An engine has more or fewer slots, or other capabilities (None: the same). Running attempts go on."""

    now: float
    engine: EngineName
    slots: int
    caps: EngineCaps | None = None


class EngineDown(NamedTuple):
    """An engine is gone with all that ran there; none of its attempts will be answered."""

    now: float
    engine: EngineName


class Stop(NamedTuple):
    """Start nothing any more: Ctrl-C, which cancels all; or the budget is spent, and then `finish`: what runs is let end.

    Done follows when all attempts are over.
    """

    now: float
    finish: bool = False


Event = (
    Add
    | Want
    | Hit
    | Miss
    | Sent
    | Ran
    | Faulted
    | Grew
    | Became
    | Lost
    | Tick
    | EngineUp
    | EngineChanged
    | EngineDown
    | Stop
)
