"""Which trouble an invocation meets. One generator, so a seed repeats a run's choice for the same order of calls."""

from __future__ import annotations

import random
from collections import Counter
from itertools import accumulate

from tests.servers.lambda_service.config import Faults
from tests.servers.lambda_service.errors import Refused, throttled
from tests.servers.lambda_service.limits import ACCOUNT, RESERVED

KINDS = ("crash", "hang", "lost", "cut", "twice", "stray", "late", "slow", "corrupt", "memory", "server", "throttle")
_SERVER = ((500, "ServiceException"), (502, "EC2ThrottledException"), (503, "ServiceUnavailableException"))


class Trouble:
    """Draws a kind for each call and counts what was drawn."""

    def __init__(self, faults: Faults, now: float) -> None:
        self.faults = faults
        self.counts: Counter[str] = Counter()
        self._random = random.Random(faults.seed)
        self._since = now
        self._steps = list(accumulate(getattr(faults, kind) for kind in KINDS))
        self._any = bool(self._steps[-1] or faults.storm or faults.expired or faults.skewed)

    def draw(self, now: float) -> str:
        """The kind of trouble for one call; nothing for most."""
        if not self._any:
            return ""
        kind = self._kind(now)
        if kind:
            self.counts[kind] += 1
        return kind

    def _kind(self, now: float) -> str:
        for kind in ("storm", "expired", "skewed"):
            if any(start <= now - self._since < end for start, end in getattr(self.faults, kind)):
                return kind
        drawn = self._random.random()
        return next((kind for kind, step in zip(KINDS, self._steps, strict=True) if drawn < step), "")

    def refusal(self, kind: str) -> Refused | None:
        """What the service itself says for this kind, if the function is not reached at all."""
        if kind in ("throttle", "storm"):
            return throttled(self._random.choice((ACCOUNT, RESERVED)))
        if kind == "expired":
            return Refused(403, "ExpiredTokenException", "The security token included in the request is expired")
        if kind == "skewed":
            text = (
                "Signature expired: 20261130T000000Z is now earlier than 20261130T001000Z (20261130T001500Z - 5 min.)"
            )
            return Refused(403, "InvalidSignatureException", text)
        if kind == "server":
            status, name = self._random.choice(_SERVER)
            return Refused(status, name, "The service encountered an internal error.")
        return None

    def silence(self, now: float) -> float:
        """Seconds until answers are sent again."""
        passed = now - self._since
        return max((end - passed for start, end in self.faults.silent if start <= passed < end), default=0.0)

    def corrupted(self, payload: bytes) -> bytes:
        """The payload with a few bytes that are others, of the same length."""
        changed = bytearray(payload)
        for _ in range(min(3, len(changed))):
            at = self._random.randrange(len(changed))
            changed[at] ^= self._random.randrange(1, 255)
        return bytes(changed)
