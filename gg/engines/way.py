"""The ways by which requests get to workers and replies come back: engines whose attempts run elsewhere differ in nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gg.cost.meter import Meter
from gg.engines.awslambda.deployed_functions import DeployedFunction
from gg.engines.awslambda.parts import Part
from gg.engines.engine import Failure
from gg.light.named import NamedTuple
from gg.schedule.events import EngineCaps
from gg.wire.reply import Reply
from gg.wire.request import Limits

TellChange = Callable[[int | None, EngineCaps | None], None]
"""Called with how many attempts workers take at once from now on (None: they are gone), and their capabilities if these change."""


class Question(NamedTuple):
    """A request for one worker. `parts`: what `request` holds. `sent` is called when the request is on its way.

    `patience`: seconds after which no reply will come.
    """

    function: DeployedFunction
    request: bytes
    parts: Sequence[Part]
    patience: float
    sent: Callable[[], None]


class Way(Protocol):
    """For one event loop. `functions`: where a request may go, one a memory size. `meter` counts what requests cost."""

    @property
    def name(self) -> str: ...

    @property
    def functions(self) -> tuple[DeployedFunction, ...]: ...

    @property
    def meter(self) -> Meter: ...

    @property
    def carries(self) -> int:
        """How many bytes of a thunk's own files a request takes along; the rest goes by the store between."""
        ...

    def limits(self, memory: int) -> Limits:
        """The limits that a request sets its reply. `memory`: bytes that its command is expected to need."""
        ...

    async def warm(self) -> None:
        """Open what `ask` will need, if it is sure to be called."""
        ...

    async def ask(self, question: Question) -> Reply | Failure:
        """The reply to a request. If this is cancelled, nobody wants the reply any more."""
        ...

    def follow(self, tell: TellChange) -> None:
        """Call `tell` for each change from now on."""
        ...

    async def close(self) -> None: ...
