"""How store, engines, settings and bill come together: in one way for gg-force, gg-infer and the SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gg.force.forcer import Forcer
from gg.observe.build_events import Note
from gg.share.command_store import open_store, remote_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from gg.cost.meter import Bill
    from gg.engines.engine import Printed
    from gg.force.fleet_on_demand import FleetOnDemand
    from gg.observe.build_events import BuildEvent
    from gg.store.base import Store
    from gg.workspace.ledger import Ledger
    from gg.workspace.settings import Settings
    from gg.workspace.workspace import Workspace


class Composition:
    """All that forcing in one workspace takes: the workspace's store with the team's behind it, and engines. Close it when done.

    `near`: the workspace's store, if the caller has it open; the caller closes it. `ledger`: the ledger of the recording,
    if this force is a part of one. `printed`: told what closed thunks' commands print here, while they run.
    """

    def __init__(
        self,
        workspace: Workspace,
        settings: Settings,
        observe: Callable[[BuildEvent], None],
        near: Store | None = None,
        ledger: Ledger | None = None,
        printed: Printed | None = None,
    ) -> None:
        self._borrowed = near
        self._fleet = _fleet(settings, observe)
        observe = self._fleet.see if self._fleet else observe
        self.store = open_store(workspace, settings, lambda text: observe(Note(text)), near)
        try:
            self.bill = _bill(self.store) if self.store is not near and _may_spend(settings) else None
            self.forcer = Forcer(workspace, self.store, settings, observe, self.bill, ledger, printed)
        except BaseException:
            self._close_store()
            raise

    def spent(self) -> dict[str, Any]:
        """The fields of `RunFinished` that say what was spent; empty when nothing was."""
        if self.bill is None or not any(self.bill.usage):
            return {}
        cost = self.bill.cost
        return {"usage": self.bill.usage._asdict(), "cost": {**cost._asdict(), "total": cost.total}}

    def spent_by_engine(self) -> dict[str, float]:
        """Dollars, of engines that cost something."""
        return self.bill.by_engine() if self.bill is not None else {}

    def fetched(self) -> int:
        """How many results were found in the team's store."""
        return self.store.fetched_results

    def close(self) -> None:
        """End what runs, flush what is to be shared, and let go of the store."""
        try:
            self.forcer.close()
            if self._fleet:
                self._fleet.close()
        finally:
            self._close_store()

    def _close_store(self) -> None:
        if self.store is not self._borrowed:
            self.store.close()


def _fleet(settings: Settings, observe: Callable[[BuildEvent], None]) -> FleetOnDemand | None:
    """What starts machines, if the user has said that they may be."""
    if not settings.spot_cpus:
        return None
    from gg.force.fleet_on_demand import FleetOnDemand, permitted

    return FleetOnDemand(settings, observe) if permitted(settings) else None


def _may_spend(settings: Settings) -> bool:
    return bool(settings.store) or "lambda" in (*settings.engine, settings.fallback)


def _bill(store: Store) -> Bill | None:
    """The bill for requests to the team's store, to which engines add what they spend."""
    remote = remote_of(store)
    if remote is None or remote.where.scheme != "s3":  # other services have no price table here
        return None
    from gg.cost.meter import Bill

    bill = Bill()
    bill.follow(lambda: remote.where.region or remote.bucket.region, lambda: remote.traffic)
    return bill
