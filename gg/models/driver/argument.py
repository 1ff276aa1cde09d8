"""One argument of a compiler driver, understood, and what is done about it."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from gg.light.slotted import slotted
from gg.models.driver.command import DriverCommand
from gg.models.driver.flags import Effect


class OptionList(IntEnum):
    """The list of a `DriverCommand` in which an option is kept as it stands, so that the compiler can be asked about it."""

    NONE = 0  # every compiler has it
    OPTIONS = 1
    LINK_OPTIONS = 2
    FILE_OPTIONS = 3
    LINK_OPERANDS = 4


@slotted()
class Argument:
    """One argument, understood. `value` is what is joined to it; `takes_next`: the value is the next argument."""

    effect: Effect
    handler: OptionHandler | None
    spelling: bytes
    value: bytes = b""
    takes_next: bool = False
    headers: bool = False
    link: bool = False
    tools: bool = False
    drop: bool = False
    group: OptionList = OptionList.NONE


OptionHandler = Callable[[DriverCommand, Argument, bytes], None]
