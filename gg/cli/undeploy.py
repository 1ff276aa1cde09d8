"""`gg undeploy`: remove from an AWS account what `gg deploy` has put there."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import click

from gg.workspace import settings as config
from gg.workspace.workspace import Workspace

if TYPE_CHECKING:
    from gg.deploy.wanted import Wanted
    from gg.share.s3.uri import StoreUri


@click.command("gg undeploy", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("engine", type=click.Choice(["lambda", "spot"]), default="lambda")
@click.option("--dry-run", "-n", is_flag=True, help="Only say what would go.")
@click.option("--region", metavar="R[,R...]", help="The regions that were deployed to.")
@click.option(
    "--bucket",
    "store",
    default="",
    metavar="BUCKET[/PREFIX]",
    help="The store, or its URI. Default: GG_STORAGE_URI, or gg-ACCOUNT-REGION/gg.",
)
@click.option("--with-bucket", is_flag=True, help="Remove the store's objects too, and the bucket if gg made it.")
@click.option("--role", metavar="ARN", default="", help="The role that was given; it is left.")
@click.option("--arch", default="", help="This machine's.")
@click.option("--name", default="", help="What the names begin with. Default: gg-worker, gg-spot.")
@click.option("--debug", is_flag=True, hidden=True)
def command(
    engine: str,
    dry_run: bool,
    region: str | None,
    store: str,
    with_bucket: bool,
    role: str,
    arch: str,
    name: str,
    debug: bool,
) -> int:
    """Remove the functions, their layer and logs, and the role, or the spot workers and what they need; the bucket, which holds
    results, only if told so.
    """
    if engine == "spot":
        from gg.cli.deploying import only_for_lambda
        from gg.cli.spot_plan import undeploy_spot

        only_for_lambda("role")
        return undeploy_spot(store, region, name or "gg-spot", arch, with_bucket=with_bucket, dry_run=dry_run)
    return _undeploy_lambda(region, store, role, arch, name or "gg-worker", with_bucket=with_bucket, dry_run=dry_run)


def _undeploy_lambda(
    region: str | None, store: str, role: str, arch: str, name: str, *, with_bucket: bool, dry_run: bool
) -> int:
    from gg.aws.failures import need_extra
    from gg.aws.setup import AwsSession
    from gg.cli.deploying import say, store_place
    from gg.deploy import apply
    from gg.deploy.found import remember

    need_extra("gg undeploy")
    place = store_place(store)
    regions = (region or place.region or AwsSession().region()).split(",")
    base = _deployed(place, regions[0], name, role, arch)
    for number, each in enumerate(regions):
        click.echo(f"{each}" + "  (DRY RUN)" * dry_run)
        wanted = base._replace(region=each)
        say(apply.undeploy(AwsSession(each), wanted, dry=dry_run, contents=with_bucket, with_bucket=number == 0))
    found = Workspace.find()
    if found is not None and not dry_run:
        remember(found.dot, ())
    return 0


def _deployed(place: StoreUri, region: str, name: str, role: str, arch: str) -> Wanted:
    """What `gg deploy` made in the first region, with the names that are needed to remove it."""
    from gg.aws.setup import AwsSession
    from gg.deploy import apply
    from gg.deploy.runtimes import OFFERED, choose_architecture
    from gg.deploy.wanted import Wanted, checked

    whose = apply.account(AwsSession(region))
    return checked(
        Wanted(
            whose,
            region,
            place.bucket or f"gg-{whose.number}-{region}",
            place.prefix or "gg",
            choose_architecture(arch, platform.machine()),
            OFFERED[0],
            name=name,
            role=role or config.lambda_role(),
            owner=place.owner,
        )
    )
