"""What AWS charges, as published: the dated table in `prices.toml`, for one region; of spot machines also as asked now.

Lambda bills an invocation's memory for its milliseconds, initialisation included; each request; and the part of /tmp above
512 MB. S3 bills requests by kind. Transfer to this machine is billed, transfer to AWS is not.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Mapping
from functools import cache
from importlib import resources
from statistics import median
from typing import Any

from gg.light.named import NamedTuple

HOME = "us-east-1"
FREE_DISK_MB = 512
_PARTS = {"lambda": ("x86_64", "arm64", "disk", "requests"), "s3": ("put", "get", "stored")}


class Prices(NamedTuple):
    """Dollars, each for one: a GB-second, a request, a GB-month, a GB. `assumed`: the figures taken from `HOME`'s prices."""

    region: str
    dated: str
    x86_64: float
    arm64: float
    disk: float
    invocation: float
    put: float
    get: float
    stored: float
    out: float
    assumed: tuple[str, ...] = ()

    def second(self, architecture: str, memory_mb: int, disk_mb: int = FREE_DISK_MB) -> float:
        """Dollars for one second of a function of this size."""
        gb = self.arm64 if architecture == "arm64" else self.x86_64
        return (gb * memory_mb + self.disk * max(0, disk_mb - FREE_DISK_MB)) / 1024


def prices(region: str) -> Prices:
    """The prices of a region; those of `HOME` where the table has none."""
    table = _table()
    home, own = table["region"][HOME], table["region"].get(region, {})
    found: dict[str, float] = {}
    assumed: list[str] = []
    for part, names in _PARTS.items():
        for name in names:
            known = own.get(part, {})
            found[name] = float(known.get(name, home[part][name]))
            if name not in known:
                assumed.append(f"{part} {name}")
    if "out" not in own:
        assumed.append("out")
    return Prices(
        region=region,
        dated=table["dated"].isoformat(),
        x86_64=found["x86_64"],
        arm64=found["arm64"],
        disk=found["disk"],
        invocation=found["requests"] / 1e6,
        put=found["put"] / 1000,
        get=found["get"] / 1000,
        stored=found["stored"],
        out=float(own.get("out", home["out"])),
        assumed=tuple(assumed),
    )


def sources() -> dict[str, dict[str, str]]:
    """Where the figures are published, and where and when they were seen."""
    found: dict[str, dict[str, str]] = _table()["source"]
    return found


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(resources.files("gg.cost").joinpath("prices.toml").read_text("utf-8"))


class ProcessorHour(NamedTuple):
    """What an hour of one processor of spot machines costs, in dollars. `source`: where that is from."""

    dollars: float
    source: str


def spot_hour(region: str, families: Collection[str]) -> ProcessorHour:
    """By the table: the median of these families of machines, and the share of it that spot machines are asked."""
    table = _table()
    own = table["region"].get(region, {}).get("ec2")
    known = own or table["region"][HOME]["ec2"]
    share = float(table["spot"]["share"])
    where = region if own else f"{HOME}, for {region} is not in it,"
    dollars = median([float(known[family]) for family in families if family in known])
    return ProcessorHour(
        share * dollars, f"{share:.0%} of the price on demand in {where} of {table['dated'].isoformat()}"
    )


def asked_hour(asked: Mapping[str, float], processors: Callable[[str], int]) -> ProcessorHour | None:
    """By what AWS asks now for machines of some types, in dollars an hour; `processors`: how many a type has."""
    each = [price / processors(kind) for kind, price in asked.items()]
    return (
        ProcessorHour(median(each), f"median of what AWS asks now for {len(each)} types of machines") if each else None
    )
