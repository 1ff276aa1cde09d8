"""Only what the tools print, and failures."""

from __future__ import annotations

from gg.observe import wording
from gg.observe.build_events import BuildEvent, Diagnostics, RunFinished, ThunkFailed
from gg.observe.sink import TextOutput


class Quiet:
    """The sink of --quiet. Tools' own output is passed on byte for byte."""

    def __init__(self, out: TextOutput, err: TextOutput) -> None:
        self._out = out
        self._err = err

    def see(self, event: BuildEvent) -> None:
        if isinstance(event, (Diagnostics, ThunkFailed)):
            self._out.show(event.stdout)
            self._err.show(event.stderr)
        if isinstance(event, ThunkFailed) and (text := wording.failed(event)):
            self._err.line(text)
        if isinstance(event, RunFinished):
            for line in wording.failures(event):
                self._err.line(line)

    def close(self) -> None:
        """Nothing is held."""
