"""The builds that a worker takes jobs from, and how many it asks for of each. Pure: no clock, no queues.

Builds are heard of by their calls (`gg.wire.letters`), which come again while a build has work. Each has a queue of its own, so
a build that has queued thousands keeps nobody waiting: a worker asks the queue of every build it has heard of, and its
slots choose among the jobs that it has (`gg.worker.admission`). For that choice a job or two of each build wait here while
several builds have some. More wait only of a build whose jobs are so short that a slot would else stand idle, or be another
build's, while they are asked for: what waits here is what an idle worker elsewhere does not have.
"""

from __future__ import annotations

from collections.abc import Iterator

from gg.wire.letters import CALL_S, CallLetter

SILENT_S = 4 * CALL_S  # after which a build without a call is over
_AHEAD_S = 0.3  # of work that may wait here
_MOST_AHEAD = 64
_WEIGHT = 0.1  # of a job among all before it, in how long one takes


class Build:
    """One build. `held`: its jobs that are here and have no answer; `running`: those of them that were begun. `seconds`: what one
    takes, 0 if nobody knows.
    """

    __slots__ = ("call", "heard", "held", "name", "running", "seconds", "weight")

    def __init__(self, call: CallLetter, now: float) -> None:
        self.name = call.build
        self.call = call.number
        self.weight = call.weight
        self.heard = now
        self.held = self.running = 0
        self.seconds = 0.0

    def took(self, seconds: float) -> None:
        """A job has run for so long."""
        self.seconds += (seconds - self.seconds) * (_WEIGHT if self.seconds else 1.0)


class Builds:
    """Of one worker, with so many slots. Times are seconds of any clock."""

    def __init__(self, cpus: int) -> None:
        self._cpus = cpus
        self._known: dict[str, Build] = {}
        self._over: dict[str, int] = {}  # builds that are, and their last calls

    def __iter__(self) -> Iterator[Build]:
        return iter(list(self._known.values()))

    def __contains__(self, build: Build) -> bool:
        return self._known.get(build.name) is build

    def hear(self, call: CallLetter, now: float) -> Build | None:
        """Take note of a call; the build, if it is a new one."""
        known = self._known.get(call.build)
        if known is None:
            if call.number <= self._over.get(call.build, -1):
                return None
            self._known[call.build] = made = Build(call, now)
            return made
        if call.number > known.call:
            known.call, known.weight, known.heard = call.number, call.weight, now
        return None

    def is_old(self, call: CallLetter) -> bool:
        """Whether nobody need hear it any more: there was a later one, or the build is over."""
        known = self._known.get(call.build)
        return call.number < known.call if known else call.number <= self._over.get(call.build, -1)

    def end(self, build: Build) -> None:
        """It is over, unless there is a later call."""
        if build in self:
            del self._known[build.name]
            self._over[build.name] = build.call

    def silent(self, now: float) -> list[Build]:
        """Those that nothing has been heard of for too long."""
        return [build for build in self if now - build.heard > SILENT_S]

    @property
    def full(self) -> bool:
        """Whether no slot is free, so that an idle worker elsewhere should have what there is."""
        return sum([build.held for build in self._known.values()]) >= self._cpus

    def wanted(self, build: Build) -> int:
        """How many jobs of this build there is room for."""
        held = [each.held for each in self._known.values()]
        others = sum(held) > build.held
        ahead = int(self._cpus * _AHEAD_S / max(build.seconds, 0.001) + 1e-6) if build.seconds else 0
        wait = max(min(ahead, _MOST_AHEAD), min(self._cpus, 2) if others else 0)
        return max(self._cpus - sum(held), 0) + wait - (build.held - build.running)
