"""The workspace under another name: thunks say that it lies at a fixed path, so that each checkout records the same ones.

`thunk_path` is how a thunk has it, `real_path` how this machine does. A path is renamed by whole components, and in a text only
where one begins: alone, behind an option (`-I/home/ann/tree`), or behind what is no part of a name (`=`, `:`, a quote).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gg.core.ids import SandboxPath
from gg.light.regex import regex

_PART = rb"\w.+~\x80-\xff-"  # what a file's name is likely to consist of
_BEHIND = rb"(?=/|$|[^" + _PART + rb"]|\.(?![" + _PART + rb"]))"
_COLOUR = rb"\x1b\[[\d;]*[mK]"  # of a terminal: its last character is no part of a name
_BEFORE = rb"(^|" + _COLOUR + rb"|[^/" + _PART + rb"])(--?[A-Za-z][\w-]*)?"


class Renaming:
    """The workspace at `real`, called `known_as` by new thunks (None: they have it where it is).

    `earlier`: what thunks of former sessions may call it. `aliases`: names for it that lead through symbolic links.
    """

    __slots__ = ("_from_inside", "_from_outside", "aliases", "fixed", "known_as", "real")

    def __init__(
        self, real: bytes, known_as: bytes | None, earlier: Sequence[bytes] = (), aliases: Sequence[bytes] = ()
    ) -> None:
        self.real = real
        self.known_as = known_as
        self.fixed = tuple(dict.fromkeys([*([known_as] if known_as else []), *earlier]))
        self.aliases = tuple(aliases)
        self._from_inside = _finder(self.fixed)
        self._from_outside = _finder((real, *aliases))

    def thunk_path(self, path: bytes) -> SandboxPath:
        """A path as thunks have it; those outside of the workspace stay as they are."""
        return SandboxPath(_moved(path, (self.real,), self.known_as or self.real))

    def real_path(self, path: bytes) -> SandboxPath:
        """Where what a thunk calls so is on this machine."""
        return SandboxPath(_moved(path, self.fixed, self.real))

    def renames(self, path: bytes) -> bool:
        """Whether a thunk's path is another one here."""
        return self.real_path(path) != path

    def thunk_text(self, text: bytes) -> bytes:
        """An argument, a variable, a response file's words."""
        return _replaced(text, self._from_outside, self.known_as or self.real)

    def real_text(self, text: bytes) -> bytes:
        """What a tool has printed, or a make rule."""
        return _replaced(text, self._from_inside, self.real)

    def mentions(self, text: bytes) -> bool:
        """Whether a text of this machine names the workspace, wherever in it."""
        return any(name in text for name in (self.real, *self.aliases))


def _moved(path: bytes, old: Sequence[bytes], new: bytes) -> bytes:
    for name in old:
        if path.startswith(name) and path[len(name) : len(name) + 1] in (b"", b"/"):
            return new + path[len(name) :]
    return path


def _finder(names: Sequence[bytes]) -> re.Pattern[bytes]:
    any_name = b"|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return regex(_BEFORE + b"(?:" + any_name + b")" + _BEHIND, re.MULTILINE)


def _replaced(text: bytes, pattern: re.Pattern[bytes], new: bytes) -> bytes:
    return pattern.sub(lambda m: m[1] + (m[2] or b"") + new, text)
