"""Files as the scanner knows them: a signature, and what was lexed under it.

A file is looked at at most once an *epoch* (one call of the scanner), and a stable one once a session. A file that has
changed is another `FileState`: the old one is dropped, with the nodes that were made of it. As long as a file is not
settled (its last change is so recent that another one might leave no trace), each epoch counts as a change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from gg.core.ticks import time_settled
from gg.models.includes.disk import Disk, FileSignature
from gg.models.includes.lex import lex_c
from gg.models.includes.lexasm import lex_gas, lex_nasm
from gg.models.includes.macros import definitions, lookup

# The lexers, by the name under which their results are kept. When a lexer's output changes it gets a new name here, so
# that no result of the old lexer is taken.
C, GAS, NASM, DEFINES = "c/3", "gas/2", "nasm/1", "defines/1"

_LEXERS: dict[str, Callable[[bytes], bytes]] = {C: lex_c, GAS: lex_gas, NASM: lex_nasm, DEFINES: definitions}


class Dependent(Protocol):
    """Something that was derived from a file's content."""

    def drop(self) -> None:
        """The file has changed or gone."""
        ...


class FileState:
    """One file that exists and can be read, as long as it has this signature."""

    __slots__ = ("bodies", "checked", "lexed", "nodes", "path", "signature", "trusted", "volatile")

    def __init__(self, path: bytes, volatile: bool, signature: FileSignature) -> None:
        self.path = path
        self.volatile = volatile
        self.signature = signature
        self.trusted = False
        self.checked = 0
        self.nodes: list[Dependent] = []
        self.lexed: dict[str, tuple[bytes, ...]] = {}
        self.bodies: dict[bytes, frozenset[bytes]] = {}


class Files:
    """All files of a session."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._known: dict[bytes, FileState] = {}
        self.epoch = 0

    def get(self, path: bytes) -> FileState | None:
        """The file at `path`, checked in this epoch; None if there is none that can be read, or a directory."""
        known = self._known.get(path)
        if known is not None and (known.checked == self.epoch or not known.volatile or not self._outdated(known)):
            return known
        signature = self._disk.file_signatures([path])[0]
        if signature is None or not self._disk.readable(path):
            return None
        state = self._known[path] = FileState(path, not self._disk.stable(path), signature)
        state.trusted = not state.volatile or time_settled(signature[0], self._disk.now())
        state.checked = self.epoch
        return state

    def stable(self) -> list[bytes]:
        """The files that stay as they are for the session."""
        return [path for path, state in self._known.items() if not state.volatile]

    def signature(self, path: bytes) -> FileSignature | None:
        """The signature under which a file was lexed; None if the next change might leave the same signature."""
        state = self._known.get(path)
        return state.signature if state is not None and state.trusted else None

    def _outdated(self, state: FileState) -> bool:
        self.check((state,))
        return self._known.get(state.path) is not state

    def check(self, states: Iterable[FileState]) -> None:
        """Drop the files that have changed, and everything that was derived from them."""
        epoch = self.epoch
        asked = [state for state in states if state.checked != epoch]
        if not asked:
            return
        for state, signature in zip(asked, self._disk.file_signatures([s.path for s in asked]), strict=True):
            if signature == state.signature and state.trusted:
                state.checked = epoch
                continue
            if self._known.get(state.path) is state:
                del self._known[state.path]
            for node in state.nodes:
                node.drop()

    def lexed(self, state: FileState, kind: str) -> tuple[bytes, ...]:
        """The directives in the file by the lexer `kind`; none if it can no longer be read."""
        directives = state.lexed.get(kind)
        if directives is None:
            text = self._text(state, kind)
            directives = state.lexed[kind] = (text,) if kind == DEFINES else tuple(text.split(b"\n")) if text else ()
        return directives

    def bodies(self, state: FileState, name: bytes) -> frozenset[bytes]:
        """The bodies that the file gives to the macro `name`."""
        known = state.bodies.get(name)
        if known is None:
            text = self.lexed(state, DEFINES)
            known = state.bodies[name] = lookup(text[0], name) if text else frozenset()
        return known

    def _text(self, state: FileState, kind: str) -> bytes:
        text = self._disk.lexed(state.path, kind, state.signature) if state.trusted else None
        if text is None:
            try:
                text = _LEXERS[kind](self._disk.read(state.path))
            except OSError:
                return b""
            if state.trusted:
                self._disk.keep(state.path, kind, state.signature, text)
        return text
