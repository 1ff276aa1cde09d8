"""A build of 200 thunks while functions crash, hang, answer nonsense or nothing, are throttled, and S3 is unwell.

It ends with the bytes of a plain build, or with the user's own error; what went wrong is counted, and attempts are few.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.e2e.project import Forced
from tests.servers.deployed import Deployed, bare_project, deployed
from tests.servers.flaky import Flaky, flaky, sometimes
from tests.servers.functions_for_tests import until
from tests.servers.recorded_build import RecordedBuild, assembly
from tests.servers.seaweed import Seaweed

UNITS = 200
PARTS = 4
STORM = 10  # calls that meet it
WIDE = ("--jobs", "16", "--keep-going")

SOURCES = assembly(UNITS, PARTS)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> RecordedBuild:
    return RecordedBuild(bare_project(tmp_path_factory.mktemp("faults"), SOURCES))


@pytest.fixture(scope="module")
def functions(seaweed_server: Seaweed) -> Iterator[Deployed]:
    """A function that hangs is ended after 20 s: an attempt and its duplicate may both be such."""
    with deployed(seaweed_server, memory="1769,3008") as here:
        client = here.functions.client()
        for function in client.list_functions()["Functions"]:
            client.update_function_configuration(FunctionName=function["FunctionName"], Timeout=20)
            client.get_waiter("function_updated_v2").wait(FunctionName=function["FunctionName"])
        yield here


@pytest.fixture
def here(functions: Deployed) -> Iterator[Deployed]:
    yield functions
    functions.functions.faults()


# Shares of the invocations, of which there are fewer than thunks; what the summary must have counted, if anybody is to notice.
ALONE: dict[str, tuple[dict[str, Any], str]] = {
    "crash": ({"crash": 0.08}, "lost"),
    "hang": ({"hang": 0.05}, ""),
    "lost": ({"lost": 0.08}, "lost"),
    "cut": ({"cut": 0.08}, "lost"),
    "twice": ({"twice": 0.2}, ""),
    "stray": ({"stray": 0.2}, ""),
    "late": ({"late": 0.1, "late_s": 1.0}, ""),
    "slow": ({"slow": 0.1, "slow_s": 1.0}, ""),
    "corrupt": ({"corrupt": 0.08}, "infra"),
    "memory": ({"memory": 0.08}, "memory"),
    "server": ({"server": 0.08}, "infra"),
    "throttle": ({"throttle": 0.3}, "throttled"),
}
MIXED = dict.fromkeys(("crash", "lost", "cut", "twice", "stray", "late", "slow", "corrupt", "memory", "server"), 0.02)
MIXED |= {"hang": 0.005, "throttle": 0.05}


def counted(forced: Forced) -> dict[str, int]:
    retries = forced.summary["retries"]
    assert isinstance(retries, dict)
    return retries


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALONE)
def test_one_kind_of_trouble(kind: str, here: Deployed, build: RecordedBuild) -> None:
    shares, fault = ALONE[kind]
    here.functions.faults(**shares)
    before = here.functions.state()
    forced = build.force(
        here, *WIDE, "--fallback", "local" if kind == "memory" else "never"
    )  # the largest may be too small, too
    after = here.functions.state()
    build.project.assert_tree(build.plain)
    assert len(forced.ran) >= UNITS + PARTS + 1
    assert after.get(f"fault {kind}", 0) >= 2, after
    assert not fault or counted(forced).get(fault, 0) > 0, counted(forced)
    assert after["invocations"] - before.get("invocations", 0) <= 2 * UNITS, "attempts are few"


@pytest.mark.slow
def test_a_storm_that_passes(here: Deployed, build: RecordedBuild) -> None:
    """All is refused, however long it takes until the first calls come, and some time after that nothing is."""
    here.functions.faults(storm=[(0, 600.0)])
    before, refused = here.invocations(), 0

    def let_it_pass() -> None:
        nonlocal refused
        until(lambda: here.functions.state().get("fault storm", 0) >= STORM, timeout_s=100)
        refused = here.functions.state()["fault storm"]
        here.functions.faults()

    weather = threading.Thread(target=let_it_pass)
    weather.start()
    forced = build.force(here, *WIDE, "--fallback", "never")
    weather.join()
    build.project.assert_tree(build.plain)
    assert refused >= STORM
    assert counted(forced).get("throttled", 0) >= STORM
    assert here.invocations() - before <= 2 * UNITS, "what was refused is no attempt"


def test_all_at_once(here: Deployed, build: RecordedBuild) -> None:
    here.functions.faults(**MIXED)
    forced = build.force(here, *WIDE, "--fallback", "local")
    build.project.assert_tree(build.plain)
    assert sum(counted(forced).values()) >= 10


def test_a_users_error_is_still_the_users(here: Deployed, build: RecordedBuild) -> None:
    """Under all that trouble one error is told, once, as the assembler says it; all else is made."""
    project = build.project
    here.functions.faults(**{**MIXED, "seed": 5})
    project.write("u1_1.s", "f1_1: no-such-instruction %eax\n")
    project.infer("make", "u1_1.o")
    project.env |= here.environment()
    result = project.force(*WIDE, "u1_1.o", status=1)
    assert result.text.count("Error: no such instruction") == 1


@pytest.fixture
def unwell(seaweed_server: Seaweed) -> Iterator[tuple[Deployed, Flaky]]:
    """Functions and a coordinator that know S3 by a proxy only."""
    with (
        flaky(seaweed_server.port, lambda seen: "") as (port, proxy),
        deployed(replace(seaweed_server, port=port)) as here,
    ):
        yield here, proxy


def test_s3_is_unwell_for_coordinator_and_functions(unwell: tuple[Deployed, Flaky], build: RecordedBuild) -> None:
    here, proxy = unwell
    proxy.choose = sometimes(0.2, ("reset", "503", "500", "cut", "truncated", "flipped", "slow", "lost"))
    here.functions.faults(crash=0.05, lost=0.02)  # workers that begin anew, and so fetch again
    build.force(here.at("unwell"), *WIDE, "--fallback", "never")
    build.project.assert_tree(build.plain)
    assert sum(n for fault, n in proxy.done.items() if fault) >= 5, proxy.done
