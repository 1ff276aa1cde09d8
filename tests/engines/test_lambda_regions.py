"""Where functions are looked for, and what becomes of a region in which there are none."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from gg.aws.failures import RequestContext
from gg.aws.http import Client, Endpoint
from gg.aws.setup import AwsSession
from gg.aws.sign import Credentials, Scope
from gg.cost.meter import Meter
from gg.cost.prices import prices
from gg.deploy.found import Deployment, regions, remember
from gg.engines.awslambda import opening
from gg.engines.awslambda.asking import Region
from gg.engines.awslambda.deployed_functions import DeployedFunction
from gg.engines.engine import Failure
from gg.errors import AccessError, GGError, SetupError, Unreachable
from gg.schedule.events import Fault
from tests.servers.server import Answer, Seen, Server
from tests.support.fixed_keys import FixedKeys

KEYS = FixedKeys(Credentials("AKID", "secret"))
ASKED = RequestContext("run functions", "lambda:InvokeFunction", "here", "eu-west-1")


def listing(*names: str) -> Answer:
    found = [{"FunctionName": name, "MemorySize": 1769, "Timeout": 900} for name in names]
    return Answer(200, json.dumps({"Functions": found}).encode())


def client(server: Server) -> Client:
    return Client(Endpoint("127.0.0.1", server.port), Scope("eu-west-1", "lambda"), KEYS)


def test_each_place_gives_its_functions_or_its_trouble() -> None:
    denied = Answer(403, b'{"message": "no"}', (("x-amzn-ErrorType", "AccessDeniedException"),))
    with (
        Server(lambda seen: listing("gg-worker-x86_64-1769", "other")) as good,
        Server(lambda seen: listing("other")) as empty,
        Server(lambda seen: denied) as closed,
    ):
        places = [(partial(client, each), "gg-worker-x86_64", ASKED) for each in (good, empty, closed)]
        first, second, third = opening.ask_all(places)
    assert isinstance(first, tuple)
    assert [f.name for f in first] == ["gg-worker-x86_64-1769"]
    assert isinstance(second, SetupError)
    assert isinstance(third, AccessError)


@pytest.mark.parametrize(
    ("wanted", "deployed", "names"),
    [
        ((), (), ["eu-west-1"]),
        ((), ("eu-west-1", "us-east-1"), ["eu-west-1", "us-east-1"]),
        ((), ("us-east-1",), ["eu-west-1"]),  # with another store
        (("us-east-1", "eu-west-1", "us-east-1"), ("eu-west-1",), ["us-east-1", "eu-west-1"]),
    ],
)
def test_which_regions(wanted: tuple[str, ...], deployed: tuple[str, ...], names: list[str], tmp_path: Path) -> None:
    remember(str(tmp_path), tuple(Deployment(region, "x86_64", ()) for region in deployed))
    assert regions(wanted, "eu-west-1", str(tmp_path), "x86_64") == names


def test_a_deployment_for_other_processors_is_none(tmp_path: Path) -> None:
    remember(str(tmp_path), (Deployment("eu-west-1", "other", ()), Deployment("us-east-1", "other", ())))
    assert regions((), "eu-west-1", str(tmp_path), "x86_64") == ["eu-west-1"]


def test_a_session_elsewhere_is_the_same_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_LAMBDA", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    home = AwsSession("eu-west-1")
    other = home.elsewhere("us-east-1")
    assert other.renew() == home.renew()
    assert other.region() == "us-east-1"
    assert other.endpoint("lambda").host == "lambda.us-east-1.amazonaws.com"


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("setup", [SetupError("gone"), AccessError("expired"), Unreachable("no route")])
def test_what_is_wrong_with_one_region_of_several(alone: bool, setup: GGError) -> None:
    """It ends the run only if there is no other, or if it is the user who is at fault."""
    forgotten: list[int] = []
    meter = Meter(prices("us-east-1"))
    region = Region("lambda/us-east-1", (), _no_client, ASKED, meter, alone=alone, forget=lambda: forgotten.append(1))
    failure = region.failed(Failure(Fault.INFRA, "no", setup=setup))
    ends = alone or isinstance(setup, AccessError)
    assert failure.setup is (setup if ends else None)
    assert failure.fault is Fault.INFRA
    assert forgotten == [1]
    if not ends:
        assert "us-east-1" in failure.message


def _no_client() -> Client:
    raise AssertionError("nobody asks")


def test_functions_are_those_of_their_region() -> None:
    seen: list[Seen] = []

    def respond(request: Seen) -> Answer:
        seen.append(request)
        return listing("gg-worker-x86_64-1769")

    with Server(respond) as server:
        (found,) = opening.ask_all([(partial(client, server), "gg-worker-x86_64", ASKED)])
    assert found == (DeployedFunction("gg-worker-x86_64-1769", (1769 << 20) - (192 << 20), 900.0, 1769, 512),)
    assert "/eu-west-1/lambda/aws4_request" in seen[0].headers["authorization"]
