"""Starts spot machines for a build that would last without them: only if the user's settings say how many, and what a day may cost.

It looks at what the scheduler expects (`Progress`), not at how many jobs wait in a queue. It starts machines in a thread of its
own, as `gg spot up` does, and looks again some minutes later: AWS may have taken some back, or there may be more to do. They end
by themselves when they have had nothing to do. What may be spent is written down before it is: launches of the last 24 hours
count with the most that each may cost.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from gg.errors import GGError, UsageError
from gg.observe.build_events import BuildEvent, Note, Progress
from gg.schedule.fleet_size import processors
from gg.workspace import homes

if TYPE_CHECKING:
    from gg.deploy.aws_calls import AwsService
    from gg.deploy.spot.fleet_plan import FleetPlan, Launch
    from gg.workspace.settings import Settings

_PAUSE_S = 3.0  # before the first look: what is known runs nothing
_AGAIN_S = 300.0
_DAY_S = 86400.0
_QUEUE = "-jobs"


def permitted(settings: Settings) -> bool:
    """Whether the user has said that machines may be started, and what they may cost."""
    return "spot" in settings.engine and bool(settings.queue and settings.spot_cpus and settings.spot_budget)


class FleetOnDemand:
    """Sees all events on their way to `observe`."""

    def __init__(self, settings: Settings, observe: Callable[[BuildEvent], None]) -> None:
        self._settings = settings
        self._observe = observe
        self._look_at: float | None = None
        self._thread: threading.Thread | None = None
        self._text = ""  # what the thread has to tell: observers are told by those who tell them all else

    def see(self, event: BuildEvent) -> None:
        self._observe(event)
        if self._text:
            self._tell()
        if isinstance(event, Progress) and not (self._thread and self._thread.is_alive()):
            self._look(event)

    def close(self) -> None:
        """Wait until it is known what was started."""
        if self._thread is not None:
            self._thread.join()
            self._tell()

    def _tell(self) -> None:
        text, self._text = self._text, ""
        if text:
            self._observe(Note(text))

    def _look(self, now: Progress) -> None:
        time_now = time.monotonic()
        look_at = self._look_at = time_now + _PAUSE_S if self._look_at is None else self._look_at
        if time_now < look_at:
            return
        left = now.to_go + now.running
        wanted = processors(now.work, now.path, now.width, left, self._settings.spot_cpus)
        if wanted:
            self._look_at = time_now + _AGAIN_S
            self._thread = threading.Thread(target=self._start, args=(wanted,), daemon=True)
            self._thread.start()

    def _start(self, wanted: int) -> None:
        try:
            self._text = _started(self._settings, wanted)
        except GGError as error:
            self._text = f"no spot machines are started: {error.what}"


def _started(settings: Settings, wanted: int) -> str:
    """Start `wanted` processors more than work now, less those that boot already, and no more in all than the user allows. The
    answer is what to tell.
    """
    from gg.deploy.spot import fleet_plan, instances

    ec2, plan = _place(settings)
    machines = instances.living(ec2, plan)
    booting = sum(machine.cpus for machine in machines if machine.age < _AGAIN_S)
    more = min(wanted - booting, settings.spot_cpus - sum(machine.cpus for machine in machines))
    if more <= 0:
        return ""
    types = fleet_plan.default_types(plan.common.architecture)
    launch = fleet_plan.Launch(more, types, fleet_plan.PRICE, fleet_plan.MINUTES, fleet_plan.IDLE_S)
    with _Spent() as spent:
        launch = _affordable(launch, settings.spot_budget, spent)
        spent.add(launch.most)
    return _launched(ec2, plan, launch, settings.spot_budget)


def _affordable(launch: Launch, budget: float, spent: _Spent) -> Launch:
    """The launch, with an end early enough for what is left of the day's budget. UsageError if that is too little."""
    from gg.deploy.spot.fleet_plan import within

    left = budget - spent.today()
    if left > 0:
        try:
            return within(left, launch)
        except UsageError:
            pass
    raise UsageError(f"of ${budget:g} a day (spot_budget) ${max(left, 0.0):.2f} are left")


def _launched(ec2: AwsService, plan: FleetPlan, launch: Launch, budget: float) -> str:
    from gg.deploy.spot import instances
    from gg.observe.wording import count

    started = instances.launch(ec2, plan, launch)
    if not started.machines:
        with _Spent() as spent:
            spent.add(-launch.most)
        return f"AWS has started no spot machine: {', '.join(started.refusals)}"
    machines, most = count(started.machines, "spot machine"), launch._replace(cpus=started.cpus).most
    return (
        f"{machines} with {started.cpus} processors boot, for at most ${most:.2f} of ${budget:g} a day: "
        "the other engines work meanwhile"
    )


def _place(settings: Settings) -> tuple[AwsService, FleetPlan]:
    """Where the workers of the user's queue are. UsageError for a queue that is none of gg deploy spot's."""
    from gg.deploy.aws_calls import AwsService
    from gg.deploy.spot.plan_in_account import plan_in_account
    from gg.engines.spot.spot_engines import split_weight
    from gg.share.s3.uri import parse

    queue = split_weight(settings.queue)[0].rpartition("/")[2]
    if not queue.endswith(_QUEUE):
        raise UsageError(f"{queue} is no queue that gg deploy spot has made")
    where = parse(settings.store)
    name = queue.removesuffix(_QUEUE)
    session, plan = plan_in_account(where.region, name, bucket=where.bucket, prefix=where.prefix, owner=where.owner)
    return AwsService(session, "ec2", dry=False), plan


class _Spent:
    """What launches may cost, one a line with its time; locked while it is open. UsageError where nothing can be kept."""

    def __enter__(self) -> _Spent:
        home = homes.kept_home()
        if not home:
            raise UsageError("nobody can write down what they cost: the home cannot be written")
        os.makedirs(home, exist_ok=True)
        self._file = open(os.path.join(home, "spot-launches"), "a+", encoding="ascii")  # until it is left
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def today(self) -> float:
        """Dollars, of the last 24 hours."""
        self._file.seek(0)
        lines = [line.split() for line in self._file]
        return sum([float(most) for when, most in lines if float(when) > time.time() - _DAY_S])

    def add(self, dollars: float) -> None:
        self._file.write(f"{time.time():.0f} {dollars:.4f}\n")
