"""What a run's thunks took and saved, and where: for the history, from the events that everybody sees."""

from __future__ import annotations

from collections.abc import Callable

from gg.observe.build_events import BuildEvent, ThunkDone


class CostAccount:
    """Listens on the way to `see`."""

    def __init__(self, see: Callable[[BuildEvent], None]) -> None:
        self._see = see
        self._where: dict[str, list[float]] = {}
        self._saved = 0.0

    def see(self, event: BuildEvent) -> None:
        if isinstance(event, ThunkDone):
            if event.how == "ran":
                total = self._where.setdefault(event.engine, [0, 0.0])
                total[0], total[1] = total[0] + 1, total[1] + event.seconds
            else:
                self._saved += event.seconds
        self._see(event)

    @property
    def busy(self) -> float:
        """Seconds of the commands that ran, together."""
        return sum(seconds for _, seconds in self._where.values())

    def told(self) -> dict[str, object]:
        """`where`: how many thunks ran on each engine, and how many seconds their commands took there. `saved`: how many seconds
        the commands had taken whose results were known.
        """
        where = {name: {"thunks": int(count), "seconds": seconds} for name, (count, seconds) in self._where.items()}
        return {"where": where, "saved": self._saved}
