"""`gg spot`: machines with spot workers, started, listed and ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from gg.cli.spot_plan import plan_of
from gg.deploy.spot.fleet_plan import IDLE_S, MINUTES, PRICE
from gg.errors import SetupError

if TYPE_CHECKING:
    from gg.deploy.aws_calls import AwsService
    from gg.deploy.spot.fleet_plan import FleetPlan, Launch
    from gg.deploy.spot.instances import Instance


def _where(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which workers are meant."""
    for option in (
        click.option("--debug", is_flag=True, hidden=True),
        click.option("--arch", default="", help="This machine's: its compilers run there."),
        click.option("--name", default="gg-spot", show_default=True, help="Which workers, as gg deploy spot was told."),
        click.option("--region", metavar="R", help="Where they are."),
    ):
        command = option(command)
    return command


@click.group("gg spot", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Start, list and end machines with spot workers. What they need is made by gg deploy spot.

    \b
    gg spot up --cpus 64
    gg-force --engine spot
    gg spot down
    """


@command.command("up")
@click.option("--cpus", type=click.IntRange(1, 10000), default=64, show_default=True, help="Processors in all.")
@click.option("--types", metavar="T[,T...]", help="Instance types to choose from (default: many).")
@click.option(
    "--price",
    type=click.FloatRange(min=0, min_open=True),
    default=PRICE,
    show_default=True,
    metavar="DOLLARS",
    help="The most that a processor may cost an hour.",
)
@click.option(
    "--hours",
    type=click.FloatRange(0.1, 168),
    default=MINUTES / 60,
    show_default=True,
    help="After which a machine ends, whatever it does.",
)
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    metavar="DOLLARS",
    help="The most it may cost: they end before.",
)
@click.option(
    "--idle",
    type=click.IntRange(1, 1440),
    default=IDLE_S // 60,
    show_default=True,
    metavar="MINUTES",
    help="After which a machine without work ends.",
)
@click.option("--dry-run", "-n", is_flag=True, help="Only say what would be started, and what it may cost.")
@_where
def up(
    cpus: int, types: str | None, price: float, hours: float, budget: float | None, idle: int, dry_run: bool,
    region: str | None, name: str, arch: str, debug: bool,
) -> int:  # fmt: skip
    """Have machines with so many processors. Those that run count, so it can be repeated."""
    from gg.deploy.spot import instances
    from gg.deploy.spot.fleet_plan import Launch, cpus_of, default_types, within

    session, plan = plan_of("", region, name, arch, None)
    kinds = tuple(types.split(",")) if types else default_types(plan.common.architecture)
    for kind in kinds:
        cpus_of(kind)
    ec2 = _calls(session, "ec2", dry=dry_run)
    there = sum(machine.cpus for machine in instances.living(ec2, plan))
    if there >= cpus:
        click.echo(f"{there} processors are there, so none is started.")
        return 0
    wanted = Launch(cpus - there, kinds, price, round(60 * hours), 60 * idle)
    wanted = within(budget, wanted) if budget is not None else wanted
    click.echo(
        f"{wanted.cpus} processors, at most ${price:g} an hour each, for {wanted.minutes} minutes: at most ${wanted.most:.2f}"
    )
    return 0 if dry_run else _start(ec2, plan, wanted)


def _start(ec2: AwsService, plan: FleetPlan, wanted: Launch) -> int:
    from gg.deploy.spot import instances

    started = instances.launch(ec2, plan, wanted)
    click.echo(f"started: {started.machines} machines with {started.cpus} processors")
    for why, times in started.refusals.items():
        click.echo(f"  not more, {times} times: {why}")
    if not started.machines:
        raise SetupError(
            "AWS has started no machine", hint="a higher --price, other --types, or another region; or --engine lambda"
        )
    return 0


@command.command("down")
@click.option("--dry-run", "-n", is_flag=True, help="Only say what would be ended.")
@_where
def down(dry_run: bool, region: str | None, name: str, arch: str, debug: bool) -> int:
    """End all machines now. What they had begun is done by others."""
    from gg.deploy.spot import instances

    session, plan = plan_of("", region, name, arch, None)
    ec2 = _calls(session, "ec2", dry=dry_run)
    machines = instances.living(ec2, plan)
    instances.end(ec2, machines)
    click.echo(
        f"{'would end' if dry_run else 'ended'}: {len(machines)} machines with {sum(m.cpus for m in machines)} processors"
    )
    return 0


@command.command("status")
@_where
def status(region: str | None, name: str, arch: str, debug: bool) -> int:
    """Which machines there are, what they cost an hour, and how much work waits."""
    from gg.deploy.spot import instances
    from gg.deploy.spot.lasting import queue_url, run_queues

    session, plan = plan_of("", region, name, arch, None)
    ec2, sqs = _calls(session, "ec2", dry=True), _calls(session, "sqs", dry=True)
    url = queue_url(sqs, plan)
    if not url:
        raise SetupError(
            f"there are no spot workers {name} in {plan.common.region}", hint="make what they need: gg deploy spot"
        )
    machines = instances.living(ec2, plan)
    prices = instances.asked_prices(ec2, tuple({machine.type for machine in machines})) if machines else {}
    for machine in machines:
        click.echo(_line(machine, prices.get((machine.type, machine.zone))))
    known = [prices[m.type, m.zone] for m in machines if (m.type, m.zone) in prices]
    click.echo(f"{len(machines)} machines, {sum(m.cpus for m in machines)} processors, ${sum(known):.2f} an hour")
    builds = run_queues(sqs, plan, "build")
    waiting, taken = (
        (sum(each) for each in zip(*[_depth(sqs, build) for build in builds], strict=True)) if builds else (0, 0)
    )
    click.echo(f"{len(builds)} builds: {waiting} thunks wait, {taken} are taken")
    return 0


def _line(machine: Instance, price: float | None) -> str:
    cost = "" if price is None else f"${price:.4f} an hour"
    minutes = int(machine.age / 60)
    return f"  {machine.id:20} {machine.type:14} {machine.zone:12} {machine.state:8} {minutes:4} min {cost}".rstrip()


def _depth(sqs: AwsService, url: str) -> tuple[int, int]:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.ask("get_queue_attributes", QueueUrl=url, AttributeNames=names).get("Attributes", {})
    return int(found.get(names[0], 0)), int(found.get(names[1], 0))


def _calls(session: Any, service: str, *, dry: bool) -> AwsService:
    from gg.deploy.aws_calls import AwsService

    return AwsService(session, service, dry=dry)
