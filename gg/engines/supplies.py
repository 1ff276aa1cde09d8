"""What the engines of one force are given alike, whatever they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gg.light.slotted import slotted

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.cost.meter import Bill
    from gg.engines.engine import Printed
    from gg.host.filedb import FileDB
    from gg.run.expand import Groups
    from gg.store.base import Store
    from gg.workspace.later import Later
    from gg.workspace.older import Older
    from gg.workspace.workspace import Workspace


def _say_nothing(text: str) -> None:
    pass


@slotted(kw_only=True)
class Supplies:
    """What they spend goes on `bill`; `later` tells what a thunk may not see; `report(text)` is told of what is left out.

    `printed`: told what closed thunks' commands print here, while they run.
    """

    store: Store
    groups: Groups
    files: Callable[[], FileDB]
    workspace: Workspace
    bill: Bill | None = None
    renaming: Renaming | None = None
    later: Later | None = None
    older: Older | None = None
    report: Callable[[str], None] = _say_nothing
    printed: Printed | None = None
