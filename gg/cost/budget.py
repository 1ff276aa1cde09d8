"""A limit on what a run may spend: an attempt does not start if it would probably go beyond the limit.

Running attempts count with their expected price, so that a thousand attempts do not start on the last cent. At the limit,
running attempts may end: Lambda bills them whether or not anybody listens, and their results are worth having.
"""

from __future__ import annotations

from gg.core.thunk import Work
from gg.cost.meter import Bill
from gg.cost.models import SLOWNESS
from gg.schedule.policy import expected_seconds


class Budget:
    """A budget of `limit` dollars for what comes on `bill`. For one thread."""

    def __init__(self, limit: float, bill: Bill) -> None:
        self.limit = limit
        self._bill = bill
        self._under_way: dict[int, float] = {}
        self._expected = 0.0

    def begin(self, attempt: int, engine: str, work: Work, seconds: float | None, memory: int) -> bool:
        """Whether this attempt may start. If so, it is counted until it ends. `seconds`: how long the thunk took before."""
        tariff = self._bill.tariffs.get(engine)
        if tariff is None:
            return True
        price = tariff.price(memory, expected_seconds(work, seconds) * SLOWNESS)
        if self._bill.cost.total + self._expected + price > self.limit:
            return False
        self._under_way[attempt] = price
        self._expected += price
        return True

    def end(self, attempt: int) -> None:
        """Stop counting an attempt: it has been answered, and is on the bill."""
        self._expected -= self._under_way.pop(attempt, 0.0)
