"""Which model answers for which tool: an explicit table, by canonical name."""

from __future__ import annotations

from gg.models.base import Model
from gg.models.binutils import MODELS as BINUTILS
from gg.models.driver import MODELS as DRIVERS
from gg.models.names import tool_name
from gg.models.real import MODELS as REAL

MODELS: dict[str, Model] = {**DRIVERS, **BINUTILS, **REAL}
"""Canonical name (`gg.models.names`) to model."""


def model_for(basename: bytes) -> Model | None:
    """The model of the tool that is called as `basename`; None when there is none."""
    name = tool_name(basename)
    return MODELS.get(name) if name else None
