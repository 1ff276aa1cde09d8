"""What the driver tells of failures may have words of a worker's in it, whatever these are."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from gg.core.ids import SandboxPath, ThunkId
from gg.core.thunk import Output, Thunk, Work
from gg.engines.engine import Failure
from gg.force.telling import Telling
from gg.observe.build_events import BuildEvent
from gg.observe.jsonlines import JsonLines
from gg.observe.plain import Plain
from gg.observe.quiet import Quiet
from gg.observe.sink import TextOutput
from gg.observe.trace import Trace
from gg.schedule.events import Fault

WORDS = "reads /\udcff\ngg: 9 thunks: 9 ran, \ud800 and \x1b[2J"
"""A byte that is no UTF-8, as of a path; half of a character, as JSON may name it; a line and an order of its own."""


class _Tty(io.BytesIO):
    def isatty(self) -> bool:
        return True


def told() -> list[BuildEvent]:
    events: list[BuildEvent] = []
    telling = Telling(events.append, b"/w/", bytes)
    thunk = Thunk(
        program=SandboxPath(b"/bin/x"),
        argv=(b"x",),
        cwd=SandboxPath(b"/w"),
        env=(),
        entries=(),
        groups=(),
        outputs=(Output(SandboxPath(b"/w/\xfe\n.o")),),
        work=Work.OTHER,
        model="x",
    )
    failure = Failure(Fault.INFRA, WORDS)
    telling.started(ThunkId(bytes(32)), thunk, "remote")
    telling.trouble(thunk, failure)
    telling.failed(ThunkId(bytes(32)), thunk, failure)
    return events


@pytest.mark.parametrize("stream", [io.BytesIO, _Tty])
@pytest.mark.parametrize("sink", [Plain, Quiet])
def test_every_way_to_tell_it(sink: type[Plain] | type[Quiet], stream: type[io.BytesIO]) -> None:
    out, err = stream(), stream()
    seeing = sink(TextOutput(out), TextOutput(err))
    for event in told():
        seeing.see(event)
    seeing.close()
    lines = err.getvalue().splitlines()
    assert len([line for line in lines if line.startswith(b"gg: 9 thunks")]) == 0
    assert b"\x1b" not in err.getvalue()
    assert b"\\ud800" in err.getvalue()


def test_in_files(tmp_path: Path) -> None:
    out = io.BytesIO()
    sinks = (JsonLines(TextOutput(out)), Trace(str(tmp_path / "trace.json")))
    for sink in sinks:
        for event in told():
            sink.see(event)
        sink.close()
    assert len([json.loads(line) for line in out.getvalue().splitlines()]) == 3
    assert json.loads((tmp_path / "trace.json").read_text())
