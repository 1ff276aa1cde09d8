"""How requests get to workers and replies come back: what differs between engines whose attempts run elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gg.cost.meter import Meter
from gg.engines.awslambda.deployed_functions import DeployedFunction
from gg.engines.awslambda.parts import Part
from gg.engines.engine import Failure
from gg.schedule.events import EngineCaps
from gg.wire.reply import Reply
from gg.wire.request import Limits


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

    async def ask(
        self,
        function: DeployedFunction,
        request: bytes,
        parts: Sequence[Part],
        patience: float,
        sent: Callable[[], None],
    ) -> Reply | Failure:
        """The reply to a request, which holds these parts; `sent` is called when it is on its way. When it is cancelled nobody
        wants the reply any more. `patience`: seconds after which no reply will come.
        """
        ...

    def follow(self, tell: Callable[[int | None, EngineCaps | None], None]) -> None:
        """From now on `tell` of changes: of how many attempts it takes at once (None: it is gone), and of capabilities."""
        ...

    async def close(self) -> None: ...
