"""A sink that only keeps what the tools printed, for whoever waits for a force inside a recording."""

from __future__ import annotations

from gg.observe import events


class Collector:
    """Collects the output of failed commands and warnings, as they were printed."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def see(self, event: events.Event) -> None:
        if isinstance(event, (events.Diagnostics, events.ThunkFailed)):
            self._parts += [event.stdout, event.stderr]

    @property
    def stderr(self) -> bytes:
        return b"".join(self._parts)

    def close(self) -> None:
        """Nothing is held."""
