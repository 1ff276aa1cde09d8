"""Thunks from Python: what `import gg` gives, when it is first used.

    with gg.Session() as session:
        parts = [session.thunk(["sort", "-u", session.file(name), "-o", gg.out("sorted")]) for name in names]
        whole = session.thunk(["sort", "-mu", *parts, "-o", gg.out("all")])
        print(session.submit(whole).result().read())

The same thunks as those of `gg-create-thunk`, and the same way to force them as `gg-force`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["Blob", "Out", "Output", "Result", "Session", "Thunk", "ThunkFailed", "Value", "out"]

if TYPE_CHECKING:
    from gg.sdk.session import Session
    from gg.sdk.values import Blob, Out, Output, Result, Thunk, ThunkFailed, Value, out


def __getattr__(name: str) -> object:
    """Loaded when it is asked for: `gg-hash` and the like need other modules of this room."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gg.sdk import session, values

    return getattr(session if name == "Session" else values, name)
