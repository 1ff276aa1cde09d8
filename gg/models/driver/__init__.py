"""The compiler drivers: gcc, clang and the names by which they go."""

from __future__ import annotations

from gg.models.base import Model
from gg.models.driver.model import VERSION, DriverModel
from gg.models.names import COMPILERS

_MODEL = DriverModel()

MODELS: dict[str, Model] = dict.fromkeys(COMPILERS, _MODEL)
"""Canonical name to model."""

__all__ = ["MODELS", "VERSION", "DriverModel"]
