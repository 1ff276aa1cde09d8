"""What is remembered of functions, for how long, and what ends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gg.aws.failures import RequestContext
from gg.deploy.found import Deployment, remember
from gg.engines.awslambda.deployed_functions import DeployedFunction
from gg.engines.awslambda.function_list_cache import FunctionListCache

ASKED = RequestContext("run functions", "lambda:InvokeFunction", "here", "eu-west-1", "AKID")
FUNCTIONS = (
    DeployedFunction("gg-worker-x86_64-1769", 1577 << 20, 900.0, 1769, 512),
    DeployedFunction("b", 1 << 30, 60.0, 1216, 1024),
)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_it_is_kept_for_ten_minutes(tmp_path: Path) -> None:
    clock = Clock()
    FunctionListCache(str(tmp_path), clock).keep("gg", ASKED, FUNCTIONS)
    listed = FunctionListCache(str(tmp_path), clock)
    assert listed.find("gg", ASKED) == FUNCTIONS
    clock.now += 599
    assert listed.find("gg", ASKED) == FUNCTIONS
    clock.now += 2
    assert listed.find("gg", ASKED) is None
    clock.now -= 1000  # the clock was set back
    assert listed.find("gg", ASKED) is None


@pytest.mark.parametrize(
    "other", [ASKED._replace(region="us-east-1"), ASKED._replace(access_key="B"), ASKED._replace(host="there")]
)
def test_elsewhere_and_for_others_it_is_not_known(other: RequestContext, tmp_path: Path) -> None:
    listed = FunctionListCache(str(tmp_path))
    listed.keep("gg", ASKED, FUNCTIONS)
    assert listed.find("gg", other) is None
    assert listed.find("gg-other", ASKED) is None
    listed.keep("gg", other, FUNCTIONS[:1])
    assert listed.find("gg", ASKED) == FUNCTIONS
    assert listed.find("gg", other) == FUNCTIONS[:1]


def test_forgotten(tmp_path: Path) -> None:
    listed = FunctionListCache(str(tmp_path))
    listed.keep("gg", ASKED, FUNCTIONS)
    listed.forget()
    assert listed.find("gg", ASKED) is None


def test_a_deployment_from_here_is_seen_at_once(tmp_path: Path) -> None:
    listed = FunctionListCache(str(tmp_path))
    listed.keep("gg", ASKED, FUNCTIONS)
    remember(str(tmp_path), (Deployment("eu-west-1", "x86_64", ()),))
    assert listed.find("gg", ASKED) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', '{"a": [1, [[1, 2, 3, 4, 5]]]}', '{"a": [1, [["n"]]]}'])
def test_a_damaged_memory_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "functions.json").write_text(text)
    listed = FunctionListCache(str(tmp_path))
    assert listed.find("gg", ASKED) is None
    listed.keep("gg", ASKED, FUNCTIONS)
    assert listed.find("gg", ASKED) == FUNCTIONS


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    listed = FunctionListCache(str(tmp_path / "absent"))
    listed.keep("gg", ASKED, FUNCTIONS)
    assert listed.find("gg", ASKED) is None
