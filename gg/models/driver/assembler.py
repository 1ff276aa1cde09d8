"""What -Wa, says to the assembler: include directories, and files that it writes besides the object."""

from __future__ import annotations

from gg.light.slotted import slotted
from gg.models.binutils.gas import as_table
from gg.models.binutils.options import Unmodelled, parse
from gg.models.driver.command import DriverCommand


@slotted()
class ForAssembler:
    """The part of a command line that is the assembler's."""

    directories: tuple[bytes, ...] = ()
    listings: tuple[bytes, ...] = ()


NOTHING = ForAssembler()


def for_assembler(command: DriverCommand) -> ForAssembler:
    """What the words of -Wa, and -Xassembler mean; refuses the command when one is not modelled."""
    words = command.assembler_words
    if not words:
        return NOTHING
    if any(word.startswith(b"@") for word in words):
        command.refuse("-Wa,@file")
    try:
        parsed = list(parse(as_table(), words))
    except Unmodelled as error:
        command.refuse(f"-Wa: {error}")
        return NOTHING
    directories: list[bytes] = []
    listings: list[bytes] = []
    for arg in parsed:
        match arg.effect:
            case "include":
                directories.append(arg.value)
            case "listing":
                name = arg.value.partition(b"=")[2]
                if not name:
                    command.refuse("-Wa,-a prints a listing")
                listings.append(name)
            case "value" | "flag":
                pass
            case _:
                command.refuse("-Wa: an option that changes what is read or written")
    if len(command.sources) > 1 and listings:
        command.refuse("-Wa,-a with several sources")
    return ForAssembler(tuple(directories), tuple(dict.fromkeys(listings)))
