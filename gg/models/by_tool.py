"""Which model answers for which tool: an explicit table, by canonical name."""

from __future__ import annotations

from gg.models.binutils import MODELS as BINUTILS
from gg.models.drafts import Model
from gg.models.driver import MODELS as DRIVERS
from gg.models.run_for_real import MODELS as REAL
from gg.models.tool_names import tool_name

MODELS: dict[str, Model] = {**DRIVERS, **BINUTILS, **REAL}
"""Canonical name (`gg.models.tool_names`) to model."""


def model_for(basename: bytes) -> Model | None:
    """The model of the tool that is called as `basename`; None when there is none."""
    name = tool_name(basename)
    return MODELS.get(name) if name else None
