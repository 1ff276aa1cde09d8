"""The plan of a deployment: names, sizes and places, all known beforehand, and what it costs. Pure.

Names follow a rule, `NAME-ARCH-MEMORY`, so that a checkout that knows only the account finds the functions.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gg.cost.prices import HOME, prices
from gg.deploy.runtimes import Runtime
from gg.errors import UsageError

DEFAULT_NAME = "gg-worker"
# Memory sizes: one vCPU comes with 1,769 MB (docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html); 3,008 MB is the
# most that a new account is given; the last one has six vCPUs and must be asked for.
DEFAULT_MEMORY = (1769, 3008)
HANDLER = "gg.worker.handler.handler"
EXPIRE_DAYS = 30  # as the store's URI has it when it says nothing
TIMEOUT_S, DISK_MB, LOG_DAYS = 900, 2048, 14
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{0,39}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

_LOG_GB = 0.50  # dollars, us-east-1, aws.amazon.com/cloudwatch/pricing


class Account(NamedTuple):
    """An account, and the partition of AWS that its ARNs are in."""

    number: str
    partition: str = "aws"


class Wanted(NamedTuple):
    """All that one region is to have. `role` is the ARN of one that exists, or empty: then one is made.

    `prefix` is without slashes at its ends. `own_bucket`: gg makes the bucket and owns its settings. `owner`: of a
    bucket that belongs to another account.
    """

    account: Account
    region: str
    bucket: str
    prefix: str
    architecture: str
    runtime: Runtime
    memory: tuple[int, ...] = DEFAULT_MEMORY
    name: str = DEFAULT_NAME
    role: str = ""
    expire_days: int = EXPIRE_DAYS
    disk_mb: int = DISK_MB
    timeout_s: int = TIMEOUT_S
    log_days: int = LOG_DAYS
    owner: str = ""

    @property
    def bucket_owner(self) -> str:
        """The account that the bucket must belong to."""
        return self.owner or self.account.number

    def function(self, memory: int) -> str:
        return function_name(self.name, self.architecture, memory)

    @property
    def functions(self) -> tuple[str, ...]:
        return tuple(self.function(memory) for memory in self.memory)

    @property
    def role_name(self) -> str:
        """The name of the role that gg makes: one a region, since the role names the region's log groups."""
        return f"{self.name}-{self.region}"

    @property
    def role_arn(self) -> str:
        return self.role or f"arn:{self.account.partition}:iam::{self.account.number}:role/{self.role_name}"

    @property
    def layer(self) -> str:
        """The name of the layer that holds toolchains, if there is one."""
        return f"{self.name}-{self.architecture}-toolchain"

    @property
    def layer_arn(self) -> str:
        """The layer's ARN, without a version."""
        return f"arn:{self.account.partition}:lambda:{self.region}:{self.account.number}:layer:{self.layer}"

    @property
    def uri(self) -> str:
        expiry = "" if self.expire_days == EXPIRE_DAYS else f"&expire={self.expire_days}"
        owner = f"&owner={self.owner}" if self.owner else ""
        return f"s3://{self.bucket}/{self.prefix}?region={self.region}{expiry}{owner}"


def function_name(name: str, architecture: str, memory: int) -> str:
    return f"{name}-{architecture}-{memory}"


def log_group(function: str) -> str:
    return f"/aws/lambda/{function}"


def checked(wanted: Wanted) -> Wanted:
    """The same plan. UsageError if AWS would refuse a part of it later."""
    if not _NAME.fullmatch(wanted.name):
        raise UsageError(f"{wanted.name!r} is no name for functions", hint="letters, digits and hyphens, at most 40")
    if not _BUCKET.fullmatch(wanted.bucket):
        raise UsageError(
            f"{wanted.bucket!r} is no name for a bucket", hint="lower-case letters, digits, hyphens and dots"
        )
    if not wanted.prefix:
        raise UsageError(
            "the store has no prefix", hint="write s3://BUCKET/PREFIX: rights and expiry are limited to it"
        )
    for memory in wanted.memory:
        if not 128 <= memory <= 10240:
            raise UsageError(f"Lambda has no function with {memory} MB", hint="from 128 to 10240")
    if not wanted.memory or len(set(wanted.memory)) != len(wanted.memory):
        raise UsageError("each memory size is given once", hint="--memory 1769,3008")
    if wanted.role and not re.fullmatch(r"arn:[a-z-]+:iam::\d{12}:role/.+", wanted.role):
        raise UsageError(f"{wanted.role!r} is no role", hint="an ARN such as arn:aws:iam::123456789012:role/NAME")
    return wanted._replace(memory=tuple(sorted(wanted.memory)))


def costs(wanted: Wanted) -> list[str]:
    """What the deployment will cost, a line each."""
    paid, arch, disk = prices(wanted.region), wanted.architecture, wanted.disk_mb
    hours = ", ".join(
        f"{1000 * 3600 * paid.second(arch, memory, disk):.2f} for 1,000 x {memory} MB" for memory in wanted.memory
    )
    others = f", except {', '.join(paid.assumed)}: of {HOME}" if paid.assumed else ""
    return [
        "nothing while nothing runs, but for what is stored",
        f"an hour of running: ${hours}; a million calls: ${1e6 * paid.invocation:.2f}",
        f"a GB stored for a month: ${paid.stored} (expires after {wanted.expire_days} days); a GB of logs: ${_LOG_GB:.2f}",
        f"(published prices of {paid.region}, {paid.dated}{others})",
    ]
