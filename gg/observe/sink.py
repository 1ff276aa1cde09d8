"""What a sink is, several as one, and the writing that must not fail.

A force goes on when nobody can see it any more: a closed terminal or a broken pipe silences a sink and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gg.observe.build_events import BuildEvent

Clock = Callable[[], float]
"""Seconds of a monotonic clock."""


class Sink(Protocol):
    """Shows events. `see` is called from one thread at a time, in order; nothing after `close`. Neither raises."""

    def see(self, event: BuildEvent) -> None: ...
    def close(self) -> None: ...


class ByteStream(Protocol):
    """Where bytes are written (`sys.stderr.buffer`)."""

    def write(self, data: bytes, /) -> object: ...
    def flush(self) -> object: ...
    def isatty(self) -> bool: ...


class Several:
    """Sinks that all see each event."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    def see(self, event: BuildEvent) -> None:
        for sink in self._sinks:
            sink.see(event)

    def close(self) -> None:
        for sink in self._sinks:
            sink.close()


def _is_terminal(stream: ByteStream) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


class TextOutput:
    """One stream, written through at once; silent once it is broken."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._terminal = _is_terminal(stream)
        self._broken = False
        self.at_line_start = True

    def write(self, data: bytes) -> None:
        if self._broken or not data:
            return
        try:
            self._stream.write(data)
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: closed by someone else
            self._broken = True
        self.at_line_start = data.endswith(b"\n")

    def show(self, words: bytes) -> None:
        """What somebody else wrote: byte for byte, but to a terminal (`gg.observe.visible`)."""
        if self._terminal and words:
            from gg.observe.visible import visible

            words = visible(words)
        self.write(words)

    def line(self, text: str) -> None:
        """One line of our own, on a line of its own. What it names may be called anything, colours included."""
        start = b"" if self.at_line_start else b"\n"
        self.write(start)
        if not text.isprintable():
            from gg.light.shown import encoded, in_line

            text = in_line(text, whole_bytes=not self._terminal)
            self.write(encoded(text) + b"\n")
        else:
            self.write(text.encode() + b"\n")
