"""Shows what tools have printed, once for each recorded call, in the order in which the calls were made.

Thunks are done in another order than they were recorded in. So words that come early wait until all calls before theirs are
settled, or the force is over. Failures do not wait, and are shown elsewhere.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from gg.core.ids import ThunkId
from gg.observe import build_events as seen

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.workspace.ledger import Ledger


class Words:
    """The words in one force. Calls whose words were shown are struck out of `ledger`."""

    def __init__(
        self, ledger: Ledger, observe: Callable[[seen.BuildEvent], None], calls: Sequence[ThunkId] = ()
    ) -> None:
        """`calls` are settled in this force, and their words come in this order."""
        self._ledger = ledger
        self._observe = observe
        self._calls = calls
        self._left = Counter(calls)
        self._next = 0
        self._settled: dict[ThunkId, seen.Diagnostics | None] = {}

    def settle(self, came: Iterable[tuple[ThunkId, seen.Diagnostics | None, bool]]) -> None:
        """Thunks are settled. Each comes with what it has printed, and whether a file of its was placed. For a thunk that the
        ledger does not know, its words are shown if a file was placed.
        """
        silent: list[ThunkId] = []
        for name, words, placed in came:
            times = self._ledger.times(name)
            if words is None or name not in self._left:
                silent.append(name)
            if words is not None and name not in self._left:
                for _ in range(bool(placed) if times is None else times):
                    self._observe(words)
            self._settled[name] = words
        self._ledger.told(silent)
        self._go_on()

    def _go_on(self) -> None:
        told: list[ThunkId] = []
        while self._next < len(self._calls) and self._calls[self._next] in self._settled:
            told += self._say(self._calls[self._next])
            self._next += 1
        if told:
            self._ledger.told(told)

    def _say(self, name: ThunkId) -> list[ThunkId]:
        """Show what a call has printed. The answer is its thunk, if it had words and this was its last call."""
        words = self._settled[name]
        if words is None:
            return []
        self._observe(words)
        self._left[name] -= 1
        return [] if self._left[name] else [name]

    def end(self) -> None:
        """The force is over: show the words that still wait for calls that were not settled."""
        told = [name for name in self._calls[self._next :] if name in self._settled for name in self._say(name)]
        self._next = len(self._calls)
        if told:
            self._ledger.told(told)


class Showing:
    """What tools have printed, with the paths of this machine, and with colours only where the place can show them.

    `terminal`: the words are shown on a terminal. `failures`: a line for each thunk that has failed.
    """

    def __init__(self, sink: Callable[[seen.BuildEvent], None], ledger: Ledger, renaming: Renaming | None) -> None:
        self._sink = sink
        self._ledger = ledger
        self._renaming = renaming
        self.terminal = False
        self.failures: list[str] = []

    def observe(self, event: seen.BuildEvent) -> None:
        if isinstance(event, seen.ThunkFailed):
            event = event._replace(stderr=self.fitting(event.stderr, ThunkId(bytes.fromhex(event.id))))
        if self._renaming and isinstance(event, (seen.ThunkFailed, seen.Diagnostics)):
            here = self._renaming.real_text
            event = event._replace(stdout=here(event.stdout), stderr=here(event.stderr))
            if isinstance(event, seen.ThunkFailed):
                event = event._replace(command=os.fsdecode(here(os.fsencode(event.command))))
        if isinstance(event, seen.ThunkFailed):
            from gg.observe import wording

            self.failures.append(wording.in_list(event))
        self._sink(event)

    def fitting(self, words: bytes, name: ThunkId) -> bytes:
        """What a thunk's command has printed, made fit for the place."""
        if b"\x1b" not in words:
            return words
        from gg.core.colour import By, ColourForm, shown, terminal_look
        from gg.workspace.settings import terminal_variables

        look = terminal_look(terminal_variables()) if self.terminal else ColourForm.PLAIN
        return shown(words, look, By(self._ledger.by(name)))
