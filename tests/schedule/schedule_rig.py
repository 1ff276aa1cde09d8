"""A driver for scheduler tests: it feeds events, checks every invariant after each, and keeps books of its own.

What it checks without believing the scheduler: no Start without a slot, none before all dependencies are done, no
second Start of a node but few hedges, each wanted node settled once, nothing started after a stop or after a failure that
ends the run.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from gg.schedule.commands import Cancel, Command, Done, Failed, Finished, Lookup, Skipped, Start, Summary, WakeAt
from gg.schedule.events import (
    Add,
    AttemptId,
    Became,
    EngineCaps,
    EngineChanged,
    EngineDown,
    EngineUp,
    Event,
    Fault,
    Faulted,
    Grew,
    Hit,
    Lost,
    Miss,
    NodeId,
    NodeSpec,
    Ran,
    Sent,
    Stop,
    Tick,
    Want,
)
from gg.schedule.policy import RULES, Policy
from gg.schedule.scheduler import Scheduler
from gg.schedule.states import State

RAN_ANYWAY = (Fault.TOOL, Fault.MEMORY, Fault.UNDECLARED)
"""Faults of a command that an engine has run."""


@dataclass
class Rig:
    """One scheduler and its books. `missing`: answer every Lookup with a Miss at once, but for the ids in `known`."""

    policy: Policy = field(default_factory=Policy)
    missing: bool = True
    now: float = 0.0

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(self.policy)
        self.known: set[NodeId] = set()
        self.deps: dict[NodeId, set[NodeId]] = {}
        self.done: set[NodeId] = set()
        self.settled: dict[NodeId, Finished | Failed | Skipped] = {}
        self.slots: dict[str, int] = {}
        self.under_way: dict[AttemptId, Start] = {}
        self.free_at: dict[AttemptId, float] = {}
        self.live: dict[AttemptId, Start] = {}
        self.starts: list[Start] = []
        self.asked: list[NodeId] = []
        self.wake: float | None = None
        self.summary: Summary | None = None
        self.log: list[Command] = []
        self.frozen = False
        self.worked = False  # an engine has run a command
        self.broken = False  # a check has failed

    # Telling

    def tell(self, event: Event) -> list[Command]:
        """One event, and the answers to its Lookups if these are answered at once; all commands."""
        self.broken = True
        self._believe(event)
        out = self.scheduler.step(event)
        self.scheduler.validate()
        if isinstance(event, Grew | Became):
            self.deps[event.id] = {dep.id for dep in self.scheduler._nodes.graph[event.id].deps}
        for command in out:
            self._check(command)
        self.log += out
        self.broken = False
        if self.missing and self.asked:
            hits = tuple(id for id in self.asked if id in self.known)
            misses = tuple(id for id in self.asked if id not in self.known)
            self.asked = []
            if hits:
                out += self.tell(Hit(self.now, hits))
            if misses:
                out += self.tell(Miss(self.now, misses))
        return out

    def up(self, engine: str, slots: int, caps: EngineCaps | None = None) -> list[Command]:
        return self.tell(EngineUp(self.now, engine, slots, caps or EngineCaps()))

    def add(self, *nodes: NodeSpec, **deps: str) -> list[Command]:
        """Nodes by spec, or by name with what they depend on: `add(a="", b="a")`."""
        specs = [*nodes, *(NodeSpec(id=id, deps=tuple(on.split()), seconds=1.0) for id, on in deps.items())]
        return self.tell(Add(self.now, tuple(specs)))

    def want(self, *ids: NodeId, again: bool = False, boost: float = 0.0) -> list[Command]:
        return self.tell(Want(self.now, ids, boost, again))

    def ran(self, attempt: AttemptId, seconds: float = 1.0) -> list[Command]:
        return self.tell(Ran(self.now, attempt, seconds))

    def sent(self, *attempts: AttemptId) -> list[Command]:
        return self.tell(Sent(self.now, attempts))

    def fault(self, attempt: AttemptId, fault: Fault) -> list[Command]:
        return self.tell(Faulted(self.now, attempt, fault))

    def tick(self, seconds: float = 0.0) -> list[Command]:
        """Time passes, and the Ticks that were asked for on the way come at their times."""
        end = self.now + seconds
        out: list[Command] = []
        while self.wake is not None and self.wake <= end:
            self.now, self.wake = max(self.now, self.wake), None
            out += self.tell(Tick(self.now))
        self.now = end
        return out + self.tell(Tick(end))

    def sleep(self) -> list[Command]:
        """Until the time that was asked for."""
        assert self.wake is not None, "nothing waits for time"
        return self.tick(max(0.0, self.wake - self.now))

    # Reading

    def start_of(self, id: NodeId) -> Start:
        """The newest live attempt of a node."""
        return next(s for s in reversed(self.starts) if s.id == id and s.attempt in self.live)

    def state(self, id: NodeId) -> str:
        return self.scheduler.state(id).name

    def cone(self, ids: Sequence[NodeId]) -> set[NodeId]:
        """These nodes and what is below them, as far as it is not done."""
        seen = set(ids) - self.done
        stack = list(seen)
        while stack:
            new = self.deps[stack.pop()] - seen - self.done
            seen |= new
            stack += new
        return seen

    # Books

    def _believe(self, event: Event) -> None:
        match event:
            case Add():
                for spec in event.nodes:
                    self.deps.setdefault(spec.id, set(spec.deps))
            case Hit():
                quiet = [id for id in event.ids if self.scheduler.state(id) is State.IDLE]
                self.done.update(quiet)
            case Want():
                self.summary = None
                for id in self.cone(event.ids) if event.again else ():
                    if not isinstance(self.settled.get(id), Finished):
                        self.settled.pop(id, None)
            case Lost():
                for id in event.ids:
                    if id in self.done:
                        self.summary = None
                        self.done.discard(id)
                        self.settled.pop(id, None)
            case Ran() | Grew() | Became():
                self.worked |= event.attempt in self.under_way
                self._answered(event.attempt)
            case Faulted():
                self.worked |= event.attempt in self.under_way and event.fault in RAN_ANYWAY
                self._answered(event.attempt)
            case EngineUp() | EngineChanged():
                self.slots[event.engine] = event.slots
            case EngineDown():
                self.slots[event.engine] = 0
                for start in list(self.under_way.values()):
                    if start.engine == event.engine:
                        self._answered(start.attempt)
            case Stop():
                self.frozen = True
                if not self.scheduler.summary().stopped:
                    self.summary = None
            case _:
                pass

    def _answered(self, attempt: AttemptId | None) -> None:
        if attempt is not None:
            self.under_way.pop(attempt, None)
            self.live.pop(attempt, None)

    def _check(self, command: Command) -> None:
        match command:
            case Lookup():
                for id in command.ids:
                    assert self.deps[id] <= self.done, f"{id!r} looked up too early"
                self.asked += command.ids
            case Start():
                self._check_batch(command)
            case Cancel():
                self.free_at[command.attempt] = self._forgotten_at(command.attempt)
                self.live.pop(command.attempt, None)
            case Finished() | Failed() | Skipped():
                assert command.id not in self.settled, f"{command.id!r} settled twice"
                self.settled[command.id] = command
                if isinstance(command, Finished):
                    self.done.add(command.id)
                if isinstance(command, Failed) and not self.policy.keep_going:
                    self.frozen |= RULES[command.fault].ends or not self.worked
            case WakeAt():
                assert command.time > self.now, "a Tick that would change nothing"
                self.wake = command.time
            case Done():
                assert self.summary is None, "Done twice"
                self.summary = command.summary
                self.frozen = command.summary.stopped

    def _forgotten_at(self, attempt: AttemptId) -> float:
        start = self.under_way.get(attempt)
        if start is not None and start.deadline is not None:
            overdue = self.started_at[attempt] + self.may_take[attempt] + self.policy.cancel_grace
            if self.now >= overdue:
                return self.now
        return self.now + self.policy.cancel_grace

    started_at: dict[AttemptId, float] = field(default_factory=dict)
    may_take: dict[AttemptId, float] = field(default_factory=dict)
    slot_of: dict[AttemptId, AttemptId] = field(default_factory=dict)

    def _check_batch(self, start: Start) -> None:
        """One that starts, and those with it, which need no slot of their own."""
        batch = (start, *start.more)
        caps = self.scheduler._fleet[start.engine].caps
        assert len(batch) <= caps.batch
        held = {self.slot_of[a] for a, s in self.under_way.items() if s.engine == start.engine and not self._freed(a)}
        assert len(held) < self.slots[start.engine], f"no slot for {start.id!r} on {start.engine}"
        for each in batch:
            assert (each.engine, each.memory) == (start.engine, start.memory)
            assert not (each.hedge and start.more), "a duplicate with others"
            self.slot_of[each.attempt] = start.attempt
            limits = [s.deadline for s in batch if s.deadline is not None]
            self.may_take[each.attempt] = sum(limits) if len(limits) == 1 else min(sum(limits), caps.max_seconds or 1e9)
            self._check_start(each)

    def _check_start(self, start: Start) -> None:
        assert not self.frozen, "started after the end"
        assert self.deps[start.id] <= self.done, f"{start.id!r} started too early"
        others = [s for s in self.live.values() if s.id == start.id]
        most, here = self.policy.max_hedges, start.engine == self.policy.fallback
        assert (0 < len(others) <= most + here) if start.hedge else not others, f"{start.id!r} runs already"
        if start.hedge:
            since = list(itertools.takewhile(lambda s: s.hedge, (s for s in reversed(self.starts) if s.id == start.id)))
            assert len(since) < 2 * most + here, f"{start.id!r} is hedged without end"
        self.under_way[start.attempt] = self.live[start.attempt] = start
        self.started_at[start.attempt] = self.now
        self.starts.append(start)

    def _freed(self, attempt: AttemptId) -> bool:
        return self.now >= self.free_at.get(attempt, float("inf"))

    def regrown(self, id: NodeId) -> int:
        """How often a node had a fresh start: forced again, or wanted again after a failure."""
        return sum(isinstance(c, Finished | Failed | Skipped) and c.id == id for c in self.log)


def starts(commands: Sequence[Command]) -> list[tuple[NodeId, str]]:
    """Who was started where."""
    return [(c.id, c.engine) for c in commands if isinstance(c, Start)]


def outcomes(commands: Sequence[Command]) -> list[Command]:
    """What was settled."""
    return [c for c in commands if isinstance(c, Finished | Failed | Skipped)]
