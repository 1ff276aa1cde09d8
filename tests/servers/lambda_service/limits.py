"""How many invocations may run: the account's concurrency, a function's reserved share, and the ramp. Pure: time is given.

A function gets new environments from a bucket that holds 1,000 and is filled with 1,000 each ten seconds; environments that are
idle are used first and cost nothing. What is refused names its reason as Lambda does.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tests.servers.lambda_service.config import Limits

ACCOUNT = "ConcurrentInvocationLimitExceeded"
RESERVED = "ReservedFunctionConcurrentInvocationLimitExceeded"
RATE = "FunctionInvocationRateLimitExceeded"


@dataclass(slots=True)
class _Function:
    tokens: float
    filled: float
    running: int = 0
    reserved: int | None = None
    calls: deque[float] = field(default_factory=deque)


class Admission:
    """Counts what runs; `enter` says why not, or nothing, and each entry is ended by one `leave`."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._functions: dict[str, _Function] = {}
        self.running = 0
        self.most = 0

    def reserve(self, name: str, concurrency: int | None, now: float) -> None:
        """A function's own share of the account's concurrency; None for no share of its own."""
        self._of(name, now).reserved = concurrency

    def reserved(self, name: str) -> int | None:
        known = self._functions.get(name)
        return known.reserved if known else None

    def unreserved(self) -> int:
        """What is left to the functions without a share of their own."""
        return self.limits.concurrency - sum(f.reserved or 0 for f in self._functions.values())

    def enter(self, name: str, now: float, *, warm: bool) -> str:
        """Admit a call, `warm` if an idle environment waits for it; the throttle's reason if it is refused."""
        function = self._of(name, now)
        self._fill(function, now)
        reason = self._refusal(function, now, warm)
        if not reason:
            function.running += 1
            function.calls.append(now)
            function.tokens -= 0 if warm else 1
            self.running += 1
            self.most = max(self.most, self.running)
        return reason

    def leave(self, name: str) -> None:
        self._functions[name].running -= 1
        self.running -= 1

    def _of(self, name: str, now: float) -> _Function:
        if name not in self._functions:
            self._functions[name] = _Function(float(self.limits.ramp), now)
        return self._functions[name]

    def _fill(self, function: _Function, now: float) -> None:
        gained = (now - function.filled) * self.limits.ramp / self.limits.ramp_s
        function.tokens = min(float(self.limits.ramp), function.tokens + gained)
        function.filled = now
        while function.calls and function.calls[0] <= now - 1:
            function.calls.popleft()

    def _refusal(self, function: _Function, now: float, warm: bool) -> str:
        if function.reserved is not None:
            if function.running >= function.reserved:
                return RESERVED
        elif self._shared() >= self.unreserved():
            return ACCOUNT
        if not warm and function.tokens < 1:
            return ACCOUNT
        share = self.limits.concurrency if function.reserved is None else function.reserved
        return RATE if len(function.calls) >= share * self.limits.rate else ""

    def _shared(self) -> int:
        """What runs on the account's unreserved concurrency."""
        return sum(f.running for f in self._functions.values() if f.reserved is None)
