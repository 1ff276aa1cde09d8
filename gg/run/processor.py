"""Starts a compiler so that it compiles for the processor that `native` meant when the call was recorded.

GG_ELSEWHERE, from the recorder, says how (`gg.models.driver.this_cpu`).
"""

from __future__ import annotations

import os

from gg.core.thunk import Thunk

VARIABLE = b"GG_ELSEWHERE"
_NATIVE = (b"-march=native", b"-mtune=native", b"-mcpu=native")
_CHOICES = (b"-march=", b"-mtune=", b"-mcpu=")


def needs_home(thunk: Thunk) -> bool:
    """Whether the thunk compiles for the processor of whatever machine runs it."""
    names = {name for name, _ in thunk.env}
    return b"GG_NATIVE" in names and VARIABLE not in names


def arguments(thunk: Thunk, directory: str) -> tuple[bytes, ...]:
    """The thunk's argv, changed as GG_ELSEWHERE says. `directory`: where the command sees a file that is made there."""
    told = dict(thunk.env).get(VARIABLE, b"").split(b" ")
    match told:
        case [b"specs", *words]:
            path = os.path.join(os.fsencode(directory), b"gg-native.specs")
            with open(path, "wb") as file:
                file.write(b"*cc1_cpu:\n%>march=native %>mtune=native " + b" ".join(words) + b"\n\n")
            return (*thunk.argv[:1], b"-specs=" + path, *thunk.argv[1:])
        case [b"instead", *words]:
            kept = [word for word in thunk.argv[1:] if word not in _NATIVE and not word.startswith(_CHOICES)]
            return (*thunk.argv[:1], *words, *kept)
    return thunk.argv
