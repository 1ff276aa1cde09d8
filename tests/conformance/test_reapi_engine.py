"""The engine suite on the reapi engine: on buildbox-casd, which shows the input root as `/`, and on a cluster that does not."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from gg.core.ids import ThunkId
from gg.core.thunk import Reduction
from gg.engines.engine import Failure, Submission
from gg.engines.reapi.cluster import ClusterConfig
from gg.schedule.events import Fault
from tests.conformance.engine_suite import Answers, EngineSuite
from tests.servers.casd import casd
from tests.servers.reapi_cluster import ReapiCluster
from tests.support.reapi_subject import ReapiSubject, declared


class Persistent(Answers):
    """Submits again, as the driver does, with what an attempt turned out to need."""

    def of(self, thunk: ThunkId, deadline: float | None = None) -> Reduction | Failure:
        result = super().of(thunk, deadline)
        for _ in range(5):
            if isinstance(result, Failure) and result.fault is Fault.UNDECLARED and not result.needs:
                start = Submission(1, thunk, self._graph.thunks[thunk], result.extra, deadline)
                self.engine.submit(start, self._queue.put)
                result = self.next().result
        return result


STATIC = "/usr/bin/busybox"


def static(subject: ReapiSubject) -> ThunkId:
    """A thunk whose program no preloaded library can see into."""
    return subject.graph.thunk("out", ["sh", "-c", "echo static > out"], declared(STATIC), program=STATIC)


class ReapiSuite(EngineSuite):
    answers = Persistent
    under_way_of_three = 3  # it is the scheduler that counts slots


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with casd(tmp_path_factory.mktemp("casd")) as found:
        yield found


class TestRootIsSlash(ReapiSuite):
    @pytest.fixture
    def subject(self, address: str, tmp_path: Path) -> ReapiSubject:
        return ReapiSubject(tmp_path, ClusterConfig(address, secure=False))

    def test_a_static_program_runs_as_it_is(self, subject: ReapiSubject) -> None:
        with self.running(subject) as answers:
            result = answers.of(static(subject))
        assert self.output(subject, result) == b"static\n"
        assert isinstance(result, Reduction)
        assert result.reads is None

    def test_what_starts_a_static_program_runs_as_it_is(self, subject: ReapiSubject) -> None:
        with self.running(subject) as answers:
            result = answers.of(subject.shell("out", "busybox echo started > out", files=(declared(STATIC),)))
        assert self.output(subject, result) == b"started\n"


class TestRootIsADirectory(ReapiSuite):
    @pytest.fixture
    def cluster(self) -> Iterator[ReapiCluster]:
        cluster = ReapiCluster()
        yield cluster
        cluster.close()

    @pytest.fixture
    def subject(self, tmp_path: Path, cluster: ReapiCluster) -> ReapiSubject:
        return ReapiSubject(tmp_path, ClusterConfig(f"127.0.0.1:{cluster.port}", secure=False, relative=True))

    def test_a_program_laid_out_a_moment_ago_is_not_busy(self, subject: ReapiSubject, cluster: ReapiCluster) -> None:
        """Somebody whom the worker began meanwhile holds it open for writing; execve then says ETXTBSY for a while."""
        cluster.holds_open = "ld-linux-x86-64.so.2" if platform.machine() == "x86_64" else "ld-linux-aarch64.so.1"
        with self.running(subject) as answers:
            assert self.output(subject, answers.of(subject.concat("out", "x"))) == b"x"

    def test_a_static_program_runs_elsewhere(self, subject: ReapiSubject) -> None:
        with self.running(subject) as answers:
            result = answers.of(static(subject))
        assert isinstance(result, Failure)
        assert result.fault is Fault.TOO_BIG
