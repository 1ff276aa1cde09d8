"""`gg deploy`: put workers into an AWS account, or say what that would do."""

from __future__ import annotations

import json
import os
import platform
import sys
from functools import cache
from typing import TYPE_CHECKING

import click

from gg.workspace import homes
from gg.workspace import settings as config
from gg.workspace.workspace import Workspace

if TYPE_CHECKING:
    from gg.aws.setup import AwsSession
    from gg.deploy.layers import Choice
    from gg.deploy.package import Package
    from gg.deploy.wanted import Wanted

_DAY_S = 86400


@click.command("gg deploy", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("engine", type=click.Choice(["lambda", "spot"]))
@click.option("--dry-run", "-n", is_flag=True, help="Only say what would be made and changed, with the policies.")
@click.option("--region", metavar="R[,R...]", help="Where the functions are; the bucket is in the first one.")
@click.option(
    "--bucket",
    "store",
    default="",
    metavar="BUCKET[/PREFIX]",
    help="The store, or its URI; made if it is not there. Default: GG_STORAGE_URI, or gg-ACCOUNT-REGION/gg.",
)
@click.option(
    "--memory", default="1769,3008", show_default=True, metavar="MB[,MB...]", help="A function for each size."
)
@click.option("--role", metavar="ARN", default="", help="Use this role; make none.")
@click.option("--runtime", default="", help="Lambda's Python; that of this Python if Lambda has it.")
@click.option("--arch", default="", help="This machine's: its compilers run there.")
@click.option("--name", default="", help="What the names of what is made begin with. Default: gg-worker, gg-spot.")
@click.option(
    "--expire",
    "expire_days",
    type=click.IntRange(1, 3650),
    metavar="DAYS",
    help="When the bucket drops what was stored. Default: what the store's URI says, or 30.",
)
@click.option(
    "--layer",
    metavar="TOOL[,TOOL...]",
    help="Compilers, by name or path, that functions have from the start: gcc,g++. none: no layer. Default: as it is.",
)
@click.option("--debug", is_flag=True, hidden=True)
def command(
    engine: str, dry_run: bool, region: str | None, store: str, memory: str, role: str, runtime: str, arch: str,
    name: str, expire_days: int | None, layer: str | None, debug: bool,
) -> int:  # fmt: skip
    """Make the bucket, the role, and the functions that gg-force --engine lambda needs, or what spot workers need. It can be
    repeated.
    """
    if engine == "spot":
        from gg.cli.deploying import only_for_lambda
        from gg.cli.spot_plan import deploy_spot

        only_for_lambda("memory", "role", "runtime", "layer")
        return deploy_spot(store, region, name or "gg-spot", arch, expire_days, dry_run=dry_run)
    return _deploy_lambda(dry_run, region, store, memory, role, runtime, arch, name or "gg-worker", expire_days, layer)


def _deploy_lambda(
    dry_run: bool, region: str | None, store: str, memory: str, role: str, runtime: str, arch: str,
    name: str, expire_days: int | None, layer: str | None,
) -> int:  # fmt: skip
    from gg.aws.failures import need_extra
    from gg.aws.setup import AwsSession
    from gg.cli.deploying import LEGEND, say, store_place
    from gg.deploy import apply, package
    from gg.deploy.runtimes import choose, choose_architecture
    from gg.deploy.wanted import Wanted, checked, costs

    need_extra("gg deploy")
    role = role or config.lambda_role()
    architecture, chosen = choose_architecture(arch, platform.machine()), choose(runtime, sys.version_info[:2])
    place = store_place(store)
    regions = (region or place.region or AwsSession().region()).split(",")
    first = AwsSession(regions[0])
    whose = apply.account(first)
    base = checked(
        Wanted(
            whose, regions[0], place.bucket or f"gg-{whose.number}-{regions[0]}", place.prefix or "gg", architecture, chosen,
            sizes(memory), name, role, expire_days or max(1, int(place.expire_s // _DAY_S)),
            owner=place.owner,
        )
    )  # fmt: skip
    made = package.build(chosen, architecture, os.path.join(homes.cache_home(), "wheels"))
    choice = _choice(layer, made, regions)
    size = f"zip of {len(made.data) / 1e6:.1f} MB"
    click.echo(f"account {whose.number}, store {base.uri}, {size}" + ", DRY RUN" * dry_run)
    for each in regions:
        wanted, session = base._replace(region=each), AwsSession(each) if each != regions[0] else first
        click.echo(f"{each}  ({LEGEND})")
        say(apply.deploy(session, wanted, made, dry=dry_run, with_bucket=each == regions[0], layer=choice))
        if dry_run and not role:
            _show_policies(wanted)
    click.echo("\n".join(["What it costs:", *(f"  {line}" for line in costs(base))]))
    if not dry_run:
        _remember([base._replace(region=each) for each in regions])
        _ready(base, first)
    return 0


def _choice(text: str | None, package: Package, regions: list[str]) -> Choice:
    """The layer that --layer asks for. UsageError if Lambda would not take it."""
    from gg.deploy.layers import STAYS, Choice

    if text is None:
        return STAYS
    if text == "none":
        return Choice()
    from gg.deploy.layer import MOST_DIRECT, check_way, plan
    from gg.deploy.toolchain import tools

    planned = plan(tools(text), package.unzipped)
    zipped = cache(planned.zip)
    if planned.size > MOST_DIRECT:
        for each in regions[1:]:
            check_way(len(zipped()), each, regions[0])
    return Choice(planned, zipped)


def sizes(text: str) -> tuple[int, ...]:
    """Parse the memory sizes in an option's value."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no list of megabytes", param_hint="--memory") from None


def _show_policies(wanted: Wanted) -> None:
    from gg.deploy import permissions as policy

    click.echo(f"Who may take the role {wanted.role_name}:")
    click.echo(json.dumps(policy.trust(wanted), indent=2))
    click.echo("What the functions may do:")
    click.echo(json.dumps(policy.worker(wanted), indent=2))


def _remember(regions: list[Wanted]) -> None:
    """Note the deployments in the workspace, if there is one; elsewhere the functions are found by their names."""
    from gg.deploy.apply import made
    from gg.deploy.found import remember

    workspace = Workspace.find()
    if workspace is not None:
        remember(workspace.dot, tuple(made(wanted) for wanted in regions))


def _ready(wanted: Wanted, session: AwsSession) -> None:
    from gg.deploy.apply import concurrency

    width = concurrency(session)
    click.echo(f"Ready; this account runs at most {width} functions at once in {wanted.region}. Use it:")
    click.echo(f"  export GG_STORAGE_URI='{wanted.uri}'")
    click.echo(f"  gg-force --engine lambda --jobs {min(width, 1000)}")
