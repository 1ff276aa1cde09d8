"""What goes wrong in a thread of the local engine is answered, whatever it is: a force that waits would wait for ever."""

from __future__ import annotations

import queue
from pathlib import Path

import pytest

from gg.engines.engine import Answer, Failure, Submission
from gg.engines.local.local_engine import LocalEngine
from gg.host.filedb import FileDB
from gg.run.expand import Groups
from gg.run.runner import Runner
from gg.store.directory import DirectoryStore
from tests.support.thunks import Graph


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_what_would_end_the_thread_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def run(self: Runner, job: object) -> None:
        raise error

    monkeypatch.setattr(Runner, "run", run)
    store = DirectoryStore(tmp_path / "store")
    thunk = Graph(store, str(tmp_path)).thunk("out", ["true"])
    engine = LocalEngine(
        store=store, files=lambda: FileDB(None), groups=Groups(store), tmp=str(tmp_path / "tmp"), slots=1
    )
    answers: queue.Queue[Answer] = queue.Queue()
    from gg.core.codec import decode_thunk
    from gg.store.base import Key, Kind

    decoded = decode_thunk(store.get([Key(Kind.THUNK, thunk)])[Key(Kind.THUNK, thunk)])
    for attempt in (1, 2):
        engine.submit(Submission(attempt, thunk, decoded), answers.put)
    for attempt in (1, 2):
        answer = answers.get(timeout=30)
        assert answer.attempt == attempt
        assert isinstance(answer.result, Failure)
        assert answer.result.setup is not None
    engine.close()
    store.close()
