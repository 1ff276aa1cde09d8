"""What a program of the SDK handles: blobs, thunks, their outputs, and results."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gg.core.ids import BlobId, ThunkId
from gg.core.thunk import Usage
from gg.errors import GGError, UsageError


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that are in the session's store, and the name that they have where a command sees them."""

    id: BlobId
    name: str
    executable: bool = False

    def named(self, name: str) -> Blob:
        """The same bytes under another name."""
        return Blob(self.id, name, self.executable)


@dataclass(frozen=True, slots=True)
class Out:
    """A file that a command is to write, where it stands among its arguments."""

    name: str


def out(name: str) -> Out:
    """A file that the command writes, as an argument: `["cc", "-o", gg.out("prog"), …]`."""
    return Out(name)


@dataclass(frozen=True, slots=True)
class Thunk:
    """A command that is not run yet. As an argument or input of another it stands for its first output.

    `inputs` are the thunks whose outputs it reads.
    """

    id: ThunkId
    outputs: tuple[str, ...]
    inputs: tuple[Thunk, ...] = field(default=(), repr=False, compare=False)

    def __getitem__(self, output: str) -> Output:
        """One of the outputs, by its name."""
        if output not in self.outputs:
            raise UsageError(f"the thunk has no output {output!r}", hint=f"it has {', '.join(self.outputs)}")
        return Output(self, self.outputs.index(output))


@dataclass(frozen=True, slots=True)
class Output:
    """A file that a thunk makes, as an input of another, under the name that it has there (its own if empty)."""

    thunk: Thunk
    index: int
    as_name: str = ""

    @property
    def name(self) -> str:
        return self.as_name or os.path.basename(self.thunk.outputs[self.index])

    def named(self, name: str) -> Output:
        """The same file under another name."""
        return Output(self.thunk, self.index, name)


@dataclass(frozen=True, slots=True)
class Value:
    """A file that was made. It is in the store, and stays there for as long as a collection leaves it."""

    blob: BlobId
    executable: bool
    _path: Callable[[BlobId, bool], str] = field(repr=False, compare=False)

    @property
    def path(self) -> str:
        """A read-only file with these bytes."""
        return self._path(self.blob, self.executable)

    def read(self) -> bytes:
        with open(self.path, "rb") as file:
            return file.read()


@dataclass(frozen=True, slots=True)
class Result:
    """What a thunk came to. `outputs` by name, without optional ones that the command left out.

    `cached`: the command did not run now. `usage` is that of the run that made it.
    """

    thunk: Thunk
    outputs: Mapping[str, Value]
    stdout: bytes
    stderr: bytes
    usage: Usage
    engine: str
    cached: bool

    def __getitem__(self, output: str) -> Value:
        return self.outputs[output]

    def read(self) -> bytes:
        """The bytes of the first output."""
        return self.outputs[self.thunk.outputs[0]].read()


class ThunkFailed(GGError):
    """A command failed: the thunk's own, or that of one that it needs (`label` tells). Exit status of gg-force: the command's.

    For trouble that is not the command's `status` is 75 and `stderr` says what it was.
    """

    exit_code = 75

    def __init__(self, label: str, status: int, stdout: bytes, stderr: bytes) -> None:
        text = stderr.decode(errors="replace").strip()
        super().__init__(f"{label} failed with status {status}" + (f": {text}" if text else ""))
        self.label = label
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
