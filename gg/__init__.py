"""gg: record an ordinary build as content-addressed thunks, and force them anywhere with the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Blob", "Out", "Output", "Result", "Session", "Thunk", "ThunkFailed", "Value", "out"]

if TYPE_CHECKING:
    from gg.sdk import Blob, Out, Output, Result, Session, Thunk, ThunkFailed, Value, out


def __getattr__(name: str) -> object:
    """The SDK is loaded when something of it is used: every command imports this package."""
    if name not in __all__:
        raise AttributeError(f"module 'gg' has no attribute {name!r}")
    from gg import sdk

    return getattr(sdk, name)
