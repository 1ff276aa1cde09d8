"""Forcing by another engine than the local one: what it needs around it, set up on this machine for the time of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Environment = Callable[[str], dict[str, str]]
"""What gg-force is told for a package: the engine, and an empty store of that package's own."""

NAMES = ("local", "lambda")
WIDTH = "100"


@contextmanager
def engine(name: str) -> Iterator[Environment | None]:
    """None for the local engine. For `lambda`: S3 and Lambda on loopback (tests/aws), with the worker deployed there.

    What cannot run there is to fail, so that nothing is done here unseen; results are signed and shared.
    """
    if name == "local":
        yield None
        return
    from tests.servers.deployed import deployed
    from tests.servers.s3 import secret_key
    from tests.servers.seaweed import seaweed

    key = secret_key("benchmark")
    with seaweed() as server, deployed(server, memory="1769,3008") as here:

        def environment(package: str) -> dict[str, str]:
            told = {"GG_FALLBACK": "never", "GG_JOBS": WIDTH, "GG_KEY": key.text}
            return {**here.at(package).environment(), **told}

        yield environment
