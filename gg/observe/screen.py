"""How a run looks on a terminal: counts and events in, lines with colours out. No time and no terminal of its own.

rich is imported when the first picture is made: a run that is over before that never pays for it (0.1 s).
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gg.light.shown import encoded
from gg.observe import wording
from gg.observe.build_events import BuildEvent, Progress, Started, ThunkDone, ThunkFailed, ThunkStarted

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

_SLOW = 1.0  # seconds after which a running thunk is worth a line
_BAR = 12  # columns: a narrower bar tells nothing


@dataclass(slots=True)
class _RunningThunk:
    label: str
    engine: str
    since: float


@dataclass(slots=True)
class ScreenState:
    """What the picture is made of; `see` keeps it. Times are the caller's, in seconds of one clock."""

    total: int = 0
    done: int = 0
    cached: int = 0
    failed: int = 0
    ends: float | None = None
    running: dict[str, _RunningThunk] = field(default_factory=dict)

    def see(self, event: BuildEvent, now: float) -> None:
        match event:
            case Started():
                self.total = event.total
            case ThunkStarted():
                self.running[event.id] = _RunningThunk(event.label, event.engine, now)
            case ThunkDone():
                self.running.pop(event.id, None)
                self.done += 1
                self.cached += event.how == "cached"
            case ThunkFailed():
                self.running.pop(event.id, None)
                self.failed += 1
            case Progress():
                self.done, self.cached, self.failed = event.done, event.cached, event.failed
                self.total = event.done + event.failed + event.running + event.to_go
                self.ends = None if event.eta is None else now + event.eta
            case _:
                pass

    @property
    def to_go(self) -> int:
        return max(0, self.total - self.done - self.failed - len(self.running))


class Screen:
    """Draws a State. `colour`: None lets rich see what the terminal can (TERM, NO_COLOR)."""

    def __init__(self, *, colour: bool | None = None) -> None:
        self._colour = colour
        self._consoles: dict[int, Console] = {}

    def lines(self, state: ScreenState, now: float, width: int, height: int) -> list[str]:
        """The picture, each line at most `width` columns, at most `height` of them, the last line first to go."""
        console = self._console(width)
        with console.capture() as captured:
            console.print(self._counts(state, now, width))
            for row in self._rows(state, now, width, height - 1):
                console.print(row, no_wrap=True, overflow="ellipsis", crop=True)
        return captured.get().splitlines()[:height]

    def _console(self, width: int) -> Console:
        if width not in self._consoles:
            from rich.console import Console

            colour = "auto" if self._colour is None else "standard" if self._colour else None
            self._consoles[width] = Console(
                file=io.StringIO(),
                force_terminal=True,
                width=width,
                color_system=colour,  # type: ignore[arg-type]  # rich wants a Literal
                highlight=False,
                legacy_windows=False,
            )
        return self._consoles[width]

    def _counts(self, state: ScreenState, now: float, width: int) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        text = _counts(state, now)
        room = width - text.cell_len - 2
        if room < _BAR:
            text.truncate(width, overflow="ellipsis")
            return text
        bar = ProgressBar(total=max(1, state.total), completed=state.done + state.failed, width=min(room, 40))
        line = Table.grid(padding=(0, 2, 0, 0))
        line.add_row(bar, text)
        return line

    def _rows(self, state: ScreenState, now: float, width: int, height: int) -> list[Text]:
        from rich.text import Text

        slow = sorted((r for r in state.running.values() if now - r.since >= _SLOW), key=lambda r: r.since)
        shown = slow if len(slow) <= height else slow[: height - 1]
        several = len({r.engine for r in state.running.values()}) > 1
        rows = []
        for one in shown:
            label = encoded(one.label).decode("utf-8", "replace")
            row = Text()
            row.append(f"  {wording.clock(now - one.since):>7}  ", style="dim")
            row.append("".join(c if c.isprintable() else "?" for c in label))
            if several:
                row.append(f"  {one.engine}", style="dim")
            rows.append(row)
        if len(slow) > len(shown) and height > 0:
            rows.append(Text(f"           and {len(slow) - len(shown)} more", style="dim"))
        return rows


def _counts(state: ScreenState, now: float) -> Text:
    from rich.text import Text

    text = Text(no_wrap=True)
    text.append(f"{state.done} done", style="bold")
    text.append(f" ({state.cached} cached)", style="dim")
    text.append(f"  {len(state.running)} running", style="cyan" if state.running else "dim")
    text.append(f"  {state.failed} failed", style="bold red" if state.failed else "dim")
    text.append(f"  {state.to_go} to go")
    if state.ends is not None:
        text.append(f"  ETA {wording.clock(state.ends - now)}", style="bold")
    return text
