"""How long attempts take, learnt from those that ended: in proportion to expectation (`Spread`), and beyond their work (`Lag`)."""

from __future__ import annotations

import math


class Spread:
    """How real durations relate to expected ones: the logarithm of their ratio, taken as normal.

    Compile times are skewed to the right, so their logarithm is the better scale; mean and variance are kept as by
    Welford (1962). It starts from a prior of `weight` samples, so that the first few results do not decide alone.
    """

    __slots__ = ("count", "mean", "prior", "square")

    def __init__(self, sigma: float, weight: float = 5.0) -> None:
        self.count = self.prior = weight
        self.mean = 0.0
        self.square = sigma * sigma * weight

    def observe(self, ratio: float) -> None:
        x = math.log(ratio if ratio > 1e-6 else 1e-6)
        self.count += 1.0
        delta = x - self.mean
        self.mean += delta / self.count
        self.square += delta * (x - self.mean)

    @property
    def seen(self) -> bool:
        """Whether it has seen more than a few real durations."""
        return self.count > self.prior + 2.0

    def usual(self) -> float:
        """The ratio that half of the attempts stay below."""
        return math.exp(self.mean)

    def quantile(self, z: float = 1.645) -> float:
        """The ratio that a share of the attempts stays below; `z` in standard deviations, 1.645 for 95 %."""
        return math.exp(self.mean + z * math.sqrt(self.square / self.count))


class Lag:
    """The time between an attempt's sending and its answer that is not work: the network, a cold start, and how far behind a
    busy machine is with reading answers. Mean and mean deviation, as TCP has them for its timeout (Jacobson 1988).
    """

    __slots__ = ("count", "deviation", "mean")

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.deviation = 0.0

    def observe(self, seconds: float) -> None:
        off = seconds - self.mean
        self.count += 1
        self.mean += 0.125 * off
        self.deviation += 0.25 * (abs(off) - self.deviation)

    def bound(self) -> float:
        """A time that few attempts exceed."""
        return self.mean + 4.0 * self.deviation


PRIOR_KNOWN = 0.5
PRIOR_UNKNOWN = 1.0
"""Standard deviations of the logarithm: durations remembered from another run, and mere defaults."""
