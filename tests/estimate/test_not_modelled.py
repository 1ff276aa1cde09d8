"""Engines whose machines nobody knows have no estimate, rather than somebody else's."""

from __future__ import annotations

import pytest

from gg.cli import estimate
from gg.errors import UsageError


@pytest.mark.parametrize("name", ["remote", "reapi"])
def test_it_is_said(name: str) -> None:
    with pytest.raises(UsageError, match=f"no estimate for the engine '{name}'"):
        estimate._need_models(("local", name))


def test_others_have_one() -> None:
    estimate._need_models(estimate._MODELLED)
