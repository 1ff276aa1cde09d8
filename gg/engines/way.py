"""How requests get to workers and replies come back: what differs between engines whose attempts run elsewhere."""

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
"""Told how many attempts are taken at once from now on (None: what is there is gone), and of capabilities if they are others."""


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
    """For one event loop. `functions`: where a request may go, one a memory size. `meter`: what it costs is counted there."""

    @property
    def name(self) -> str: ...

    @property
    def functions(self) -> tuple[DeployedFunction, ...]: ...

    @property
    def meter(self) -> Meter: ...

    @property
    def carries(self) -> int:
        """How many bytes of a thunk's own files go along with its request; what is beyond goes by the store between."""
        ...

    def limits(self, memory: int) -> Limits:
        """What a request says of its reply. `memory`: bytes that its command is expected to need."""
        ...

    async def warm(self) -> None:
        """Have what is needed to ask, if it is sure to be asked."""
        ...

    async def ask(self, question: Question) -> Reply | Failure:
        """The reply. When this is cancelled nobody wants the reply any more."""
        ...

    def follow(self, tell: TellChange) -> None:
        """From now on `tell` of changes."""
        ...

    async def close(self) -> None: ...
