"""Regular expressions that are compiled when first used: the tables have many, and a short command uses few.

Compiling one takes 0.2 to 2 ms, and cannot be stored. Use `regex` for what a module names; what a function needs
once is `re.search(...)` as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, AnyStr, cast

if TYPE_CHECKING:
    import re


class _Late:
    def __init__(self, text: str | bytes, flags: int) -> None:
        self._text = text
        self._flags = flags

    def __getattr__(self, name: str) -> object:
        """A method of the compiled expression, kept here under its name from then on."""
        import re

        found: object = getattr(re.compile(self._text, self._flags), name)
        setattr(self, name, found)
        return found


def regex(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """What `re.compile` gives, for all that is called by name on it. A wrong expression shows at its first use."""
    return cast("re.Pattern[AnyStr]", _Late(text, flags))
