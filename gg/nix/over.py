"""Puts gg over the build tools that a builder may call: each make, ninja and the like of its closure.

A small script is mounted over such a program's file, in the builder's own mount namespace; nothing in the store is touched. The
script has the tool recorded and forced. Within the recording the tool itself runs, under the name that it was called by, so that
`$(MAKE)` and printed texts are the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

TOOLS = ("make", "gmake", "remake", "bmake", "ninja", "samu")
ROOM = "/nix/.gg"
"""The directory for gg's files in the builder's view. No build looks there, and it does not show in a listing of `/`."""

_SCRIPT = """\
#!{bash}
name=${{0##*/}}
if [ "$(type -P "$name")" != "$0" ]; then name=$0; fi
if [ -n "${{GG_SOCKET:-}}" ]; then
    unset {ours}
    exec -a "$name" "{room}/real$0" "$@"
fi
{settings}
exec {infer} --quiet --force "$0" "$@"
"""


def tools(closure: Iterable[str]) -> list[str]:
    """The files of the build tools in a closure, links followed."""
    found: dict[str, None] = {}
    for path in closure:
        for name in TOOLS:
            file = os.path.realpath(f"{path}/bin/{name}")
            if os.path.basename(file) == name and os.access(file, os.X_OK) and os.path.isfile(file):
                found[file] = None
    return list(found)


def shell(builder: str, closure: Iterable[str]) -> str:
    """A bash that the builder sees: the builder itself, or the first in its closure; empty if there is none."""
    candidates = [builder, *(f"{path}/bin/bash" for path in closure)]
    return next((p for p in candidates if os.path.basename(p) == "bash" and os.access(p, os.X_OK)), "")


def binds(closure: Sequence[str], bash: str, infer: str, settings: dict[str, str], into: str) -> list[tuple[str, str]]:
    """The files of gg to show to the builder: pairs of a path outside and one inside. The script is written below `into`."""
    found = tools(closure)
    if not found:
        return []
    script = f"{into}/over"
    text = _SCRIPT.format(
        bash=bash, room=ROOM, infer=infer, ours=" ".join(settings) or "GG_NOTHING",
        settings="\n".join(f"export {name}={_quoted(value)}" for name, value in settings.items()),
    )  # fmt: skip
    with open(script, "w") as file:
        file.write(text)
    os.chmod(script, 0o555)
    return [pair for tool in found for pair in ((tool, f"{ROOM}/real{tool}"), (script, tool))]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
