"""Objects that came with the environment: files in a directory that nobody can write to, named as in the worker's cache.

They are used where they are, so they need neither requests nor room. An object's bytes are hashed when it is first asked for,
and never again, so unused objects cost nothing. A damaged object counts as missing.
"""

from __future__ import annotations

import os
import threading

from gg.host.trees import hash_file


class LayerObjects:
    """`directory` need not exist. Thread-safe."""

    def __init__(self, directory: str = "") -> None:
        try:
            names = os.listdir(directory) if directory else []
        except OSError:
            names = []
        self._directory = directory
        self._lock = threading.Lock()
        self._unseen = set(names)
        self.there = bool(names)
        self._sound: dict[str, str] = {}
        self.damaged = 0

    def find(self, name: str) -> str | None:
        """The path of this object; None if it is not here. The answer for a name is always the same."""
        path = self._sound.get(name)
        if path is None and self._unseen:
            with self._lock:
                path = self._sound.get(name)
                if path is None and name in self._unseen:
                    self._unseen.discard(name)
                    path = self._look(name)
        return path

    def _look(self, name: str) -> str | None:
        path = f"{self._directory}/{name}"
        try:
            sound = hash_file(path).digest.hex() == name.partition(".")[0]
            if sound and (not name.endswith(".x") or os.access(path, os.X_OK)):
                self._sound[name] = path
                return path
        except OSError:
            pass
        self.damaged += 1
        return None
