"""Work that goes on behind the one who hands it out: one piece at a time, in a thread, in the order given."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Behind(Generic[T]):
    """Does `work` with each piece that it is given. What it raises is raised by the next `give`, or at the end."""

    def __init__(self, work: Callable[[T], None]) -> None:
        self._work = work
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def give(self, piece: T) -> None:
        """Start on `piece` once the one before is done."""
        self._wait()
        self._thread = threading.Thread(target=self._do, args=(piece,), name="behind")
        self._thread.start()

    def _do(self, piece: T) -> None:
        try:
            self._work(piece)
        except BaseException as error:
            self._error = error

    def _wait(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def __enter__(self) -> Behind[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._wait()
