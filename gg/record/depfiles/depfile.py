"""The dependency file that make reads before anything is forced.

It lists all that the scan found, a superset of what the compiler will list: make then rebuilds at most too much. When
the thunk is forced, the compiler's own dependency file takes its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from gg.light.regex import regex
from gg.models.drafts import Depfile

if TYPE_CHECKING:
    from gg.models.includes import Closure

_SPECIAL = regex(rb"[ \t#$]")


def quote(name: bytes) -> bytes:
    """A file name as make wants it in a prerequisite: spaces, tabs, `#` and `$` protected, as cpp's mkdeps does."""
    if not _SPECIAL.search(name):
        return name
    quoted = bytearray()
    for i, char in enumerate(name):
        if char in b" \t":
            before = i
            while before and name[before - 1 : before] == b"\\":
                before -= 1
                quoted += b"\\"
            quoted += b"\\"
        elif char == ord("$"):
            quoted += b"$"
        elif char == ord("#"):
            quoted += b"\\"
        quoted.append(char)
    return bytes(quoted)


def listed(depfile: Depfile, closures: Sequence[Closure]) -> tuple[bytes, ...]:
    """What the rule names besides the sources: all headers of the closures, or those that are not system headers."""
    found = [closure.displays(system=depfile.system) for closure in closures]
    return found[0] if len(found) == 1 else tuple(dict.fromkeys(chain.from_iterable(found)))


def render(depfile: Depfile, headers: Iterable[bytes], sources: Iterable[bytes]) -> bytes:
    """The make rule. `sources` come first, as they were written on the command line."""
    names = list(dict.fromkeys(sources))
    headers = list(headers)
    for name in names:
        if name in headers:
            headers.remove(name)
    if _SPECIAL.search(b"".join([*names, *headers])):
        names, headers = [quote(n) for n in names], [quote(h) for h in headers]
    lines = [b" ".join(depfile.targets), b": ", b" \\\n ".join([*names, *headers]), b"\n"]
    if depfile.phony:
        lines += [name + b":\n" for name in headers]
    return b"".join(lines)
