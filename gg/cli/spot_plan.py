"""The plan of spot workers that options and settings name, and `gg deploy spot`, `gg undeploy spot`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from gg.errors import UsageError
from gg.workspace import homes

if TYPE_CHECKING:
    from gg.aws.setup import AwsSession
    from gg.deploy.spot.fleet_plan import FleetPlan


def plan_of(
    store: str, region: str | None, name: str, arch: str, expire_days: int | None
) -> tuple[AwsSession, FleetPlan]:
    """The plan of the workers by this name in the user's account. UsageError, SetupError if there can be none."""
    from gg.aws.failures import need_extra
    from gg.cli.deploying import store_place
    from gg.deploy.spot.plan_in_account import plan_in_account

    need_extra("spot workers")
    if region and "," in region:
        raise UsageError("spot workers are in one region", hint="deploy to each with a --name of its own")
    place = store_place(store)
    return plan_in_account(
        region or place.region,
        name,
        bucket=place.bucket,
        prefix=place.prefix,
        owner=place.owner,
        architecture=arch,
        expire_days=expire_days or int(place.expire_s // 86400),
    )


def deploy_spot(store: str, region: str | None, name: str, arch: str, expire_days: int | None, *, dry_run: bool) -> int:
    from gg.cli.deploying import LEGEND, say
    from gg.deploy.spot import instance_package, lasting
    from gg.deploy.spot.fleet_plan import DEFAULT_NAME

    session, plan = plan_of(store, region, name, arch, expire_days)
    made = instance_package.build(
        plan.common.runtime, plan.common.architecture, os.path.join(homes.cache_home(), "wheels")
    )
    click.echo(f"account {plan.common.account.number}, store {plan.common.uri}" + ", DRY RUN" * dry_run)
    click.echo(f"{plan.common.region}  ({LEGEND})")
    say(lasting.deploy(lasting.FleetServices(session, plan, dry=dry_run), plan, made))
    if dry_run:
        _show(plan)
        return 0
    other = "" if name == DEFAULT_NAME else f" --name {name}"
    click.echo("Nothing runs yet, and nothing is paid but for what is stored. Use it:")
    click.echo(f"  export GG_STORAGE_URI='{plan.common.uri}' GG_QUEUE={plan.queue}")
    click.echo(f"  gg spot up{other} --cpus 64")
    click.echo("  gg-force --engine spot")
    return 0


def _show(plan: FleetPlan) -> None:
    from gg.deploy.spot import instance_rights
    from gg.deploy.spot.boot_script import user_data

    click.echo(f"Who may take the role {plan.role_name}:")
    click.echo(json.dumps(instance_rights.trust(plan), indent=2))
    click.echo("What workers may do:")
    click.echo(json.dumps(instance_rights.worker(plan), indent=2))
    click.echo("What a machine does when it starts:")
    click.echo(user_data(plan, "DIGEST"))


def undeploy_spot(store: str, region: str | None, name: str, arch: str, *, with_bucket: bool, dry_run: bool) -> int:
    from gg.cli.deploying import say
    from gg.deploy.spot import instances, lasting

    session, plan = plan_of(store, region, name, arch, None)
    services = lasting.FleetServices(session, plan, dry=dry_run)
    click.echo(plan.common.region + "  (DRY RUN)" * dry_run)
    machines = instances.living(services.ec2, plan)
    if machines:
        instances.end(services.ec2, machines)
        click.echo(f"  - {len(machines)} machines")
        if not dry_run:
            instances.wait_for_end(services.ec2, plan)
    say(lasting.remove(services, plan, contents=with_bucket))
    return 0
