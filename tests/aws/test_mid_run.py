"""What may befall a run of functions in its middle: what is paid for is kept, and what is said is what is so.

`python -m benchmarks.bad_day` does the same at full length.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.project import SCRIPTS, Project
from tests.servers.deployed import Deployed, bare_project, deployed
from tests.servers.flaky import flaky
from tests.servers.functions_for_tests import until
from tests.servers.recorded_build import RecordedBuild, assembly
from tests.servers.s3 import secret_key
from tests.servers.seaweed import Seaweed
from tests.servers.server import Seen
from tests.servers.small_disk import SmallDisk

UNITS = 40
THUNKS = UNITS + 4 + 1
JOBS = 8
MOST_DUPLICATES = JOBS // 2  # on a machine so busy that some seem to hang
SLOW = {"slow": 1.0, "slow_s": 1.0}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> RecordedBuild:
    return RecordedBuild(bare_project(tmp_path_factory.mktemp("mid"), assembly(UNITS, 4)))


@pytest.fixture(scope="module")
def functions(seaweed_server: Seaweed) -> Iterator[Deployed]:
    with deployed(seaweed_server, keeps_answered=True) as here:
        yield here


class Run:
    """A gg-force under way. Nothing fails in it but what a test does to it. `answered`: how many thunks functions have answered.
    `duplicates`: attempts that were begun beside another one of the same thunk; a busy machine makes some. `begun_late`: thunks
    that were begun after it was said that nothing more is.
    """

    def __init__(self, build: RecordedBuild, here: Deployed, *before: str, **env: str) -> None:
        self.here, self.before, self._answered_before = here, here.invocations(), len(here.answered())
        command = [*before, str(SCRIPTS / "gg-force"), "--jobs", str(JOBS), "--fallback", "never", "--json"]
        project = build.project
        self.process = subprocess.Popen(
            command, cwd=project.root, env={**project.env, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def reach_the_middle(self) -> None:
        until(lambda: self.here.invocations() - self.before >= 10 or self.process.poll() is not None, timeout_s=60)
        assert self.process.poll() is None

    def end(self) -> None:
        out, err = self.process.communicate(timeout=100)
        self.said = err.decode()
        events = [json.loads(line) for line in out.splitlines()]
        self.notes = [event["text"] for event in events if event["event"] == "note"]
        self.done = [event["label"] for event in events if event["event"] == "thunk-done" and event["how"] == "ran"]
        self.retries: dict[str, int] = next(
            (event["retries"] for event in events if event["event"] == "run-finished"), {}
        )
        last = [number for number, each in enumerate(events) if "nothing more is started" in each.get("text", "")]
        self.begun_late = [
            each["label"] for each in events[min(last, default=len(events)) :] if each["event"] == "thunk-started"
        ]
        self.answered = len(set(self.here.answered()[self._answered_before :]))
        attempts = Counter(event["id"] for event in events if event["event"] == "thunk-started")
        self.duplicates = attempts.total() - len(attempts)

    @property
    def status(self) -> int:
        return self.process.returncode


@pytest.fixture
def here(functions: Deployed, build: RecordedBuild, request: pytest.FixtureRequest) -> Iterator[Deployed]:
    place = functions.at(request.node.name.replace("[", "-").replace("]", ""))
    until(lambda: place.functions.state()["under way"] == 0, timeout_s=60)  # the last run was not waited for
    build.restore(place)
    place.functions.faults(**SLOW)
    yield place
    place.functions.faults()


def finish(build: RecordedBuild, here: Deployed, first: Run) -> Run:
    """Force once more: all that had an answer is kept, so that nothing runs twice."""
    here.functions.faults()
    second = Run(build, here)
    second.end()
    assert second.status == 0, second.said
    build.project.assert_tree(build.plain)
    assert not set(first.done) & set(second.done)
    return second


@pytest.mark.parametrize(
    ("fault", "status", "says"),
    [("expired", 77, "the AWS session has expired"), ("skewed", 78, "this machine's clock differs")],
)
def test_who_is_let_in_no_more_lets_end_what_is_paid_for(
    build: RecordedBuild, here: Deployed, fault: str, status: int, says: str
) -> None:
    run = Run(build, here)
    run.reach_the_middle()
    here.functions.faults(**SLOW, **{fault: [(0.0, 600.0)]})
    run.end()
    assert run.status == status
    assert says in run.said
    assert len(run.done) == run.answered, "each function that ran has its result kept"
    told = [note for note in run.notes if "not shared" not in note]
    assert len(told) == 1, told
    assert "under way let end" in told[0]
    assert not run.begun_late
    second = finish(build, here, run)
    assert len(run.done) + len(second.done) == THUNKS


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_where_it_was(build: RecordedBuild, here: Deployed) -> None:
    run = Run(build, here)
    run.reach_the_middle()
    os.kill(run.process.pid, signal.SIGSTOP)
    time.sleep(8.0)
    os.kill(run.process.pid, signal.SIGCONT)
    run.end()
    assert (run.status, run.retries) == (0, {}), run.notes
    assert run.duplicates <= MOST_DUPLICATES, "what was under way when it was stopped does not count as slow"
    build.project.assert_tree(build.plain)


@pytest.mark.slow
def test_few_open_files_cost_time_and_no_answer(build: RecordedBuild, here: Deployed) -> None:
    run = Run(build, here, "sh", "-c", 'ulimit -n 44 && exec "$@"', "sh")
    run.end()
    assert run.status == 0, run.said
    assert len(run.done) == run.answered == THUNKS
    assert not run.retries


def test_a_region_that_is_silent_for_a_while(build: RecordedBuild, here: Deployed) -> None:
    run = Run(build, here)
    run.reach_the_middle()
    here.functions.faults(**SLOW, silent=[(0.0, 12.0)])
    run.end()
    assert (run.status, run.retries) == (0, {}), run.notes
    assert run.duplicates <= 1 + MOST_DUPLICATES, "one is asked for again, to hear whether anything comes"
    build.project.assert_tree(build.plain)


@pytest.mark.parametrize("full", ["store", "tree"])
def test_a_disk_that_is_full_ends_the_run_at_once(build: RecordedBuild, here: Deployed, full: str) -> None:
    """Wherever it is: what was answered before is kept, nothing more is begun, and the disk is what is told of, not the functions.
    Where it is the tree's, what is paid for is let end. With room again nothing of it runs twice.
    """
    if os.geteuid() != 0:
        pytest.skip("mounts")
    project = build.project
    place = Path(project.env["HOME"]) / ".cache" if full == "store" else project.root
    with SmallDisk(place, 16 << 20) as disk:
        run = Run(build, here, *disk.enter(project.root))
        run.reach_the_middle()
        disk.fill()
        filled = time.monotonic()
        run.end()
        assert run.status == 74, run.said
        assert time.monotonic() - filled < 60
        assert os.fspath(place) in run.said
        assert "No space left on device" in run.said or "no space" in run.said
        assert ("gg gc" if full == "store" else "run gg-force again") in run.said
        assert len(run.said.splitlines()) == 2
        assert not [note for note in run.notes if "lambda" in note], "functions are well"
        if full == "store":
            assert len(run.done) >= 5, "what was answered before is kept"
        else:
            assert len(run.done) == run.answered, "what was answered is kept"
            assert not run.begun_late
        disk.make_room()
        here.functions.faults()
        again = Run(build, here, *disk.enter(project.root))
        again.end()
        assert again.status == 0, again.said
        Project(disk.inside(project.root), project.env).assert_tree(build.plain)
        assert again.done, "nothing more was begun"
        assert not set(run.done) & set(again.done)
        assert len(run.done) + len(again.done) == THUNKS


@pytest.mark.slow
def test_a_store_that_lets_nobody_in_any_more_keeps_what_functions_answer(
    seaweed_server: Seaweed, build: RecordedBuild
) -> None:
    """The token expires for S3 while functions run: the run ends with what is wrong, and what was answered is kept."""
    expired = threading.Event()

    def choose(seen: Seen) -> str:
        ours = seen.method == "PUT" or "list-type" in seen.target  # functions read
        return "400 ExpiredToken" if expired.is_set() and ours else ""

    with (
        flaky(seaweed_server.port, choose) as (port, _),
        deployed(replace(seaweed_server, port=port), keeps_answered=True) as here,
    ):
        build.restore(here)
        build.project.env["GG_KEY"] = secret_key("ann").text
        here.functions.faults(**SLOW)
        run = Run(build, here)
        run.reach_the_middle()
        expired.set()
        run.end()
        expired.clear()
        assert run.status in (0, 77), run.said
        assert len(run.done) == run.answered, "each function that ran has its result kept"
        assert "internal error" not in run.said
        second = finish(build, here, run)
        assert len(run.done) + len(second.done) == THUNKS
        del build.project.env["GG_KEY"]
