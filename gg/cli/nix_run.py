"""One `gg nix force`, as `gg builds` and `gg show` know of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from gg.errors import Interrupted
from gg.nix.derivation_graph import DerivationCounts
from gg.observe.account import CostAccount
from gg.workspace import history
from gg.workspace.workspace import Workspace


class NixRun:
    """`targets`: what was asked for. `tally` and `told` are what is known so far; `account` is to see all events."""

    def __init__(self, workspace: Workspace, targets: Sequence[str]) -> None:
        self.targets = list(targets)
        self.account = CostAccount(lambda event: None)
        self.tally = DerivationCounts()
        self.told: dict[str, Any] = {}
        self._workspace = workspace
        self._started, self._cpu = time.time(), time.process_time()

    @property
    def seconds(self) -> float:
        return time.time() - self._started

    def end(self, status: int) -> None:
        """Write down how it ended, with the fields of a gg-force. `failed` and the like count derivations."""
        tally, account = self.tally, {"where": self.account.where({}), "saved": self.account.saved}
        counts = {
            "ran": tally.ran,
            "cached": tally.cached,
            "here": tally.here,
            "failed": len(tally.failed),
            "skipped": len(tally.skipped),
        }
        times = {"wall": self.seconds, "cpu": time.process_time() - self._cpu, "busy": self.account.busy}
        failures = [each.why for each in tally.failed]
        line = {"what": "nix force", "time": self._started, "targets": self.targets, "status": status}
        history.append(
            self._workspace,
            {
                **line,
                **counts,
                **times,
                **account,
                **self.told,
                "failures": failures,
                "interrupted": status == Interrupted.exit_code,
            },
        )
