"""What became of each call in one session: counts for the summary, reasons for `gg explain`.

Calls that ran for real are written to `calls.jsonl` one line each, with the reason, so that the question "which,
and why" has an answer without a log level.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from gg.core.slotted import field, slotted


@slotted(frozen=False)
class Calls:
    """Counts of a session. `real` and `probes` are by reason, `unwatched` by name: programs whose reads nobody saw."""

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
    _file: IO[str] | None = None

    def captured(self, tool: str, work: str, *, new: bool) -> None:
        self.thunks += 1
        self.new += new
        self.by_tool[tool] += 1
        self.by_work[work] += 1

    def ran(self, tool: str, why: str, *, probe: bool, argv: Sequence[bytes], cwd: bytes) -> None:
        """A call ran for real; a probe is one that only asked a question."""
        (self.probes if probe else self.real)[why] += 1
        if not probe:
            self.real_by_tool[tool] += 1
        import json

        words = [os.fsdecode(arg) for arg in argv]
        line = {"tool": tool, "why": why, "probe": probe, "cwd": os.fsdecode(cwd), "argv": words}
        with suppress(OSError):  # a full disk: a build does not fail because its story has no place
            if self._file is None and self.path:
                self._file = open(self.path, "w", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
            if self._file:
                self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        file, self._file = self._file, None
        if file:
            with suppress(OSError):
                file.close()

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
            "remembered": self.remembered,
            "unwatched": dict(self.unwatched),
        }

    def line(self) -> str:
        """One line for a person."""
        text = f"gg: recorded {self.thunks} thunks ({self.new} new)"
        if self.real:
            reasons = ", ".join(f"{n} {why}" for why, n in self.real.most_common(4))
            text += f"; {sum(self.real.values())} calls ran for real ({reasons}{', …' if len(self.real) > 4 else ''})"
        if self.probes:
            text += f"; {sum(self.probes.values())} questions answered"
        if self.remembered:
            text += f"; {self.remembered} command{'s' * (self.remembered > 1)} remembered"
        if self.unwatched:
            names = ", ".join(name for name, _ in self.unwatched.most_common(4))
            text += f"; {sum(self.unwatched.values())} static programs ran unwatched ({names}): see gg doctor"
        return text
