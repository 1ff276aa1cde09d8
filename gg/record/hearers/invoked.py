"""Which text a shell runs, by its arguments and what it has open: that of `-c`, its script, or its standard input.

A script is read by the descriptor by which the shell reads it: since it was opened the shell may have changed its directory, or
somebody may have removed the file. What cannot be read (a pipe, `sh -s` at the end of one) may be anything.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from gg.light.named import NamedTuple
from gg.light.plain_files import read_beginning
from gg.light.regex import regex
from gg.models.tool_names import tool_name
from gg.record.hearers import processes

_TAKES_ANOTHER = (b"--rcfile", b"--init-file")
_SCRIPTS = (255, 10, 11, 12, 3)  # as which bash, dash and others have their script open
_BUILTIN = (b"cd", b"test", b"[", b"echo", b"exec", b"set", b"if", b"for", b"while", b"case", b"{", b"(", b":", b"true")
_FIRST = regex(rb"[^\s;&|()<>\"'$`=]+")
_EXPORTED = (b"BASH_FUNC_", b"%%")
_MOST = 1 << 20

ANYTHING = b"eval anything || :\n"
"""The text of a shell whose text nobody can read."""


class ShellOptions(NamedTuple):
    """What a shell's arguments say. `given`: the text of `-c`; `script`: its file; neither: it reads its standard input."""

    given: bytes | None
    script: bytes
    ends: bool  # at the first failure
    pipefail: bool


def options(words: Sequence[bytes]) -> ShellOptions:
    """Of a shell called with these words, its own name first."""
    rest = list(words[1:])
    if rest and os.path.basename(words[0]) == b"busybox":
        del rest[0]
    letters, named = b"", []
    while rest and len(rest[0]) > 1 and rest[0][:1] in b"-+":
        word = rest.pop(0)
        if word == b"--":
            break
        if word.startswith(b"--"):
            del rest[: 1 if word in _TAKES_ANOTHER else 0]
            continue
        for letter in word[1:]:
            if letter in b"oO" and rest:
                named.append(word[:1] + rest.pop(0))
        letters += word[1:] if word[:1] == b"-" else b""
    if rest and rest[0] == b"-":
        del rest[0]
    given = b"c" in letters
    return ShellOptions(
        (rest[0] if rest else b"") if given else None,
        rest[0] if rest and not given and b"s" not in letters else b"",
        b"e" in letters or b"-errexit" in named,
        b"-pipefail" in named,
    )


def script(pid: int, path: bytes) -> bytes | None:
    """A path by which a shell's script can be read. The shell was called with `path`. None if nobody can read it."""
    name = os.path.basename(path)
    for fd in _SCRIPTS:
        target = processes.link(pid, fd)
        if target is not None and os.path.basename(target.removesuffix(b" (deleted)")) == name:
            return processes.descriptor(pid, fd)
    full = os.path.join(processes.directory(pid), path)
    return full if os.path.exists(full) else None


def standard_input(pid: int) -> bytes:
    """The text that a shell reads from its standard input; what a person types is told of as it comes."""
    path = processes.descriptor(pid, 0)
    kind = os.stat(path).st_mode
    if stat.S_ISREG(kind):
        return read(path)
    return b"" if stat.S_ISCHR(kind) else ANYTHING


def read(path: bytes) -> bytes:
    """The text of a script. OSError."""
    return read_beginning(path, _MOST + 1)


def functions(pid: int, text: bytes) -> bytes:
    """The functions that bash has from its environment (`export -f`), as text, if this text calls any."""
    first = _FIRST.match(text.lstrip())
    if first is None or first[0] in _BUILTIN or tool_name(os.path.basename(first[0])):
        return b""
    begin, end = _EXPORTED
    found = []
    for name, value in processes.variables(pid):
        if name.startswith(begin) and name.endswith(end) and name[len(begin) : -len(end)] in text:
            found.append(name[len(begin) : -len(end)] + b" " + value + b"\n")
    return b"".join(found)
