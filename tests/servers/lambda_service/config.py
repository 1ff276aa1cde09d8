"""What a service is started with, and what may be changed while it runs: plain values, as JSON on a command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tests.servers.lambda_service.auth import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Lambda's own defaults. `ramp` is new environments a function for each `ramp_s`; `rate` is calls a second a function
    for each environment of the account's concurrency, which Lambda sets to ten."""

    concurrency: int = 1000
    ramp: int = 1000
    ramp_s: float = 10.0
    rate: float = 10.0
    idle_s: float = 600.0


SPANS = ("storm", "expired", "skewed", "silent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Which share of the invocations meets which trouble; at most one each, drawn from `seed`.

    crash       the runtime is killed in the middle
    hang        the function never answers: it times out
    lost        the function runs; the connection is closed without an answer
    cut         half an answer, then the connection is closed
    twice       the function runs twice for one request
    stray       the answer is sent twice on the connection
    late        the answer comes `late_s` after it was ready
    slow        the function starts `slow_s` late
    corrupt     some bytes of the answer are others
    memory      the function is out of memory
    server      500, 502 or 503
    throttle    429, either kind
    storm       seconds (from, to) since the faults were set in which every call is a 429
    expired     the same, of calls that are told that their token has expired
    skewed      the same, of calls that are told that their clock is wrong
    silent      the same, in which no answer is sent: those that are ready then are sent at the end
    """

    crash: float = 0
    hang: float = 0
    lost: float = 0
    cut: float = 0
    twice: float = 0
    stray: float = 0
    late: float = 0
    slow: float = 0
    corrupt: float = 0
    memory: float = 0
    server: float = 0
    throttle: float = 0
    storm: tuple[tuple[float, float], ...] = ()
    expired: tuple[tuple[float, float], ...] = ()
    skewed: tuple[tuple[float, float], ...] = ()
    silent: tuple[tuple[float, float], ...] = ()
    late_s: float = 2.0
    slow_s: float = 1.0
    crash_after_s: float = 0.02
    seed: int = 1

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> Faults:
        spans = {name: tuple((a, b) for a, b in values.get(name, ())) for name in SPANS}
        return cls(**{**values, **spans})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One service. `fast` names a worker, `module:function`, that replaces the sandbox. `keeps_answered`: it can tell which calls
    were answered.
    """

    port: int = 0
    region: str = "us-east-1"
    account: str = "123456789012"
    identities: tuple[Identity, ...] = ()
    worker_environment: tuple[tuple[str, str], ...] = ()
    s3_endpoint: str = ""
    limits: Limits = field(default_factory=Limits)
    faults: Faults = field(default_factory=Faults)
    cold_start_s: float = 0.0
    activation_s: float = 0.2
    role_refusals: int = 0
    share_cpu: bool = False
    fast: str = ""
    keeps_answered: bool = False

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Config:
        values = json.loads(text)
        return replace(
            cls(),
            **{
                **values,
                "identities": tuple(
                    Identity(**{**each, "allow": tuple(each["allow"])}) for each in values["identities"]
                ),
                "worker_environment": tuple((name, value) for name, value in values["worker_environment"]),
                "limits": Limits(**values["limits"]),
                "faults": Faults.load(values["faults"]),
            },
        )
