"""Starts, finds and ends machines with spot workers.

Fleets of type `instant` start them: EC2 answers at once what it has started and why not more, and nothing in the account starts a
machine later, when nobody wants it any more. AWS chooses types and zones that are cheap and will last
(price-capacity-optimized). A tag marks machines as gg's. `boot_script` sets them up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gg.deploy.aws_calls import AwsService
from gg.deploy.spot.boot_script import IDLE_TAG, MINUTES_TAG
from gg.deploy.spot.fleet_plan import FleetPlan, Launch, cpus_of, specifications
from gg.deploy.spot.lasting import default_network
from gg.errors import SetupError

FLEET_TAG = "gg:fleet"
_LIVING = ("pending", "running")
_LOOK_S, _END_S = 5.0, 300.0
_ROLE_TRIES, _NEW_ROLE = 4, "Invalid IAM Instance Profile"
_END_AT_ONCE = 200  # instances in one request; EC2 takes 1,000


class Instance(NamedTuple):
    """`age`: seconds since it was started. `state`: as EC2 calls it."""

    id: str
    type: str
    zone: str
    state: str
    age: float

    @property
    def cpus(self) -> int:
        return cpus_of(self.type)


class LaunchAnswer(NamedTuple):
    """The outcome of a launch. `refusals`: the reasons why no more was started, each with how often it was given."""

    machines: int
    cpus: int
    refusals: dict[str, int]


def living(
    ec2: AwsService, plan: FleetPlan, states: Sequence[str] = _LIVING, now: datetime | None = None
) -> list[Instance]:
    """Machines that run or are starting, the oldest first."""
    filters = [
        {"Name": f"tag:{FLEET_TAG}", "Values": [plan.name]},
        {"Name": "instance-state-name", "Values": list(states)},
    ]
    now = now or datetime.now(UTC)
    found = [
        Instance(
            each["InstanceId"],
            each["InstanceType"],
            each.get("Placement", {}).get("AvailabilityZone", ""),
            each["State"]["Name"],
            (now - each["LaunchTime"]).total_seconds(),
        )
        for reservation in ec2.pages("describe_instances", "Reservations", Filters=filters)
        for each in reservation["Instances"]
    ]
    return sorted(found, key=lambda machine: -machine.age)


def launch(
    ec2: AwsService, plan: FleetPlan, wanted: Launch, sleep: Callable[[float], None] = time.sleep
) -> LaunchAnswer:
    """Start machines with `wanted.cpus` more processors. If the role was just made, try again until EC2 knows it."""
    for _ in range(_ROLE_TRIES):
        started = _launch(ec2, plan, wanted)
        if started.machines or not any(_NEW_ROLE in why for why in started.refusals):
            break
        sleep(_LOOK_S)
    return started


def _launch(ec2: AwsService, plan: FleetPlan, wanted: Launch) -> LaunchAnswer:
    tags = {FLEET_TAG: plan.name, "Name": plan.name, MINUTES_TAG: str(wanted.minutes), IDLE_TAG: str(wanted.idle)}
    answer = ec2.change(
        "create_fleet",
        Type="instant",
        LaunchTemplateConfigs=[
            {
                "LaunchTemplateSpecification": {"LaunchTemplateName": plan.template, "Version": "$Latest"},
                "Overrides": _overrides(ec2, wanted),
            }
        ],
        TargetCapacitySpecification={
            "TotalTargetCapacity": wanted.cpus,
            "SpotTargetCapacity": wanted.cpus,
            "OnDemandTargetCapacity": 0,
            "DefaultTargetCapacityType": "spot",
        },
        SpotOptions={"AllocationStrategy": "price-capacity-optimized", "InstanceInterruptionBehavior": "terminate"},
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        ],
    )
    return _started(answer)


def _overrides(ec2: AwsService, wanted: Launch) -> list[dict[str, Any]]:
    """Each type in each zone's default subnet. The price is for one unit, which is a processor."""
    filters = [
        {"Name": "vpc-id", "Values": [default_network(ec2)]},
        {"Name": "default-for-az", "Values": ["true"]},
    ]
    subnets = sorted(each["SubnetId"] for each in ec2.pages("describe_subnets", "Subnets", Filters=filters))
    return [{**each, "MaxPrice": f"{wanted.price:g}"} for each in specifications(wanted.types, subnets)]


def _started(answer: dict[str, Any]) -> LaunchAnswer:
    machines = cpus = 0
    for each in answer.get("Instances") or ():
        machines += len(each["InstanceIds"])
        cpus += len(each["InstanceIds"]) * cpus_of(each["InstanceType"])
    refusals: dict[str, int] = {}
    for error in answer.get("Errors") or ():
        why = f"{error.get('ErrorCode', '?')}: {error.get('ErrorMessage', '')}".strip(": ")
        refusals[why] = refusals.get(why, 0) + 1
    return LaunchAnswer(machines, cpus, refusals)


def end(ec2: AwsService, machines: list[Instance]) -> None:
    """End these machines at once. The queue gives the jobs that they had begun to others."""
    ids = [machine.id for machine in machines]
    for at in range(0, len(ids), _END_AT_ONCE):
        ec2.change("terminate_instances", InstanceIds=ids[at : at + _END_AT_ONCE])


def wait_for_end(ec2: AwsService, plan: FleetPlan, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until no machine is left: only then can one remove what they use. SetupError if that takes too long."""
    for _ in range(int(_END_S / _LOOK_S)):
        left = living(ec2, plan, (*_LIVING, "shutting-down", "stopping"))
        if not left:
            return
        sleep(_LOOK_S)
    raise SetupError(f"{len(left)} machines have not ended in {_END_S:.0f} s", hint="try it again in some minutes")


def asked_prices(ec2: AwsService, types: tuple[str, ...], now: datetime | None = None) -> dict[tuple[str, str], float]:
    """The present price of a machine, in dollars an hour, by type and zone. Leaves out what EC2 does not tell."""
    found = ec2.pages(
        "describe_spot_price_history",
        "SpotPriceHistory",
        InstanceTypes=list(types),
        ProductDescriptions=["Linux/UNIX"],
        StartTime=now or datetime.now(UTC),
    )
    return {(each["InstanceType"], each["AvailabilityZone"]): float(each["SpotPrice"]) for each in found}
