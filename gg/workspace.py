"""The workspace: a directory tree with `.gg/` at its top, and where things are in it.

.gg/version        what made it; `gg.store.directory` refuses a newer one
.gg/blobs/ …       the directory store
.gg/tmp/           files being written, scratch of attempts; cleared when nobody uses it
.gg/answers        what compilers said of themselves in earlier sessions
.gg/recall         what sources were found to read in earlier sessions
.gg/shims/         symbolic links to the shim, one for each tool name seen on PATH
.gg/history.jsonl  a line for each gg-infer and gg-force
"""

from __future__ import annotations

import os
import re
from contextlib import suppress

from gg.core import placeholder
from gg.core.placeholder import Placeholder
from gg.core.slotted import slotted
from gg.errors import StoreError, UsageError

DOT = ".gg"


@slotted()
class Workspace:
    """A workspace that exists. `root` is absolute and free of symbolic links."""

    root: str

    @property
    def dot(self) -> str:
        return os.path.join(self.root, DOT)

    @property
    def tmp(self) -> str:
        return os.path.join(self.root, DOT, "tmp")

    @property
    def shims(self) -> str:
        return os.path.join(self.root, DOT, "shims")

    @property
    def history(self) -> str:
        return os.path.join(self.root, DOT, "history.jsonl")

    @classmethod
    def find(cls, start: str = ".") -> Workspace | None:
        """The nearest workspace at or above `start`; `GG_DIR`, the path of a `.gg`, goes before."""
        from gg.config import gg_dir

        named = gg_dir()
        if named:
            root = os.path.dirname(os.path.realpath(named))
            return cls(root) if os.path.isdir(os.path.join(root, DOT)) else None
        here = os.path.realpath(start)
        while True:
            if os.path.isdir(os.path.join(here, DOT)):
                return cls(here)
            above = os.path.dirname(here)
            if above == here:
                return None
            here = above

    @classmethod
    def need(cls, start: str = ".") -> Workspace:
        """`find`, or UsageError with what to do."""
        found = cls.find(start)
        if found is None:
            raise UsageError(
                "no workspace here: there is no .gg in this directory or above it",
                hint="record a build first: gg-infer make",
            )
        return found

    @classmethod
    def create(cls, start: str = ".") -> Workspace:
        """The workspace at or above `start`, made at `start` when there is none. StoreError when it cannot be made."""
        found = cls.find(start)
        if found is None:
            from gg.config import gg_dir

            named = gg_dir()
            found = cls(os.path.dirname(os.path.realpath(named)) if named else os.path.realpath(start))
        found.make()
        return found

    def make(self) -> None:
        """Have `.gg/` and what is in it; StoreError when it cannot be made."""
        try:
            os.makedirs(self.tmp, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot make {self.dot}: {error.strerror}", hint="gg needs a place to write in the workspace"
            ) from error
        self.need_writable()
        self.remove_scratch()

    def remove_scratch(self) -> None:
        """Remove what processes that are no more have left in `.gg/tmp`; names there carry a process's number."""
        for name in os.listdir(self.tmp):
            number = re.match(r"(?:[a-z]+|\.gg-)(\d+)", name)
            if number and not os.path.exists(f"/proc/{number[1]}"):
                full = os.path.join(self.tmp, name)
                with suppress(OSError):
                    _remove(full)

    def need_writable(self) -> None:
        """StoreError when nothing can be written in `.gg/`."""
        if not os.access(self.tmp, os.W_OK):
            raise StoreError(f"cannot write in {self.dot}", hint="gg needs a place to write in the workspace")

    def placeholders(self) -> dict[bytes, Placeholder]:
        """Every placeholder below the root, by its absolute path; `.gg`, `.git` and symbolic links are not entered."""
        from gg.search import Search

        return Search(self.root).found()


def _remove(path: str) -> None:
    if os.path.isdir(path):
        import shutil

        shutil.rmtree(path)
    else:
        os.unlink(path)


def read_placeholder(path: bytes, size: int | None = None) -> Placeholder | None:
    """The placeholder at `path`; None when the file is another one or is not there."""
    try:
        if size is None:
            size = os.stat(path).st_size
        if size != placeholder.SIZE:
            return None
        with open(path, "rb", buffering=0) as file:
            return placeholder.parse(file.read(placeholder.SIZE + 1))
    except OSError:
        return None
