"""What a call says that means one thing to the process that asks, and another to the recorder: such a call runs for real.

`/proc/self`, `/dev/fd/3` and `/dev/stdin` are other files in each process. An empty word names no file, and each tool
has its own way to take that.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from gg.light.regex import regex
from gg.models.drafts import Call, Draft

# A directory of the build may be called proc or dev, as in the kernel's sources: what is below it tells them apart.
_OWN = regex(rb"/(?:proc/(?:\.?/)*(?:self|thread-self|\d+)|dev/(?:\.?/)*(?:fd|stdin|stdout|stderr|tty))(?![\w.-])")
_MEANT_AS_TEXT = (
    b"-D",
    b"-ffile-prefix-map=",
    b"-fdebug-prefix-map=",
    b"-fmacro-prefix-map=",
    b"-fprofile-prefix-map=",
)


def doubt(call: Call) -> str:
    """Why the recorder cannot tell what the call means; empty if it can."""
    argv = call.argv
    if b"" in argv:
        return "an empty argument"
    if b"PATH" not in call.env and b"/" not in argv[0]:
        return "a driver that is called by its name looks for itself along PATH, and there is none"
    if names_own(argv):
        return "names a file of its own process"
    if call.cwd.startswith((b"/proc/", b"/dev/")) or _OWN.search(call.env.get(b"PWD", b"")):
        return "its directory is called by a name that each process has for itself"
    return ""


def doubt_of(draft: Draft, call: Call) -> str:
    """The same of what a model has made of the call."""
    if names_own(draft.env.values()):
        return "its environment names a file of its own process"
    if b"LD_LIBRARY_PATH" not in draft.env:
        return ""
    from gg.models.binutils.common import relative_entries

    for directory in relative_entries(draft.env[b"LD_LIBRARY_PATH"]):
        for tool in draft.tools:
            name = tool[tool.rfind(b"/") + 1 :]
            if b".so" in name and os.path.exists(os.path.join(call.cwd, directory, name)):
                return "LD_LIBRARY_PATH has a library of the tool in a relative directory"
    return ""


def names_own(words: Iterable[bytes]) -> bool:
    """Whether one of `words` has a path in it that each process has for itself."""
    found = tuple(words)
    together = b"\0".join(found)
    if (b"/proc/" not in together and b"/dev/" not in together) or not _OWN.search(together):
        return False
    return any(_OWN.search(word) for word in found if not word.startswith(_MEANT_AS_TEXT))
