"""The workers that have said that they are here, and how many jobs all of them run at once. Pure: no clock, no queues."""

from __future__ import annotations

from gg.wire.letters import CALL_S

_HERE_S = 3 * CALL_S  # a worker answers each call
_MOST = 10_000


class PresentWorkers:
    """Workers by name, some thousands. Times are seconds of any clock."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[int, float]] = {}  # slots, and when

    def hear(self, worker: str, slots: int, now: float) -> None:
        if worker in self._said or len(self._said) < _MOST:
            self._said[worker] = slots, now

    def slots(self, now: float) -> int:
        """Of all that have said so lately."""
        self._said = {worker: said for worker, said in self._said.items() if said[1] >= now - _HERE_S}
        return sum([slots for slots, _ in self._said.values()])
