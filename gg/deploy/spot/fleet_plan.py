"""The plan of spot workers: names and places, which are all known beforehand, machines, and what these may cost. Pure.

Sizes and limits as AWS documents them: an instance type's name says its processors (docs.aws.amazon.com/ec2/latest/instancetypes);
a fleet takes at most 300 launch specifications (docs.aws.amazon.com/AWSEC2/latest/UserGuide/fleet-quotas.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from gg.deploy.wanted import Wanted
from gg.errors import UsageError

DEFAULT_NAME = "gg-spot"
PRICE, MINUTES, IDLE_S = 0.05, 240, 600
"""of a launch, if the user says nothing: dollars an hour that a processor may cost, and when machines end."""
MOST_SPECIFICATIONS = 300
_SIZES = {"medium": 1, "large": 2, "xlarge": 4}  # Nx large is N times xlarge
_FAMILIES = {
    "x86_64": ("c7a", "c7i", "c6a", "c6i", "m7a", "m7i", "m6a", "m6i"),
    "arm64": ("c8g", "c7g", "c6g", "m8g", "m7g", "m6g"),
}
_DEFAULT_SIZES = ("2xlarge", "4xlarge", "8xlarge")
_TYPE = re.compile(r"[a-z][a-z0-9-]*\.(?:(?P<times>[1-9]\d?)?(?P<size>xlarge)|(?P<small>medium|large))")
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{0,31}")


class FleetPlan(NamedTuple):
    """The plan for one region. `common`: the parts that a deployment of functions has too, the store's bucket among them."""

    common: Wanted

    @property
    def name(self) -> str:
        return self.common.name

    @property
    def queue(self) -> str:
        return f"{self.name}-jobs"

    @property
    def queue_arn(self) -> str:
        account = self.common.account
        return f"arn:{account.partition}:sqs:{self.common.region}:{account.number}:{self.queue}"

    @property
    def role_name(self) -> str:
        """The name of the role and of the instance profile: one a region, since the role names the region's queue."""
        return f"{self.name}-{self.common.region}"

    @property
    def template(self) -> str:
        return f"{self.name}-{self.common.architecture}"

    @property
    def parcels(self) -> str:
        """The prefix, in the bucket, of the parcels that machines install."""
        return f"{self.common.prefix}/worker/"


class Launch(NamedTuple):
    """What to start. `cpus`: processors in all. `price`: the most that a processor may cost an hour, in dollars. A machine ends
    after `minutes` in any case, and earlier after `idle` seconds without work.
    """

    cpus: int
    types: tuple[str, ...]
    price: float
    minutes: int
    idle: int

    @property
    def most(self) -> float:
        """The most that the launch can cost, in dollars."""
        return self.cpus * self.price * self.minutes / 60


def within(budget: float, launch: Launch) -> Launch:
    """The launch, ending so early that it costs at most `budget` dollars. UsageError if that is under ten minutes."""
    minutes = int(60 * budget / (launch.cpus * launch.price))
    if minutes < min(10, launch.minutes):
        raise UsageError(
            f"${budget:g} pay {launch.cpus} processors at ${launch.price:g} an hour for {minutes} minutes",
            hint="fewer --cpus, a lower --price, or a larger --budget",
        )
    return launch._replace(minutes=min(launch.minutes, minutes))


def cpus_of(kind: str) -> int:
    """How many processors a machine of this type has. UsageError if the name does not tell."""
    found = _TYPE.fullmatch(kind)
    if found is None:
        raise UsageError(f"{kind!r} is no instance type that gg starts", hint="such as c7a.4xlarge or m6i.xlarge")
    return int(found["times"] or 1) * _SIZES[found["size"] or found["small"]]


def default_types(architecture: str) -> tuple[str, ...]:
    """Many types: the more types a request allows, the cheaper and the less often interrupted its machines are."""
    return tuple(f"{family}.{size}" for family in _FAMILIES[architecture] for size in _DEFAULT_SIZES)


def checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for workers", hint="letters, digits and hyphens, at most 32")
    return name


def specifications(types: Iterable[str], subnets: Iterable[str]) -> list[dict[str, object]]:
    """Each type in each zone, weighted by its processors; at most as many as a fleet takes."""
    zones = list(subnets)
    each = [{"InstanceType": kind, "WeightedCapacity": float(cpus_of(kind))} for kind in types]
    return [{**one, "SubnetId": zone} for one in each for zone in zones][:MOST_SPECIFICATIONS]
