"""What spot workers are: names and places, told beforehand; machines, and what they may cost. Pure.

Sizes and limits as AWS documents them: an instance type's name says its processors (docs.aws.amazon.com/ec2/latest/instancetypes);
a fleet takes at most 300 launch specifications (docs.aws.amazon.com/AWSEC2/latest/UserGuide/fleet-quotas.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from gg.deploy.runtimes import Runtime
from gg.deploy.wanted import EXPIRE_DAYS, Account, Wanted
from gg.errors import UsageError

DEFAULT_NAME = "gg-spot"
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
    """All that one region is to have. `prefix` is without slashes at its ends; `owner`: of a bucket that is another account's."""

    account: Account
    region: str
    bucket: str
    prefix: str
    architecture: str
    runtime: Runtime
    name: str = DEFAULT_NAME
    expire_days: int = EXPIRE_DAYS
    owner: str = ""

    @property
    def queue(self) -> str:
        return f"{self.name}-jobs"

    @property
    def queue_arn(self) -> str:
        return f"arn:{self.account.partition}:sqs:{self.region}:{self.account.number}:{self.queue}"

    @property
    def role_name(self) -> str:
        """Of the role and of the instance profile: one a region, since the role names the region's queue."""
        return f"{self.name}-{self.region}"

    @property
    def template(self) -> str:
        return f"{self.name}-{self.architecture}"

    @property
    def parcels(self) -> str:
        """Where in the bucket is what machines install, without the bucket's name."""
        return f"{self.prefix}/worker/"

    @property
    def store(self) -> Wanted:
        """The same, as far as the bucket is concerned."""
        return Wanted(
            self.account, self.region, self.bucket, self.prefix, self.architecture, self.runtime,
            name=self.name, expire_days=self.expire_days, owner=self.owner,
        )  # fmt: skip


class Launch(NamedTuple):
    """What to start. `cpus`: processors in all. `price`: the most that one may cost an hour, in dollars. `minutes`: after which a
    machine ends whatever it does; `idle`: seconds without work after which it ends before.
    """

    cpus: int
    types: tuple[str, ...]
    price: float
    minutes: int
    idle: int

    @property
    def most(self) -> float:
        """The most that it can cost, in dollars."""
        return self.cpus * self.price * self.minutes / 60


def within(budget: float, launch: Launch) -> Launch:
    """The same, ended early enough to cost no more than `budget` dollars. UsageError if that is not even ten minutes."""
    minutes = int(60 * budget / (launch.cpus * launch.price))
    if minutes < min(10, launch.minutes):
        raise UsageError(
            f"${budget:g} pay {launch.cpus} processors at ${launch.price:g} an hour for {minutes} minutes",
            hint="fewer --cpus, a lower --price, or a larger --budget",
        )
    return launch._replace(minutes=min(launch.minutes, minutes))


def cpus_of(kind: str) -> int:
    """How many processors a machine of this type has. UsageError for what is no type with processors in its name."""
    found = _TYPE.fullmatch(kind)
    if found is None:
        raise UsageError(f"{kind!r} is no instance type that gg starts", hint="such as c7a.4xlarge or m6i.xlarge")
    return int(found["times"] or 1) * _SIZES[found["size"] or found["small"]]


def default_types(architecture: str) -> tuple[str, ...]:
    """Many, since who asks for many is given machines that are interrupted less, at lower prices."""
    return tuple(f"{family}.{size}" for family in _FAMILIES[architecture] for size in _DEFAULT_SIZES)


def checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for workers", hint="letters, digits and hyphens, at most 32")
    return name


def specifications(types: Iterable[str], subnets: Iterable[str]) -> list[dict[str, object]]:
    """Each type in each zone, weighted by its processors; no more than a fleet takes."""
    zones = list(subnets)
    each = [{"InstanceType": kind, "WeightedCapacity": float(cpus_of(kind))} for kind in types]
    return [{**one, "SubnetId": zone} for one in each for zone in zones][:MOST_SPECIFICATIONS]
