"""What a run has spent: counted as answers come, priced when asked.

Lambda says in each answer what it bills for (`X-Amz-Log-Type: Tail`, the REPORT line): the milliseconds, initialisation
included, and the memory. Failed invocations are billed and report that too. An invocation that was never answered, or that
was left running, is counted with the time that passed here.
"""

from __future__ import annotations

import re
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping

from gg.cost.prices import FREE_DISK_MB, Prices, prices
from gg.light.named import NamedTuple

_BILLED = re.compile(rb"Billed Duration: (\d{1,9}) ms\tMemory Size: (\d{1,9}) MB")
_MOST_MS = 910_000  # a function's longest, and how long it may take to start
_MOST_MB = 10_240
_TAIL = 1024  # characters of base64 from the end: the REPORT line comes last


class Billed(NamedTuple):
    """What Lambda bills one invocation for."""

    milliseconds: int
    memory_mb: int


def billed(log: str) -> Billed | None:
    """What Lambda bills for an invocation, by the end of its log in base64. None if there is no report in it.

    What looks like a report before Lambda's own was written by the function.
    """
    end = log[-_TAIL:]
    try:
        found = _BILLED.findall(b64decode(end[len(end) % 4 :]))
    except ValueError:
        return None
    return Billed(min(int(found[-1][0]), _MOST_MS), min(int(found[-1][1]), _MOST_MB)) if found else None


class BilledUsage(NamedTuple):
    """Sums. `mb_ms`: memory in MB times billed milliseconds; `disk_mb_ms`: the same for /tmp above the free size. `unheard`:
    invocations whose time was taken here. `put`, `get`: S3 requests as they are priced. `out`: bytes from AWS to here.
    """

    invocations: int = 0
    milliseconds: int = 0
    mb_ms: int = 0
    disk_mb_ms: int = 0
    unheard: int = 0
    put: int = 0
    get: int = 0
    out: int = 0

    def plus(self, other: BilledUsage) -> BilledUsage:
        return BilledUsage(*map(sum, zip(self, other, strict=True)))


class Cost(NamedTuple):
    """Dollars."""

    lambda_time: float = 0.0
    lambda_requests: float = 0.0
    s3_requests: float = 0.0
    bytes_out: float = 0.0
    machines: float = 0.0

    @property
    def total(self) -> float:
        return sum(self)

    def plus(self, other: Cost) -> Cost:
        return Cost(*map(sum, zip(self, other, strict=True)))


def cost(usage: BilledUsage, prices: Prices, architecture: str) -> Cost:
    gb_second = prices.second(architecture, 1024)
    return Cost(
        lambda_time=(usage.mb_ms * gb_second + usage.disk_mb_ms * prices.disk) / 1024 / 1000,
        lambda_requests=usage.invocations * prices.invocation,
        s3_requests=usage.put * prices.put + usage.get * prices.get,
        bytes_out=usage.out / (1 << 30) * prices.out,
    )


class Meter:
    """Counts for one region and architecture. Thread-safe."""

    def __init__(self, prices: Prices, architecture: str = "x86_64") -> None:
        self.prices = prices
        self.architecture = architecture
        self._lock = threading.Lock()
        self._sums = [0] * len(BilledUsage._fields)

    def invoked(self, memory_mb: int, disk_mb: int, seconds: float, report: Billed | None, size: int = 0) -> None:
        """One invocation: Lambda's `report`, or else how many `seconds` passed here; `size`: bytes of the answer."""
        took, memory = report or (int(seconds * 1000) + 1, memory_mb)
        disk = max(0, disk_mb - FREE_DISK_MB) * took
        with self._lock:  # singly, since this runs once for each attempt
            sums = self._sums
            sums[0] += 1
            sums[1] += took
            sums[2] += memory * took
            sums[3] += disk
            sums[4] += report is None
            sums[7] += size

    def stored(self, *, put: int = 0, get: int = 0, out: int = 0) -> None:
        """Count requests to S3, made by a worker or from here."""
        with self._lock:
            self._sums = list(BilledUsage(*self._sums).plus(BilledUsage(put=put, get=get, out=out)))

    @property
    def usage(self) -> BilledUsage:
        with self._lock:
            return BilledUsage(*self._sums)

    @property
    def cost(self) -> Cost:
        return cost(self.usage, self.prices, self.architecture)


class Tariff(NamedTuple):
    """What an engine's attempts cost: dollars for one, and for its seconds by memory class in bytes, smallest first."""

    attempt: float
    seconds: tuple[tuple[int, float], ...]

    def price(self, memory: int, seconds: float) -> float:
        fit = next((dollars for size, dollars in self.seconds if size >= memory), self.seconds[-1][1])
        return self.attempt + fit * seconds


Traffic = Callable[[], tuple[Mapping[str, int], int]]
"""A function: the requests to S3 by kind, so far, and the bytes that they have brought here."""


class Bill:
    """All meters of a run, and the stores that it uses from here. `tariffs`: of engines that cost money, by name."""

    def __init__(self) -> None:
        self._meters: dict[tuple[str, str, str], Meter] = {}
        self._stores: list[tuple[Callable[[], str], Traffic]] = []
        self.tariffs: dict[str, Tariff] = {}

    def meter(self, prices: Prices, architecture: str = "x86_64", engine: str = "") -> Meter:
        """The meter of this engine in this place, the same one each time."""
        return self._meters.setdefault((prices.region, architecture, engine), Meter(prices, architecture))

    def by_engine(self) -> dict[str, float]:
        """What each engine has spent, in dollars."""
        return {name: meter.cost.total for (_, _, name), meter in self._meters.items() if name}

    def follow(self, region: Callable[[], str], traffic: Traffic) -> None:
        """Count the requests that a store gets from here. `region` is called when there is something to price."""
        self._stores.append((region, traffic))

    @property
    def usage(self) -> BilledUsage:
        total = BilledUsage()
        for usage, _, _ in self._parts():
            total = total.plus(usage)
        return total

    @property
    def cost(self) -> Cost:
        total = Cost()
        for usage, paid, architecture in self._parts():
            total = total.plus(cost(usage, paid, architecture))
        return total

    def _parts(self) -> Iterator[tuple[BilledUsage, Prices, str]]:
        for meter in self._meters.values():
            yield meter.usage, meter.prices, meter.architecture
        for region, traffic in self._stores:
            calls, size = traffic()
            if calls:
                put = sum(calls.get(kind, 0) for kind in ("PUT", "POST", "LIST"))
                free = calls.get("DELETE", 0)
                yield BilledUsage(put=put, get=sum(calls.values()) - put - free, out=size), prices(region()), "x86_64"
