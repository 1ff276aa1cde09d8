"""The engine suite on the reapi engine: on buildbox-casd, which shows the input root as `/`, and on a cluster that does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gg.core.ids import ThunkId
from gg.core.thunk import Reduction
from gg.engines.engine import Failure, Submission
from gg.engines.reapi.cluster import ClusterConfig
from gg.schedule.events import Fault
from tests.conformance.engine_suite import Answers, EngineSuite, Subject
from tests.servers.casd import casd
from tests.servers.reapi_cluster import ReapiCluster
from tests.support.reapi_subject import ReapiSubject


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


class ReapiSuite(EngineSuite):
    answers = Persistent
    under_way_of_three = 3  # it is the scheduler that counts slots


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with casd(tmp_path_factory.mktemp("casd")) as found:
        yield found


class TestRootIsSlash(ReapiSuite):
    @pytest.fixture
    def subject(self, address: str, tmp_path: Path) -> Subject:
        return ReapiSubject(tmp_path, ClusterConfig(address, secure=False))


class TestRootIsADirectory(ReapiSuite):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Iterator[Subject]:
        cluster = ReapiCluster()
        yield ReapiSubject(tmp_path, ClusterConfig(f"127.0.0.1:{cluster.port}", secure=False, relative=True))
        cluster.close()
