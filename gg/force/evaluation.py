"""The driver and its engines, made when something is to be evaluated."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from gg.engines.registry import make_engines
from gg.engines.supplies import Supplies
from gg.force.driver import Driver
from gg.force.thunk_locks import ThunkLocks
from gg.observe import build_events as seen
from gg.run.expand import Groups
from gg.schedule.policy import Policy
from gg.workspace.later import Later

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.cost.meter import Bill
    from gg.engines.engine import Engine, Printed
    from gg.force.mailbox import Mailbox
    from gg.force.staying import Staying
    from gg.host.filedb import FileDB
    from gg.store.base import Store
    from gg.workspace.ledger import Ledger
    from gg.workspace.older import Older
    from gg.workspace.settings import Settings
    from gg.workspace.workspace import Workspace


class Evaluation:
    """What a forcer has; `make` makes a driver and engines of it. `bill`: where engines put what they spend.
    `printed`: see `gg.engines.supplies`."""

    def __init__(
        self,
        workspace: Workspace,
        store: Store,
        settings: Settings,
        ledger: Ledger,
        older: Older,
        renaming: Renaming | None,
        files: Callable[[], FileDB],
        observe: Callable[[seen.BuildEvent], None],
        bill: Bill | None,
        printed: Printed | None = None,
    ) -> None:
        self._workspace = workspace
        self._store = store
        self._settings = settings
        self._ledger = ledger
        self._older = older
        self._renaming = renaming
        self._real_path: Callable[[bytes], bytes] = renaming.real_path if renaming else bytes
        self._files = files
        self._observe = observe
        self._bill = bill
        self._printed = printed
        self._groups = Groups(store)
        prefix = os.fsencode(workspace.root) + b"/"
        self._later = Later(ledger.since, ledger.made, prefix, self._real_path)

    def make(self, mail: Mailbox) -> tuple[Driver, list[Engine]]:
        budget = None
        if self._settings.budget:
            from gg.cost.budget import Budget
            from gg.cost.meter import Bill

            self._bill = self._bill or Bill()
            budget = Budget(self._settings.budget, self._bill)
        engines = make_engines(self._settings, self._supplies())
        driver = Driver(
            store=self._store,
            engines=engines,
            groups=self._groups,
            files=self._files,
            observe=self._observe,
            policy=self._policy(engines),
            root=self._workspace.root,
            real_path=self._real_path,
            later=self._later,
            budget=budget,
            mail=mail,
            locks=ThunkLocks(os.path.join(self._workspace.store, "running")),
            staying=self._staying(),
        )
        return driver, engines

    def _supplies(self) -> Supplies:
        return Supplies(
            store=self._store,
            groups=self._groups,
            files=self._files,
            workspace=self._workspace,
            bill=self._bill,
            renaming=self._renaming,
            later=self._later,
            older=self._older,
            report=lambda text: self._observe(seen.Note(text)),
            printed=self._printed,
        )

    def _policy(self, engines: list[Engine]) -> Policy:
        settings = self._settings
        several = sum(not engine.caps.reserve for engine in engines) > 1
        return Policy(
            keep_going=settings.keep_going or self._ledger.excuses_any(),  # it would have gone on
            max_attempts=settings.retries,
            fallback=None if settings.fallback == "never" else settings.fallback,
            width=(settings.jobs or None) if several else None,
        )

    def _staying(self) -> Staying | None:
        """What may not leave this machine; None if nothing leaves it anyway."""
        store, settings = self._store, self._settings
        at_home = {*settings.engine, settings.fallback} <= {"local", "never"}
        if at_home and not settings.store:  # most builds: they need not load what shares
            return None
        from gg.share.tiered import Tiered

        shared = isinstance(store, Tiered)
        if at_home and not shared:
            return None
        from gg.force.staying import Staying
        from gg.workspace.granted import granted_in

        return Staying(
            granted_in(self._workspace.root, settings),
            self._groups,
            self._real_path,
            store.near.put if isinstance(store, Tiered) else store.put,
            lambda text: self._observe(seen.Note(text)) if shared else None,
            os.path.join(self._workspace.dot, "kept"),
        )
