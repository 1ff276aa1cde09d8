"""The dependency file that make reads before anything is forced.

It lists all that the scan found, a superset of what the compiler will list: make then rebuilds at most too much. When
the thunk is forced, the compiler's own dependency file takes its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gg.models.base import Depfile
from gg.models.includes import Closure


def quote(name: bytes) -> bytes:
    """A file name as make wants it in a prerequisite: spaces, tabs, `#` and `$` protected, as cpp's mkdeps does."""
    if not any(c in name for c in b" \t#$"):
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


def render(depfile: Depfile, closures: Sequence[Closure], sources: Iterable[bytes]) -> bytes:
    """The make rule for what the closures hold. `sources` come first, as they were written on the command line."""
    names: dict[bytes, None] = dict.fromkeys(quote(s) for s in sources)
    headers: dict[bytes, None] = {}
    for closure in closures:
        for header in closure.files():
            if depfile.system or not header.system:
                headers[quote(header.display)] = None
    for name in names:
        headers.pop(name, None)
    lines = [b" ".join(depfile.targets) + b": " + b" \\\n ".join([*names, *headers]) + b"\n"]
    if depfile.phony:
        lines += [name + b":\n" for name in headers]
    return b"".join(lines)
