"""Makes the remote engines from the settings: one for each named machine that opens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gg.aws.loop import LoopThread
from gg.cost.meter import Meter
from gg.cost.prices import prices
from gg.engines.awslambda.lambda_engine import LambdaEngine
from gg.engines.coordinator import coordinator
from gg.engines.remote.hosts import Host, known_hosts
from gg.engines.remote.lending import Directly, Lending
from gg.engines.remote.one_machine import Machine
from gg.engines.remote.worker_link import hang_up, knock
from gg.errors import GGError, SetupError, Unreachable, UsageError
from gg.store.base import Store
from gg.wire.frames import Welcome
from gg.workspace import homes
from gg.workspace.granted import granted_in
from gg.workspace.settings import Settings

if TYPE_CHECKING:
    from gg.engines.supplies import Supplies

NAME = "remote"


class RemoteEngine(LambdaEngine):
    """One machine. All but the way to it is the lambda engine's."""


def open_remote_engines(settings: Settings, supplies: Supplies) -> list[LambdaEngine]:
    """An engine for each machine that opens. Reports the machines that do not.

    UsageError if no machine is named, or one whose key is not known. SetupError, Unreachable if no machine opens.
    """
    _need_extra()
    hosts = known_hosts(settings.workers, homes.home())
    if not hosts:
        raise UsageError(
            "the remote engine needs workers",
            hint="run gg worker --listen on another machine, and paste the line that it prints",
        )
    store: Store = getattr(supplies.store, "near", supplies.store)
    groups, workspace, renaming = supplies.groups, supplies.workspace, supplies.renaming
    granted = granted_in(workspace.root, settings)
    real_path: Callable[[bytes], bytes] = renaming.real_path if renaming else bytes
    engines: list[LambdaEngine] = []
    for host, welcome in _opened(hosts, supplies.report):
        name = f"{NAME}/{host}"
        lending = Lending(store, groups, real_path)
        machine = Machine(name, host, welcome, Meter(prices("us-east-1")), lending, store, workspace.tmp)
        engines.append(
            RemoteEngine(
                machine,
                store=store,
                groups=groups,
                files=supplies.files,
                remote=Directly(store),
                slots=welcome.slots,
                renaming=renaming,
                granted=granted,
                coordinator=coordinator(),
                later=supplies.later,
                caps=machine.caps,
            )
        )
    return engines


def _opened(hosts: Sequence[Host], report: Callable[[str], None]) -> list[tuple[Host, Welcome]]:
    """The hosts that open. All are asked at once."""

    async def ask_all() -> list[Welcome | GGError]:
        return await asyncio.gather(*[_ask(host) for host in hosts])

    loop = LoopThread("remote set-up")
    try:
        answers = loop.run(ask_all())
    finally:
        loop.close()
    found: list[tuple[Host, Welcome]] = []
    wrong: list[GGError] = []
    for host, answer in zip(hosts, answers, strict=True):
        if isinstance(answer, GGError):
            wrong.append(answer)
        else:
            found.append((host, answer))
    if not found:
        raise wrong[0]
    for error in wrong:
        report(f"going on without a worker: {error.what}")
    return found


async def _ask(host: Host) -> Welcome | GGError:
    """What a worker says of itself, or why gg cannot use it."""
    try:
        welcome, _, writer = await knock(host, "")
    except GGError as error:
        return error
    except EOFError:
        return Unreachable(
            f"the worker on {host} hangs up: it is leaving, or of another version of gg",
            hint="install the same version on both sides, and start the worker again",
        )
    except (OSError, TimeoutError) as error:
        why = getattr(error, "strerror", None) or "no answer"
        return Unreachable(f"the worker on {host} does not answer: {why}", hint="run there: gg worker --listen")
    await hang_up(writer)
    return welcome


def _need_extra() -> None:
    try:
        import zstandard  # noqa: F401 (only asked whether it is there)
    except ImportError as error:
        raise SetupError("the remote engine needs zstandard", hint="pip install 'ggbuild[remote]'") from error
