"""What became of each call in one session: counts for the summary, reasons for `gg explain`.

Calls that ran for real are written to `calls.jsonl` one line each, with the reason, so that the question "which,
and why" has an answer without a log level. So are programs that read what was not made yet (`Read`).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence, Set
from contextlib import suppress
from typing import IO

from gg.light.named import NamedTuple
from gg.light.slotted import field, slotted


class Read(NamedTuple):
    """A read that was answered: which program read which file, how many thunks ran for it, and how many seconds it waited."""

    reader: str
    path: str
    thunks: int
    seconds: float


@slotted(frozen=False)
class CallCounts:
    """Counts of a session. `real` and `probes` are by reason, `unwatched` by name: programs whose reads nobody saw.

    `recorded`: the thunks; `done`: of them those that were forced meanwhile; `reads`: for whom.
    """

    path: str = ""
    thunks: int = 0
    new: int = 0
    forced: int = 0
    remembered: int = 0
    by_tool: Counter[str] = field(default_factory=Counter)
    by_work: Counter[str] = field(default_factory=Counter)
    real: Counter[str] = field(default_factory=Counter)
    real_by_tool: Counter[str] = field(default_factory=Counter)
    probes: Counter[str] = field(default_factory=Counter)
    unwatched: Counter[str] = field(default_factory=Counter)
    recorded: set[bytes] = field(default_factory=set)
    done: int = 0
    reads: tuple[Read, ...] = ()
    _file: IO[str] | None = None

    def captured(self, thunk: bytes, tool: str, work: str, *, new: bool) -> None:
        self.recorded.add(thunk)
        self.thunks += 1
        self.new += new
        self.by_tool[tool] += 1
        self.by_work[work] += 1

    def ran(self, tool: str, why: str, *, probe: bool, argv: Sequence[bytes], cwd: bytes) -> None:
        """A call ran for real; a probe is one that only asked a question."""
        (self.probes if probe else self.real)[why] += 1
        if not probe:
            self.real_by_tool[tool] += 1
        words = [os.fsdecode(arg) for arg in argv]
        self._write({"tool": tool, "why": why, "probe": probe, "cwd": os.fsdecode(cwd), "argv": words})

    def were_read(self, reads: Sequence[Read], forced: Set[bytes]) -> None:
        """The recording is over: who has read, and which thunks have their files by now."""
        self.reads = tuple(reads)
        self.done = len(self.recorded & forced)
        for read in reads:
            self._write({"read": read.path, "reader": read.reader, "thunks": read.thunks, "seconds": read.seconds})

    def _write(self, line: dict[str, object]) -> None:
        import json

        with suppress(OSError):  # a full disk: a build does not fail because its story has no place
            if self._file is None and self.path:
                self._file = open(self.path, "w", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
            if self._file:
                self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        file, self._file = self._file, None
        with suppress(OSError):
            if file:
                file.close()
            elif self.path:
                os.unlink(self.path)  # an earlier recording's

    def summary(self) -> dict[str, object]:
        """For the history and `--json`."""
        return {
            "thunks": self.thunks,
            "new": self.new,
            "by_tool": dict(self.by_tool),
            "by_work": dict(self.by_work),
            "real": dict(self.real),
            "real_by_tool": dict(self.real_by_tool),
            "probes": sum(self.probes.values()),
            "questions": dict(self.probes),
            "forced_on_read": self.forced,
            "forced": {
                "readers": len(self.reads),
                "thunks": self.done,
                "left": len(self.recorded) - self.done,
                "seconds": round(sum(read.seconds for read in self.reads), 3),
            },
            "remembered": self.remembered,
            "unwatched": dict(self.unwatched),
        }

    def line(self) -> str:
        """One line for a person."""
        text = f"gg: recorded {self.thunks} thunks ({self.new} new)"
        if self.done:
            every, waited = len(self.recorded), sum(read.seconds for read in self.reads)
            text += f"; {self.done} of {every} thunks were forced meanwhile, for {_readers(len(self.reads))} ({waited:.1f} s)"
            text += f": {(every - self.done) / every:.0%} are left".replace("%", " %")
        if self.real:
            reasons = ", ".join(f"{n} {why}" for why, n in self.real.most_common(4))
            text += f"; {sum(self.real.values())} calls ran for real ({reasons}{', …' if len(self.real) > 4 else ''})"
        if self.probes:
            text += f"; {sum(self.probes.values())} questions answered"
        if self.remembered:
            text += f"; {self.remembered} command{'s' * (self.remembered > 1)} remembered"
        if self.unwatched:
            names = ", ".join(name for name, _ in self.unwatched.most_common(4))
            text += f"; {sum(self.unwatched.values())} programs ran unwatched ({names}): see docs/limits.md"
        return text


def _readers(count: int) -> str:
    return f"{count} reader{'s' * (count != 1)}"
