"""Functions in two regions: what happens when there are none in one, when one dies on the way, and when both do.

The workers only pretend, one service a region, behind a proxy that tells regions apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.project import Forced, Project
from tests.servers.lambda_service.client import LambdaService
from tests.servers.pretended import FUNCTION, environment, made, pretended, recorded
from tests.servers.regions import Regions, regions
from tests.servers.seaweed import REGION, Seaweed

OTHER = "eu-west-1"
UNITS = 60


@dataclass
class Two:
    """A workspace with recorded thunks, and the regions where they can run."""

    project: Project
    regions: Regions
    services: dict[str, LambdaService]

    def force(self, fallback: str = "never") -> Forced:
        return self.project.forced("--engine", "lambda", "--jobs", "10", "--fallback", fallback)


@pytest.fixture
def two(seaweed_server: Seaweed, tmp_path: Path) -> Iterator[Two]:
    project = recorded(tmp_path, UNITS, 0.1)
    with ExitStack() as stack:
        names = (REGION, OTHER)
        services = {name: stack.enter_context(pretended(seaweed_server, tmp_path, name)) for name in names}
        url, proxy = stack.enter_context(regions(services))
        project.env |= environment(seaweed_server, services[REGION])
        project.env |= {"AWS_ENDPOINT_URL_LAMBDA": url, "GG_REGIONS": ",".join(names)}
        yield Two(project, proxy, services)


def notes(forced: Forced) -> str:
    return "\n".join(str(event["text"]) for event in forced.events if event["event"] == "note")


def engines(forced: Forced) -> list[object]:
    return [event["engine"] for event in forced.events if event["event"] == "thunk-done"]


def test_the_first_does_what_it_has_room_for(two: Two) -> None:
    forced = two.force()
    assert made(two.project) == UNITS
    assert notes(forced) == ""
    assert two.regions.invocations[REGION] >= 0.9 * UNITS  # but for duplicates of stragglers, which go to the other


def test_a_region_without_functions_is_left_out_and_told(two: Two) -> None:
    two.services[REGION].client().delete_function(FunctionName=FUNCTION)
    forced = two.force()
    assert made(two.project) == UNITS
    assert f"region {REGION} is left out" in notes(forced)
    assert two.regions.invocations[OTHER] >= UNITS
    assert two.regions.invocations[REGION] == 0


def test_a_region_that_dies_on_the_way(two: Two) -> None:
    """Its breaker opens, which is told, and the other does the rest."""
    two.regions.answers_left[REGION] = 15
    forced = two.force()
    assert made(two.project) == UNITS
    assert "lambda fails again and again" in notes(forced)
    assert set(engines(forced)) == {"lambda", f"lambda/{OTHER}"}
    cost = forced.summary["cost"]
    assert isinstance(cost, dict)
    assert cost["lambda_time"] > 0


def test_the_fallback_when_all_are_dead(two: Two) -> None:
    two.regions.answers_left.update({REGION: 5, OTHER: 5})
    forced = two.force("local")
    assert len(engines(forced)) == UNITS
    assert "local" in engines(forced)
    assert f"lambda/{OTHER} fails again and again" in notes(forced)


def test_functions_in_no_region_are_one_clear_error(two: Two) -> None:
    for service in two.services.values():
        service.client().delete_function(FunctionName=FUNCTION)
    text = two.project.force("--engine", "lambda", status=78).text
    assert "there is no function" in text
    assert "gg deploy lambda" in text
