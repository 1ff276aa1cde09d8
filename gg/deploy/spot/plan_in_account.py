"""The plan of the spot workers of one name in this user's account, on machines like this one."""

from __future__ import annotations

import platform
import sys

from gg.aws.setup import AwsSession
from gg.deploy import apply
from gg.deploy.runtimes import choose_architecture
from gg.deploy.spot.fleet_plan import FleetPlan, checked_name
from gg.deploy.spot.instance_package import runtime
from gg.deploy.wanted import EXPIRE_DAYS, Wanted, checked


def plan_in_account(
    region: str, name: str, *, bucket: str, prefix: str, owner: str, architecture: str = "", expire_days: int = 0
) -> tuple[AwsSession, FleetPlan]:
    """The plan, and a session in its region. What is empty or 0 is as AWS is configured, or a default. UsageError, SetupError if
    there can be no such plan.
    """
    session = AwsSession(region or AwsSession().region())
    account = apply.account(session)
    common = Wanted(
        account,
        session.region(),
        bucket or f"gg-{account.number}-{session.region()}",
        prefix or "gg",
        choose_architecture(architecture, platform.machine()),
        runtime(sys.version_info[:2]),
        name=checked_name(name),
        expire_days=expire_days or EXPIRE_DAYS,
        owner=owner,
    )
    return session, FleetPlan(checked(common))
