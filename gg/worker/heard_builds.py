"""The builds that a worker takes jobs from, and how many jobs it asks each of them for. Pure: no clock, no queues.

A build calls for workers, again and again while it has work (`gg.wire.letters`). Each build has a queue of its own, so a build that
has queued thousands of jobs keeps nobody waiting: a worker asks the queues of all builds that it has heard of, and its slots
choose among the jobs that have come (`gg.worker.admission`). So that they can choose, a job or two of each build wait here while
several builds have jobs. More jobs wait here only if they are short: the slot would stand idle, or go to another build, while the
worker asks for the next one. A job that waits here is kept from idle workers elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator

from gg.wire.build_key import job_number
from gg.wire.letters import CALL_S, CallLetter

SILENT_S = 4 * CALL_S  # a build that has not called for so long is over
_AHEAD_S = 0.3  # of a build's work may wait here
_MOST_AHEAD = 64
_MOST_BUILDS = 256  # at once: this worker asks the queue of each of them
_MOST_OVER = 10_000
_WEIGHT = 0.1  # of the last job in the mean of how long a job takes


class Build:
    """One build. `held`: its jobs that are here and have no answer; `running`: the jobs among them that have begun. `seconds`: how
    long a job takes, 0 if nobody knows. `withdrawn`: see `CallLetter`.
    """

    __slots__ = ("call", "heard", "held", "key", "name", "running", "seconds", "weight", "withdrawn")

    def __init__(self, call: CallLetter, now: float) -> None:
        self.key = call.key
        self.name = call.build
        self.call = call.number
        self.weight = call.weight
        self.withdrawn = call.withdrawn
        self.heard = now
        self.held = self.running = 0
        self.seconds = 0.0

    def number_of(self, id: str) -> int | None:
        """The number of one of its jobs; None for a job that somebody else has put into its queue."""
        return job_number(self.key, id)

    def waits_for(self, number: int) -> bool:
        """Whether the build has not withdrawn a job, as far as its last call says."""
        return not any(first <= number <= last for first, last in self.withdrawn)

    def took(self, seconds: float) -> None:
        """A job has run for so long."""
        self.seconds += (seconds - self.seconds) * (_WEIGHT if self.seconds else 1.0)


class Builds:
    """The builds of one worker with `cpus` slots. Times are seconds of any clock."""

    def __init__(self, cpus: int) -> None:
        self._cpus = cpus
        self._known: dict[str, Build] = {}
        self._over: dict[str, int] = {}  # builds that are over, and the numbers of their last calls

    def __iter__(self) -> Iterator[Build]:
        return iter(list(self._known.values()))

    def __contains__(self, build: Build) -> bool:
        return self._known.get(build.name) is build

    def hear(self, call: CallLetter, now: float) -> Build | None:
        """Take note of a call. Returns the build if it is a new one."""
        name = call.build
        known = self._known.get(name)
        if known is None:
            if call.number <= self._over.get(name, -1) or len(self._known) >= _MOST_BUILDS:
                return None
            self._known[name] = made = Build(call, now)
            return made
        if call.number > known.call:
            known.call, known.weight, known.heard, known.withdrawn = call.number, call.weight, now, call.withdrawn
        return None

    def is_old(self, call: CallLetter) -> bool:
        """Whether no worker needs this call any more: a later one has come, or the build is over."""
        name = call.build
        known = self._known.get(name)
        return call.number < known.call if known else call.number <= self._over.get(name, -1)

    def end(self, build: Build) -> None:
        """The build is over, unless it calls again."""
        if build in self:
            del self._known[build.name]
            self._over[build.name] = build.call
            if len(self._over) > _MOST_OVER:
                del self._over[next(iter(self._over))]

    def silent(self, now: float) -> list[Build]:
        """The builds that have not called for too long."""
        return [build for build in self if now - build.heard > SILENT_S]

    @property
    def full(self) -> bool:
        """Whether no slot is free: then an idle worker elsewhere should get the next job."""
        return sum([build.held for build in self._known.values()]) >= self._cpus

    def wanted(self, build: Build) -> int:
        """How many more jobs of this build to ask for."""
        held = [each.held for each in self._known.values()]
        others = sum(held) > build.held
        ahead = int(self._cpus * _AHEAD_S / max(build.seconds, 0.001) + 1e-6) if build.seconds else 0
        wait = max(min(ahead, _MOST_AHEAD), min(self._cpus, 2) if others else 0)
        return max(self._cpus - sum(held), 0) + wait - (build.held - build.running)
