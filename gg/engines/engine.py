"""What an engine is: a place where thunks run.

An engine gives exactly one `Answer` for each `submit`, from any thread. It never retries, never writes reductions and
never counts slots: the scheduler does the first and the last, the driver the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gg.core.ids import SandboxPath, ThunkId
from gg.core.placeholder import Placeholder
from gg.core.thunk import File, Reduction, Thunk
from gg.errors import GGError
from gg.light.named import NamedTuple
from gg.light.slotted import slotted
from gg.schedule.events import EngineCaps, Fault


class Submission(NamedTuple):
    """One attempt: a resolved thunk (every input a known blob), and what earlier attempts found it to need besides.

    `more`: attempts that are to run after it in the same place (`EngineCaps.batch`), each with an answer of its own.
    `encoded`: the thunk as `gg.core.codec` has it, or nothing. `hedge`: a duplicate of attempts that drag, of no use once
    one of them is answered. `sent`: what an engine calls when it has sent attempts (`EngineCaps.announces`).
    `stays`: a file for which it may run on this machine alone.
    """

    attempt: int
    id: ThunkId
    thunk: Thunk
    extra: tuple[File, ...] = ()
    deadline: float | None = None
    memory: int = 0
    encoded: bytes = b""
    hedge: bool = False
    sent: Callable[[Sequence[int]], None] | None = None
    more: tuple[Submission, ...] = ()
    stays: bytes = b""


@slotted()
class Failure:
    """Why an attempt gave no reduction. For a TOOL fault: the tool's own exit status and output, and the outputs that it `leaves`
    as they were before.

    `setup`: what the user has to mend before anything can run there; it ends the whole run.
    """

    fault: Fault
    message: str
    status: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    needs: tuple[tuple[SandboxPath, Placeholder], ...] = ()
    extra: tuple[File, ...] = ()
    setup: GGError | None = None
    leaves: frozenset[SandboxPath] = frozenset()


class Answer(NamedTuple):
    """The end of an attempt: a reduction whose blobs are in the store, or a failure.

    `encoded`: the reduction as `gg.core.codec` has it, or nothing.
    """

    attempt: int
    result: Reduction | Failure
    encoded: bytes = b""


Post = Callable[[Answer], None]
Tell = Callable[[str, int | None, EngineCaps | None], None]
"""Told of an engine that it takes so many attempts at once from now on (None: it is gone with all that ran there, and nothing
of that will be answered), and of its capabilities if they are others."""


Printed = Callable[[ThunkId, int, bytes], None]
"""Told, from any thread, of a piece of what a thunk's command prints while it runs: the number of bytes before it, and the piece.
Another attempt begins again at 0."""


class Engine(Protocol):
    """Exactly one Answer for each submit(), and each in its `more`; any thread may post."""

    @property
    def name(self) -> str: ...

    @property
    def slots(self) -> int:
        """How many attempts it takes at once."""
        ...

    @property
    def caps(self) -> EngineCaps: ...

    def expect(self, thunks: Sequence[Thunk]) -> None:
        """These may be submitted soon: begin to bring their groups to where they will run. Never blocks."""
        ...

    def follow(self, tell: Tell) -> None:
        """From now on `tell`, from any thread, when it takes more attempts at once or fewer, goes, or comes back."""
        ...

    def submit(self, submission: Submission, post: Post) -> None: ...

    def cancel(self, attempt: int) -> None:
        """Stop it if it still runs; it is answered all the same."""
        ...

    def close(self) -> None:
        """Stop all that runs and free everything; nothing is posted afterwards."""
        ...
