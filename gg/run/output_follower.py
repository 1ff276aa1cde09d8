"""Tells what a command prints while the command runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LOOK_S = 0.2  # seconds between two looks
_MOST_AT_ONCE = 1 << 20  # bytes

Said = Callable[[int, bytes], None]
"""Told of a piece of a command's output: the number of bytes before it, and the piece, in whole lines as far as there are any."""


@contextmanager
def followed(file: int, said: Said) -> Iterator[None]:
    """Follow what is written to `file` from its beginning, until the end of the context. `said` is called by a thread."""
    over = threading.Event()
    thread = threading.Thread(target=_follow, args=(file, said, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _follow(file: int, said: Said, over: threading.Event) -> None:
    at, ended = 0, False
    while not ended:
        ended = over.wait(_LOOK_S)
        while piece := _lines(os.pread(file, _MOST_AT_ONCE, at), ended):
            said(at, piece)
            at += len(piece)


def _lines(text: bytes, ended: bool) -> bytes:
    """The text up to its last line break; all of it if nothing will come after it, or if it is one long line."""
    return text if ended or len(text) == _MOST_AT_ONCE else text[: text.rfind(b"\n") + 1]
