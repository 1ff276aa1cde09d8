"""The compiler drivers: gcc, clang and the names by which they go. The model is loaded at the first call of one."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from gg.models.drafts import Call, Model, ModelAnswer, Probe
from gg.models.tool_names import COMPILERS

if TYPE_CHECKING:
    from gg.models.driver.model import DriverModel


@cache
def _model() -> DriverModel:
    from gg.models.driver.model import DriverModel

    return DriverModel()


def _driver(call: Call, probe: Probe) -> ModelAnswer:
    return _model()(call, probe)


MODELS: dict[str, Model] = dict.fromkeys(COMPILERS, _driver)
"""Canonical name to model."""
