"""The lambda engine over the functions of a Lambda service that pretends, for tests."""

from __future__ import annotations

import os
from pathlib import Path

from gg.aws.failures import RequestContext
from gg.aws.http import Client, Endpoint
from gg.aws.sign import Credentials, Scope
from gg.core.ids import ThunkId
from gg.core.placeholder import Placeholder, PlaceholderWriter
from gg.core.thunk import Reduction
from gg.cost.meter import Meter
from gg.cost.prices import prices
from gg.engines.awslambda.asking import Region
from gg.engines.awslambda.deployed_functions import DeployedFunction
from gg.engines.awslambda.lambda_engine import LambdaEngine, StoreBetween
from gg.engines.engine import Engine, Failure, Submission
from gg.host.filedb import FileDB
from gg.run.expand import Groups
from gg.store.directory import DirectoryStore
from tests.conformance.engine_suite import Answers, PretendedCommands
from tests.servers.lambda_service.client import LambdaService
from tests.support.fixed_keys import FixedKeys
from tests.support.thunks import Graph

ASKED = RequestContext(
    what="run functions", right="lambda:InvokeFunction", host="here", region="us-east-1", access_key="A"
)


class LambdaSubject(PretendedCommands):
    def __init__(self, service: LambdaService, where: Path) -> None:
        self.where = where
        (where / "w").mkdir()
        self.store = DirectoryStore(where / ".gg")
        self.graph = Graph(self.store, str(where / "w"))
        self.files = FileDB(None)
        self._service = service
        self.meter = Meter(prices("us-east-1"))

    def engine(self, slots: int = 2, remote: StoreBetween | None = None) -> LambdaEngine:
        identity = self._service.identity
        keys = FixedKeys(Credentials(identity.access_key, identity.secret_key))
        endpoint = Endpoint("127.0.0.1", self._service.port)
        region = Region(
            "lambda",
            (DeployedFunction("f", 1 << 30, 900.0),),
            lambda: Client(endpoint, Scope("us-east-1", "lambda"), keys, limit=16),
            ASKED,
            self.meter,
        )
        return LambdaEngine(
            region,
            store=self.store,
            groups=Groups(self.store),
            files=lambda: self.files,
            remote=remote,
            slots=slots,
        )

    def undeclared(self, name: str, found: bytes | Placeholder) -> bytes:
        path = self.where / "w" / name
        path.write_bytes(PlaceholderWriter(b"/launcher").encode(*found) if isinstance(found, Placeholder) else found)
        return os.fsencode(path)

    def hanging(self, engine: Engine) -> int:
        """Attempts under way: nobody can end a function that runs, so it is the engine's own that count."""
        assert isinstance(engine, LambdaEngine)
        return engine.under_way


class Together(Answers):
    """Submits what comes within one call as attempts that share an invocation."""

    def submit_all(self, *thunks: ThunkId, deadline: float | None = None, first: int = 0) -> list[int]:
        starts = [Submission(first + n, t, self._graph.thunks[t], deadline=deadline) for n, t in enumerate(thunks)]
        self.engine.submit(starts[0]._replace(more=tuple(starts[1:])), self.take)
        return [start.attempt for start in starts]

    def all(self, count: int) -> dict[int, Reduction | Failure]:
        """So many answers, and no more."""
        found = {answer.attempt: answer.result for answer in (self.next() for _ in range(count))}
        assert len(found) == count
        self.no_more()
        return found
