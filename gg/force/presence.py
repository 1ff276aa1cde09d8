"""Which engines are there now, and what they can do."""

from __future__ import annotations

from collections.abc import Mapping

from gg.engines.engine import Engine
from gg.force.mailbox import Changed
from gg.schedule import events
from gg.schedule.events import EngineCaps


class Presence:
    """Keeps the capabilities of the engines that are up."""

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self._engines = engines
        self._up: dict[str, EngineCaps] = {}

    def changed(self, change: Changed, now: float) -> events.Event | None:
        """An engine has come, gone, or takes another number of attempts. The answer is the event for the scheduler, if any."""
        name, slots = change.engine, change.slots
        if slots is None:
            return events.EngineDown(now, name) if self._up.pop(name, None) is not None else None
        was_up = name in self._up
        caps = self._up[name] = change.caps or self._up.get(name) or self._engines[name].caps
        if was_up:
            return events.EngineChanged(now, name, slots, change.caps)
        return events.EngineUp(now, name, slots, caps)
