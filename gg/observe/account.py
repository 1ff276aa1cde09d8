"""What a run's thunks took and saved, and where: for the history, from the events that everybody sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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

    def where(self, dollars: Mapping[str, float]) -> dict[str, dict[str, float]]:
        """How many thunks ran on each engine, how many seconds their commands took there, and the `dollars` that it has spent."""
        names = sorted({*self._where, *dollars})
        shares = {name: self._where.get(name, (0, 0.0)) for name in names}
        return {
            name: {"thunks": int(count), "seconds": seconds, "dollars": dollars.get(name, 0.0)}
            for name, (count, seconds) in shares.items()
        }

    @property
    def saved(self) -> float:
        """How many seconds the commands had taken whose results were known."""
        return self._saved
