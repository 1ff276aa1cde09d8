"""What gg-force says it has spent is what the Lambda service has billed, and Ctrl-C ends the spending."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gg.cost.prices import prices
from tests.e2e.project import SCRIPTS, Forced, Project
from tests.servers.functions_for_tests import create
from tests.servers.lambda_service.client import LambdaService, beside, lambda_service
from tests.servers.seaweed import REGION, Seaweed
from tests.servers.worker_zip import worker_zip

UNITS = 12
MEMORY, DISK = 1024, 1536
ARCHITECTURE = "arm64" if os.uname().machine == "aarch64" else os.uname().machine
NEVER = ("--fallback", "never", "--jobs", "4")


@dataclass
class Account:
    """A Lambda service with the worker deployed, and a bucket beside it."""

    service: LambdaService
    server: Seaweed
    bucket: str

    def environment(self, prefix: str) -> dict[str, str]:
        uri = f"s3://{self.bucket}/{prefix}?region={REGION}"
        more = {"AWS_ENDPOINT_URL_S3": self.server.endpoint, "GG_STORAGE_URI": uri, "GG_ENGINE": "lambda"}
        return {**self.service.environment(), **more}

    def billed(self) -> dict[str, int]:
        state = self.service.state()
        return {name: state.get(name, 0) for name in ("billed invocations", "billed ms", "billed MB-ms")}

    def settled(self) -> dict[str, int]:
        """What was billed once nothing runs any more."""
        end = time.monotonic() + 60
        while self.service.state()["running"] and time.monotonic() < end:
            time.sleep(0.1)
        return self.billed()


@pytest.fixture(scope="module")
def account(seaweed_server: Seaweed) -> Iterator[Account]:
    bucket = seaweed_server.make_bucket()
    with lambda_service(beside(seaweed_server)) as service:
        settings: dict[str, Any] = {"MemorySize": MEMORY, "Timeout": 60, "EphemeralStorage": {"Size": DISK}}
        name = f"gg-worker-{ARCHITECTURE}-{MEMORY}"
        create(service.client(), name, code=worker_zip(), Handler="gg.worker.handler.handler", **settings)
        yield Account(service, seaweed_server, bucket)


@pytest.fixture
def project(account: Account, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Project]:
    root = tmp_path.resolve() / "tree"
    root.mkdir()
    (tmp_path / "home").mkdir()
    made = Project(root, {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "LC_ALL": "C"})
    made.env |= account.environment(request.node.name)
    objects = " ".join(f"u{n}.o" for n in range(UNITS))
    made.write("Makefile", f"all: {objects}\n%.o: %.c ; gcc -O1 -c $< -o $@\n")
    for number in range(UNITS):
        made.write(f"u{number}.c", f"int f{number}(int x) {{ return x * {number}; }}\n")
    yield made
    account.service.faults()


def spent(account: Account, before: dict[str, int], forced: Forced) -> dict[str, Any]:
    """The run's usage, which must be what the service has billed since `before`; of stragglers that were left running, as a
    slow machine has some, the time is our own.
    """
    usage = forced.summary["usage"]
    assert isinstance(usage, dict)
    after = account.settled()
    assert usage["invocations"] == after["billed invocations"] - before["billed invocations"]
    assert usage["mb_ms"] == usage["milliseconds"] * MEMORY
    assert usage["disk_mb_ms"] == usage["milliseconds"] * (DISK - 512)
    if not usage["unheard"]:
        assert usage["milliseconds"] == after["billed ms"] - before["billed ms"]
        assert usage["mb_ms"] == after["billed MB-ms"] - before["billed MB-ms"]
    return usage


def test_the_meter_counts_what_is_billed(account: Account, project: Project) -> None:
    project.infer("make")
    before = account.billed()
    forced = project.forced(*NEVER)
    usage = spent(account, before, forced)
    assert usage["invocations"] >= UNITS
    assert min(usage["put"], usage["get"], usage["out"]) > 0
    paid, cost = prices(REGION), forced.summary["cost"]
    assert isinstance(cost, dict)
    gb_seconds = usage["mb_ms"] / 1024 / 1000
    disk = usage["disk_mb_ms"] / 1024 / 1000 * paid.disk
    assert cost["lambda_time"] == pytest.approx(gb_seconds * paid.second(ARCHITECTURE, 1024) + disk)
    assert cost["total"] == pytest.approx(sum(dollars for name, dollars in cost.items() if name != "total"))


def test_failed_invocations_are_paid_for_too(account: Account, project: Project) -> None:
    project.infer("make")
    before = account.billed()
    failed = account.service.state().get("function errors", 0)
    account.service.faults(crash=0.5, crash_after_s=0.2, seed=3)
    spent(account, before, project.forced("--fallback", "local", "--jobs", "4"))
    assert account.service.state()["function errors"] > failed


def test_the_last_line_tells_the_price(account: Account, project: Project) -> None:
    project.infer("make")
    text = project.run(SCRIPTS / "gg-force", *NEVER).text
    assert re.search(r"; \S+ spent \(\S+ Lambda time, \S+ requests, \S+ S3 requests, \S+ bytes out\)", text), text
    again = project.run(SCRIPTS / "gg-force", *NEVER).text
    assert "Lambda time" not in again


def test_gg_infer_tells_the_price_of_what_was_read(account: Account, project: Project) -> None:
    text = project.run(SCRIPTS / "gg-infer", "--jobs", "4", "sh", "-c", "make && cat *.o > all").text
    assert re.search(r"gg: recorded .*; \S+ spent \(\S+ Lambda time, \S+ requests", text), text


def test_ctrl_c_ends_the_spending(account: Account, project: Project) -> None:
    """Answers come late: when it is pressed, four invocations are under way and eight are to come."""
    project.infer("make")
    before = account.service.state().get("invocations", 0)
    account.service.faults(late=1.0, late_s=5.0)
    child = project.start(SCRIPTS / "gg-force", *NEVER)
    end = time.monotonic() + 60
    while account.service.state().get("invocations", 0) - before < 4 and time.monotonic() < end:
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130, (out, err)
    account.settled()
    assert account.service.state()["invocations"] - before == 4
    assert b"invocations by our own clock" in err
    account.service.faults()
    forced = project.forced(*NEVER)
    assert not project.placeholders()
    assert len(forced.ran) <= UNITS


def estimated(project: Project) -> float:
    told = json.loads(
        project.run(SCRIPTS / "gg-force", "--estimate", "--json", *NEVER[2:], "--engine", "lambda").stdout
    )
    return float(told["rows"][0]["cost"]["total"])


def test_what_would_cost_too_much_is_refused(account: Account, project: Project) -> None:
    project.infer("make")
    before = account.billed()
    result = project.run(SCRIPTS / "gg-force", *NEVER, "--budget", "0.0001", status=79)
    assert re.fullmatch(
        r"gg: this is estimated to cost \$0\.\d+, more than the budget of \$0\.0001\n.*--estimate.*\n", result.text
    ), result.text
    assert account.billed() == before
    for wrong in ("0", "-1", "nan", "much"):
        assert "budget" in project.run(SCRIPTS / "gg-force", "--budget", wrong, status=64).text


def test_the_budget_is_stopped_at_and_the_next_run_goes_on(account: Account, project: Project) -> None:
    """Functions crash after six seconds, which are billed and which nobody has foreseen."""
    project.infer("make")
    budget = estimated(project) * 1.1
    before = account.billed()
    account.service.faults(crash=0.8, crash_after_s=6.0, seed=5)
    stopped = project.forced(*NEVER, "--keep-going", "--budget", f"{budget:.8f}", status=79)
    usage = spent(account, before, stopped)
    assert usage["invocations"] < 3 * UNITS
    cost = stopped.summary["cost"]
    assert isinstance(cost, dict)
    at_once = 4 * 6.5 * prices(REGION).second(ARCHITECTURE, MEMORY, DISK)
    assert cost["total"] <= budget + at_once, "no more than what was under way went beyond it"
    assert stopped.summary["over_budget"] is True
    left = len(project.placeholders())
    assert 0 < left == UNITS - len(stopped.ran), "what was paid for is in its place"
    account.service.faults()
    again = project.forced(*NEVER, "--budget", "1")
    assert not project.placeholders()
    assert len(again.ran) == left
