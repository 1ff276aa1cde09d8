"""Which model answers for which tool: an explicit table, by canonical name."""

from __future__ import annotations

from gg.models.binutils import MODELS as BINUTILS
from gg.models.drafts import Model
from gg.models.driver import MODELS as DRIVERS
from gg.models.run_for_real import MODELS as REAL

MODELS: dict[str, Model] = {**DRIVERS, **BINUTILS, **REAL}
"""Canonical name (`gg.models.tool_names`) to model."""
