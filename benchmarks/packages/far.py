"""Forcing by another engine than the local one: what it needs around it, set up on this machine for the time of a run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

Environment = Callable[[str], dict[str, str]]
"""What gg-force is told for a package: the engine, and an empty store of that package's own."""

NAMES = ("local", "lambda", "spot", "remote", "reapi", "buildgrid")
WIDTH = "100"
SLOTS = 4


@dataclass(frozen=True, slots=True)
class Far:
    """An engine elsewhere. `actions`: how many commands it has really run so far, where it has results of its own and gg cannot
    know that. `remembers`: another checkout gets what was made, by a store or by the engine.
    """

    environment: Environment
    actions: Callable[[], int] | None = None
    remembers: bool = True


@contextmanager
def engine(name: str, cache: Path) -> Iterator[Far | None]:
    """None for the local engine. For `lambda`: S3 and Lambda on loopback (tests/servers), with the worker deployed there, results
    signed and shared. For `spot` and `remote`: four workers on hosts of their own, which need root; `spot` with SQS and S3 on
    another one, results signed and shared. For `reapi`: buildbox-casd; for `buildgrid`: BuildGrid, installed below `cache`. Of
    these two a second checkout has nothing but the cluster's action cache.

    What cannot run there is to fail, so that nothing is done here unseen.
    """
    if name == "local":
        yield None
        return
    open_it = {"lambda": _functions, "spot": _queued, "remote": _listening, "reapi": _casd}.get(name)
    with open_it() if open_it else _buildgrid(cache) as far:
        yield far


@contextmanager
def _functions() -> Iterator[Far]:
    from tests.servers.deployed import deployed
    from tests.servers.s3 import secret_key
    from tests.servers.seaweed import seaweed

    key = secret_key("benchmark")
    with seaweed() as server, deployed(server, memory="1769,3008") as here:

        def environment(package: str) -> dict[str, str]:
            told = {"GG_FALLBACK": "never", "GG_JOBS": WIDTH, "GG_KEY": key.text}
            return {**here.at(package).environment(), **told}

        yield Far(environment)


@contextmanager
def _queued() -> Iterator[Far]:
    from tests.servers.s3 import secret_key
    from tests.support.fleets import queued

    signed = {"GG_FALLBACK": "never", "GG_KEY": secret_key("benchmark").text}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as homes, queued(Path(homes)) as told:
        store, question, options = told["GG_STORAGE_URI"].partition("?")
        yield Far(lambda package: {**told, **signed, "GG_STORAGE_URI": f"{store}/{package}{question}{options}"})


@contextmanager
def _listening() -> Iterator[Far]:
    from tests.support.fleets import listening

    with tempfile.TemporaryDirectory(dir="/var/tmp") as homes, listening(Path(homes)) as told:
        yield Far(lambda package: {**told, "GG_FALLBACK": "never"}, remembers=False)


@contextmanager
def _casd() -> Iterator[Far]:
    """Input root as `/`. Its runner is started by a script that notes each start."""
    from tests.servers import casd

    with tempfile.TemporaryDirectory(prefix="gg-casd-") as directory:
        log, runner = Path(directory) / "actions", Path(directory) / "run"
        log.touch()
        runner.write_text(f'#!/bin/sh\necho >>{log}\nexec {casd.directory()}/buildbox-run "$@"\n')
        runner.chmod(0o755)
        with casd.casd(Path(directory), runner=runner, jobs=SLOTS) as address:
            yield Far(_cluster(address, "/"), lambda: len(log.read_bytes()))


@contextmanager
def _buildgrid(cache: Path) -> Iterator[Far]:
    """Input root in a directory; its bot counts."""
    from tests.servers import buildgrid

    programs = buildgrid.installed(cache.absolute() / "buildgrid")
    with tempfile.TemporaryDirectory(prefix="gg-buildgrid-") as directory:
        Path(directory).chmod(0o755)
        with buildgrid.buildgrid(Path(directory), programs, SLOTS) as (address, bot):
            yield Far(_cluster(address, "relative"), lambda: bot.ran)


def _cluster(address: str, root: str) -> Environment:
    told = {"GG_ENGINE": "reapi", "GG_REAPI": f"grpc://{address}", "GG_REAPI_ROOT": root, "GG_FALLBACK": "never"}
    return lambda package: told
