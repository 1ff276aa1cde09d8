"""Engines by name. An explicit table: an engine that is not here does not exist."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from gg.config import Settings
from gg.engines.base import Engine
from gg.errors import UsageError

if TYPE_CHECKING:
    from gg.execute.expand import Groups
    from gg.store.base import Store
    from gg.store.filedb import FileDB

NAMES = ("local",)


def check_names(settings: Settings) -> None:
    """UsageError for an engine that does not exist, before any is made."""
    for name in settings.engine:
        if name not in NAMES:
            raise UsageError(f"there is no engine {name!r}", hint=f"one of: {', '.join(NAMES)}")


def make_engines(
    settings: Settings, *, store: Store, groups: Groups, files: Callable[[], FileDB], dot: str
) -> list[Engine]:
    """The engines that the settings name, over the `.gg` at `dot`; UsageError for one that does not exist."""
    check_names(settings)
    engines: list[Engine] = []
    for _ in settings.engine:
        from gg.engines.local import LocalEngine
        from gg.execute.job import Isolation

        engines.append(
            LocalEngine(
                store=store,
                files=files,
                groups=groups,
                tmp=os.path.join(dot, "tmp"),
                dot=dot,
                slots=settings.width(),
                isolation=Isolation(settings.isolation),
                memory=settings.memory,
            )
        )
    return engines
