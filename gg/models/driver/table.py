"""The flag table, made ready for looking up: one dictionary for whole spellings, one for beginnings.

What an argument is depends on its text alone, so each text is classified once a session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gg.light.slotted import replace
from gg.models.driver.argument import Argument, OptionHandler, OptionList
from gg.models.driver.flags import ROWS, Concerns, Effect, ValuePlace

if TYPE_CHECKING:
    from collections.abc import Mapping


_MOST_REMEMBERED = 50_000


_ = Effect
_OPTIONS = frozenset(
    {
        *(_.NEUTRAL, _.NATIVE, _.CHARSET, _.LTO, _.NO_LTO, _.SYSROOT, _.SPECS, _.TOOL_DIR),
        *(_.INTEGRATED_AS, _.NO_INTEGRATED_AS, _.RELOCATABLE),
    }
)
_FILE_OPTIONS = frozenset(
    {
        *(
            _.NOTES,
            _.NOTES_NAME,
            _.SAVE_TEMPS,
            _.SPLIT_DWARF,
            _.NO_SPLIT_DWARF,
            _.STACK_USAGE,
            _.TIME_TRACE,
            _.AUX_INFO,
        ),
        *(
            _.CALLGRAPH,
            _.INPUT,
            _.PLUGIN,
            _.PROFILE_USE,
            _.PROFILE_DIR,
            _.PROFILE_MAKE,
            _.AUTO_PROFILE,
            _.CLANG_PROFILE,
        ),
        _.EMIT_LLVM,
    }
)
_LINK_OPERANDS = frozenset({_.LIBRARY, _.LIBRARY_DIR, _.LINK_WORD, _.LINK_PAIR, _.TO_LINKER, _.TO_LINKER_LIST})
del _


def _group(effect: Effect, *, link_only: bool) -> OptionList:
    if effect in _OPTIONS:
        return OptionList.LINK_OPTIONS if link_only else OptionList.OPTIONS
    if effect in _FILE_OPTIONS:
        return OptionList.FILE_OPTIONS
    return OptionList.LINK_OPERANDS if effect in _LINK_OPERANDS else OptionList.NONE


class FlagTable:
    """The options that one flavour of driver knows."""

    def __init__(self, flavour: str, handlers: Mapping[Effect, OptionHandler]) -> None:
        self._handlers = handlers
        self._whole: dict[bytes, Argument] = {}
        self._begins: dict[bytes, Argument] = {}
        for row in ROWS:
            if row.only and row.only != flavour:
                continue
            for text in row.spellings.split():
                self._add(row.effect, row.arity, row.marks, text.encode())
        self._longest = max(map(len, self._begins))
        self._known: dict[bytes, Argument | None] = {}

    def _add(self, effect: Effect, arity: ValuePlace, marks: Concerns, spelling: bytes) -> None:
        whom = (Concerns.HEADERS in marks, Concerns.LINK in marks, Concerns.TOOLS in marks, Concerns.DROP in marks)
        handler = self._handlers.get(effect)
        group = _group(effect, link_only=Concerns.DROP in marks)
        plain = Argument(effect, handler, spelling, b"", False, *whom, group)
        following = Argument(effect, handler, spelling, b"", True, *whom, group)
        if arity is ValuePlace.NONE:
            self._whole[spelling] = plain
        if arity in (ValuePlace.SEPARATE, ValuePlace.BOTH, ValuePlace.EQUALS):
            self._whole[spelling] = following
        if arity in (ValuePlace.JOINED, ValuePlace.BOTH):
            self._begins[spelling] = plain
        if arity is ValuePlace.EQUALS:
            self._begins[spelling + b"="] = plain

    def get(self, arg: bytes) -> Argument | None:
        """What `arg` (it begins with `-`) is; None when no row fits."""
        try:
            return self._known[arg]
        except KeyError:
            pass
        if len(self._known) > _MOST_REMEMBERED:
            self._known.clear()
        known = self._known[arg] = self._look_up(arg)
        return known

    def _look_up(self, arg: bytes) -> Argument | None:
        whole = self._whole.get(arg)
        if whole is not None:
            return whole
        for length in range(min(len(arg), self._longest), 1, -1):
            found = self._begins.get(arg[:length])
            if found is not None:
                return replace(found, value=arg[length:])
        return None
