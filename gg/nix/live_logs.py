"""The logs of builders, shown while the builders run where that can be heard, and otherwise when they have ended; never twice."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gg.core.ids import ThunkId


class LiveLogs:
    """The logs of several builders, by thunk. `show` is called by one thread at a time."""

    def __init__(self, show: Callable[[bytes], None]) -> None:
        self._show = show
        self._shown: dict[ThunkId, bytearray] = {}
        self._lock = threading.Lock()

    def tell(self, text: bytes) -> None:
        """Show a text that is no builder's."""
        with self._lock:
            self._show(text)

    def printed(self, thunk: ThunkId, at: int, text: bytes) -> None:
        """A builder that runs has printed `text` after `at` bytes. An attempt that repeats what was shown shows nothing new."""
        with self._lock:
            shown = self._shown.setdefault(thunk, bytearray())
            known = shown[at : at + len(text)]
            if not text.startswith(known):  # this attempt differs from an earlier one
                del shown[at:]
                known = bytearray()
            shown += text[len(known) :]
            self._show(text[len(known) :])

    def end(self, thunk: ThunkId, log: bytes) -> None:
        """A builder has ended, and `log` is everything that it has printed. Show the rest of it."""
        with self._lock:
            shown = self._shown.pop(thunk, b"")
            at = len(shown) if log.startswith(shown) or shown.startswith(log) else 0
            self._show(log[at:] + b"\n" * (bool(log) and not log.endswith(b"\n")))
