"""Live progress on a terminal.

A picture of a few lines stands below all that was printed. Whatever a tool printed is written byte for byte where the
picture was, and the picture is drawn again under it. It first appears when a run has lasted APPEARS, so that short runs
stay quiet and never import rich. A thread of its own keeps it moving while nothing happens; the lock makes each event
and each drawing one step.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from gg.observe import wording
from gg.observe.build_events import BuildEvent, Diagnostics, Note, RunFinished, Started, ThunkFailed
from gg.observe.plain import NoteRate
from gg.observe.screen import Screen, ScreenState
from gg.observe.sink import Clock, TextOutput
from gg.observe.visible import visible

APPEARS = 0.4  # seconds after the start
_EVERY = 0.125  # seconds between pictures
_ROWS = 5  # lines of a picture at most

Size = Callable[[], tuple[int, int]]
"""Columns and lines of the terminal."""


class Terminal:
    """The sink for a person at a terminal. `moving` False: no thread, whoever made it calls `draw` (for tests)."""

    def __init__(
        self,
        out: TextOutput,
        err: TextOutput,
        fd: int,
        *,
        clock: Clock = time.monotonic,
        size: Size | None = None,
        screen: Screen | None = None,
        moving: bool = True,
    ) -> None:
        self._out = out
        self._err = err
        self._clock = clock
        self._size = size or (lambda: _size(fd))
        self._screen = screen or Screen()
        self._state = ScreenState()
        self._notes = NoteRate(clock)
        self._lock = threading.Lock()
        self._shown: list[int] = []  # the widths of the lines on the screen
        self._appears = float("inf")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._move, name="gg-terminal", daemon=True) if moving else None

    def see(self, event: BuildEvent) -> None:
        with self._lock:
            self._state.see(event, self._clock())
            match event:
                case Started():
                    self._begin()
                case Diagnostics():
                    self._print(event.stdout, event.stderr)
                case ThunkFailed():
                    self._print(event.stdout, event.stderr, wording.failed(event))
                case Note():
                    self._print(b"", b"", self._notes.line(event))
                case RunFinished():
                    self._appears = float("inf")
                    for line in (*wording.failures(event), *wording.shares(event), wording.finished(event)):
                        self._print(b"", b"", line)
                case _:
                    pass

    def close(self) -> None:
        """Leave the terminal as it was, with all that was printed."""
        self._over.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join()
        with self._lock:
            self._erase()

    def draw(self) -> None:
        """Draw the picture as it is now, if it is time for one."""
        with self._lock:
            now = self._clock()
            if now < self._appears:
                return
            columns, lines = self._size()
            picture = self._screen.lines(self._state, now, max(20, columns - 1), min(_ROWS, max(1, lines - 2)))
            self._write_over(picture)

    def _begin(self) -> None:
        self._appears = self._clock() + APPEARS
        if self._thread is not None and not self._thread.is_alive() and not self._over.is_set():
            self._thread.start()

    def _move(self) -> None:
        while not self._over.wait(_EVERY):
            self.draw()

    def _print(self, stdout: bytes, stderr: bytes, line: str | None = None) -> None:
        if not (stdout or stderr or line):
            return
        self._erase()
        self._out.show(stdout)
        self._err.show(stderr)
        if line:
            self._err.line(line)

    def _write_over(self, picture: list[str]) -> None:
        """One write, so that nothing flickers: up to the first line, each line with its rest cleared, all below too."""
        start = "" if self._err.at_line_start and self._out.at_line_start else "\n"
        lines = b"".join([visible(line.encode("utf-8", "replace")) + b"\x1b[K\n" for line in picture])
        self._err.write((start + self._up()).encode() + lines + b"\x1b[J")
        self._err.at_line_start = self._out.at_line_start = True
        self._shown = [_width(line) for line in picture]

    def _erase(self) -> None:
        if self._shown:
            self._err.write((self._up() + "\x1b[J").encode())
            self._err.at_line_start = True
            self._shown = []

    def _up(self) -> str:
        """To the first column of the picture's first line, which may take more lines since the window was narrowed."""
        columns = max(1, self._size()[0])
        rows = sum(max(1, -(-width // columns)) for width in self._shown)
        return f"\x1b[{rows}A\r" if rows else "\r"


def _width(line: str) -> int:
    """The columns that a line of the picture takes."""
    from rich.text import Text

    return Text.from_ansi(line).cell_len


def _size(fd: int) -> tuple[int, int]:
    try:
        size = os.get_terminal_size(fd)
    except OSError:
        return 80, 24
    return size.columns or 80, size.lines or 24
