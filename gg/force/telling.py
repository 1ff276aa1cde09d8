"""What the driver tells its observers (`gg.observe.build_events`), and how often."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gg.core.ids import ThunkId
from gg.core.thunk import Thunk
from gg.engines.engine import Failure
from gg.errors import GGError
from gg.observe import build_events as seen
from gg.schedule.commands import Eta, Silent, Tripped, Unmanned
from gg.schedule.events import Fault

if TYPE_CHECKING:
    from gg.force.outcome import Settled
    from gg.schedule.scheduler import Scheduler

_PROGRESS_S = 0.1
_ESTIMATE_S = 1.0  # an estimate takes time in proportion to what is running


class Telling:
    """Tells `observe`. `prefix`: the workspace's path and a slash; `real_path` maps a path inside a thunk to the real path here."""

    def __init__(
        self, observe: Callable[[seen.BuildEvent], None], prefix: bytes, real_path: Callable[[bytes], bytes]
    ) -> None:
        self.observe = observe
        self._prefix = prefix
        self._real_path = real_path
        self._next = 0.0
        self._next_estimate = 0.0
        self._ends = 0.0
        self._eta = Eta(0.0, 0.0, 0)

    def label(self, thunk: Thunk) -> str:
        """What a person calls the thunk."""
        return seen.label(thunk.outputs, self._prefix, self._real_path)

    def total(self, thunks: int) -> None:
        self.observe(seen.Started(total=thunks))

    def started(self, name: ThunkId, thunk: Thunk, engine: str) -> None:
        self.observe(seen.ThunkStarted(name.hex(), self.label(thunk), engine))

    def done(self, settled: Settled, how: str) -> None:
        reduction = settled.reduction
        label, seconds = self.label(settled.thunk), reduction.usage.wall_ns / 1e9
        self.observe(seen.ThunkDone(settled.name.hex(), label, reduction.engine, how, seconds))

    def failed(self, name: ThunkId, thunk: Thunk, failure: Failure) -> None:
        label = self.label(thunk)
        if failure.fault is Fault.TOOL:
            said = failure.stdout, failure.stderr, self._command(thunk)
            self.observe(seen.ThunkFailed(name.hex(), label, failure.status, *said))
        elif failure.fault is not Fault.CANCELLED:
            from gg.light.shown import encoded, in_line

            text = encoded(in_line(f"gg: {label}: {failure.message}", whole_bytes=True)) + b"\n"
            self.observe(seen.ThunkFailed(name.hex(), label, 75, b"", text))

    def _command(self, thunk: Thunk) -> str:
        from gg.observe import wording

        there = self._real_path(thunk.cwd)
        directory = b"" if there + b"/" == self._prefix else there.removeprefix(self._prefix)
        return wording.command_line(thunk.argv, directory)

    def trouble(self, thunk: Thunk, failure: Failure) -> None:
        """Report that an attempt failed and will be made up for."""
        if failure.fault not in (Fault.TOOL, Fault.CHANGED, Fault.CANCELLED) and failure.setup is None:
            self.observe(seen.Note(f"{self.label(thunk)}: {failure.message} ({failure.fault.value})"))

    def waits(self) -> None:
        self.observe(seen.Note("another process forces some of this: its results are waited for"))

    def ends(self, error: GGError, running: int) -> None:
        from gg.observe.wording import count

        self.observe(seen.Note(f"{error.what}: nothing more is started, {count(running, 'attempt')} under way let end"))

    def quiet(self, command: Silent | Unmanned) -> None:
        """Report that nothing comes from an engine, or that nothing begins there."""
        from gg.observe.wording import count

        if isinstance(command, Unmanned):
            text = f"no worker takes work from {command.engine} at the moment: the other engines do it until one does"
        else:
            waiting = count(command.attempts, "attempt")
            text = f"{command.engine} has answered nothing for {command.seconds:.0f} s: {waiting} waited for"
        self.observe(seen.Note(text))

    def tripped(self, command: Tripped) -> None:
        what = (
            "still fails and is given up" if command.given_up else "fails again and again: it is left alone for a while"
        )
        self.observe(seen.Note(f"{command.engine} {what}"))

    def progress(self, scheduler: Scheduler, now: float, known: int) -> None:
        """Report how far the run is, unless that was reported just now. `known`: thunks that the scheduler was not told of."""
        if now < self._next:
            return
        self._next = now + _PROGRESS_S
        if now >= self._next_estimate:
            self._next_estimate = now + _ESTIMATE_S
            self._eta = scheduler.eta(now)
            self._ends = now + self._eta.seconds
        progress = seen.Progress.of(scheduler, max(0.0, self._ends - now))
        progress = progress._replace(work=self._eta.work, path=self._eta.path, width=self._eta.sure)
        self.observe(progress._replace(done=progress.done + known, cached=progress.cached + known))
