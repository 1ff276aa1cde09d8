from __future__ import annotations

import base64
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from gg.errors import UsageError
from gg.observe import wording
from gg.observe.build_events import (
    BuildEvent,
    Diagnostics,
    Note,
    Placed,
    Progress,
    RunFinished,
    Started,
    ThunkDone,
    ThunkFailed,
    ThunkStarted,
)
from gg.observe.choose import choose
from gg.observe.jsonlines import JsonLines
from gg.observe.plain import EVERY, Plain
from gg.observe.quiet import Quiet
from gg.observe.screen import Screen, ScreenState
from gg.observe.sink import Several, TextOutput
from gg.observe.terminal import APPEARS, Terminal
from gg.observe.trace import Trace
from gg.schedule.commands import Summary
from gg.schedule.states import State as NodeState

WARNING = b"x.c:1: warning: \xff\x1b[1m unused\n"
FINISHED = RunFinished(ran=2, cached=1, failed=1, skipped=0, placed=3, wall=1.25, cpu=0.1, busy=3.0)
STORY: tuple[BuildEvent, ...] = (
    Started(4),
    ThunkStarted("a", "a.o", "local"),
    ThunkDone("b", "b.o", "local", "cached", 1.5),
    Placed("/w/b.o"),
    Progress(1, 1, 1, 0, 2, 9.0),
    ThunkDone("a", "a.o", "local", "ran", 2.0),
    Diagnostics("a.o", b"out\n", WARNING),
    ThunkStarted("c", "c.o", "lambda"),
    Note("c.o: the worker vanished (lost)"),
    ThunkStarted("c", "c.o", "local"),
    ThunkFailed("c", "c.o", 1, b"", b"c.c:3: error\n"),
    ThunkStarted("d", "d.o", "local"),
    ThunkDone("d", "d.o", "local", "ran", 0.1),
    FINISHED,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Wall:
    """A screen as a terminal of endless width and height shows it: what the sequences that are used leave there."""

    def __init__(self) -> None:
        self.lines = [""]
        self._row = self._column = 0

    def write(self, data: bytes) -> None:
        for part in re.findall(r"\x1b\[\??\d*[A-Za-z]|\x1b\[[\d;]*m|.", data.decode("utf-8", "replace"), re.DOTALL):
            self._put(part)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return True

    def _put(self, part: str) -> None:
        if part == "\n":
            self._row, self._column = self._row + 1, 0
            self.lines += [""] * (self._row + 1 - len(self.lines))
        elif part == "\r":
            self._column = 0
        elif part == "\x1b[K":
            self.lines[self._row] = self.lines[self._row][: self._column]
        elif part == "\x1b[J":
            self.lines[self._row] = self.lines[self._row][: self._column]
            del self.lines[self._row + 1 :]
        elif part.endswith("A") and part.startswith("\x1b"):
            self._row -= int(part[2:-1])
            assert self._row >= 0, "the picture would overwrite what was there before"
        elif not part.startswith("\x1b"):
            line = self.lines[self._row].ljust(self._column)
            self.lines[self._row] = line[: self._column] + part + line[self._column + 1 :]
            self._column += 1


def _told(events: Sequence[BuildEvent] = STORY) -> tuple[str, bytes, bytes]:
    """What the plain sink writes: the lines that are gg's own, standard output, standard error."""
    out, err = io.BytesIO(), io.BytesIO()
    sink = Plain(TextOutput(out), TextOutput(err))
    for event in events:
        sink.see(event)
    sink.close()
    own = [line for line in err.getvalue().decode("utf-8", "replace").splitlines() if line.startswith("gg: ")]
    return "\n".join(own), out.getvalue(), err.getvalue()


# Wording


def test_the_last_line_says_what_ran_and_why_calls_ran_for_real() -> None:
    finished = RunFinished(
        ran=640,
        cached=172,
        failed=0,
        skipped=0,
        placed=812,
        wall=42.13,
        cpu=1.0,
        busy=80.0,
        real={"unknown option -foo": 3, "a probe": 9, "x": 1, "y": 1, "z": 1, "zz": 2},
    )
    assert wording.finished(finished) == (
        "gg: 812 thunks: 640 ran, 172 cached, 0 failed in 42.1 s; "
        "17 calls ran for real (9 a probe, 3 unknown option -foo, 2 zz, 1 x, 2 for 2 other reasons)"
    )


def test_the_last_line_of_a_run_with_trouble() -> None:
    finished = RunFinished(
        ran=0, cached=0, failed=1, skipped=3, placed=0, wall=61, cpu=0, busy=0, retries={"lost": 2}, interrupted=True
    )
    assert wording.finished(finished) == (
        "gg: interrupted after 4 thunks: 0 ran, 0 cached, 1 failed, 3 not done in 1 min 1 s; "
        "2 attempts repeated (2 lost)"
    )


def test_what_each_engine_did_is_told_where_there_are_several() -> None:
    where = {
        "lambda": {"thunks": 41, "seconds": 61.2, "dollars": 0.0023},
        "local": {"thunks": 1, "seconds": 0.5, "dollars": 0.0},
    }
    finished = RunFinished(ran=42, cached=0, failed=0, skipped=0, placed=1, wall=1, cpu=0, busy=61.7, where=where)
    assert wording.shares(finished) == [
        "gg: lambda: 41 thunks, 1 min 1 s of commands, $0.0023",
        "gg: local: 1 thunk, 0.5 s of commands",
    ]
    assert wording.shares(finished._replace(where={"local": where["local"]})) == []


@pytest.mark.parametrize(
    ("value", "text", "clock"),
    [(0.04, "0.0 s", "0:00"), (59.94, "59.9 s", "1:00"), (59.96, "1 min 0 s", "1:00"), (7505, "2 h 5 min", "2:05:05")],
)
def test_durations(value: float, text: str, clock: str) -> None:
    assert (wording.seconds(value), wording.clock(value)) == (text, clock)


def test_progress_counts_the_scheduler() -> None:
    class Scheduler:
        def count(self, state: NodeState) -> int:
            return {NodeState.RUNNING: 2, NodeState.READY: 3, NodeState.BACKOFF: 4, NodeState.IDLE: 100}.get(state, 0)

        def summary(self) -> Summary:
            return Summary(finished=10, hits=4, became=1, failed=1, skipped=2)

    assert Progress.of(Scheduler(), 3.0) == Progress(running=2, done=10, cached=5, failed=3, to_go=7, eta=3.0)


# Plain and quiet


def test_plain_lines() -> None:
    own, out, err = _told()
    assert out == b"out\n"
    assert WARNING in err, "byte for byte"
    assert own.splitlines() == [
        "gg: c.o: the worker vanished (lost)",
        "gg: c.o: failed with status 1",
        "gg: 4 thunks: 2 ran, 1 cached, 1 failed in 1.2 s",
    ]


def test_plain_progress_comes_every_five_seconds_at_most() -> None:
    clock, err = Clock(), io.BytesIO()
    sink = Plain(TextOutput(io.BytesIO()), TextOutput(err), clock)
    for _ in range(1201):
        sink.see(Progress(2, 10, 4, 0, 88, 63.0))
        clock.now += 0.01
    lines = err.getvalue().decode().splitlines()
    assert len(lines) == int(12 / EVERY)
    assert lines[0] == "gg: 10 of 100 thunks done (4 cached), 2 running, 0 failed, 88 to go, ETA 1:03"


def test_many_notes_become_few() -> None:
    clock, err = Clock(), io.BytesIO()
    sink = Plain(TextOutput(io.BytesIO()), TextOutput(err), clock)
    for _ in range(1000):
        sink.see(Note("throttled"))
    clock.now += 2
    sink.see(Note("throttled"))
    assert err.getvalue().decode().splitlines() == ["gg: throttled", "gg: throttled (and 999 notes before it)"]


def test_a_line_of_ours_never_continues_a_tools_line() -> None:
    _, _, err = _told([ThunkFailed("a", "a.o", 1, b"", b"no newline"), FINISHED])
    assert err.splitlines()[:2] == [b"no newline", b"gg: a.o: failed with status 1"]


def test_a_message_of_gg_itself_is_not_said_twice() -> None:
    own, _, _ = _told([ThunkFailed("a", "a.o", 75, b"", b"gg: a.o: no engine is there\n")])
    assert own == "gg: a.o: no engine is there"


def test_quiet_shows_tools_and_failures_alone() -> None:
    out, err = io.BytesIO(), io.BytesIO()
    sink = Quiet(TextOutput(out), TextOutput(err))
    for event in STORY:
        sink.see(event)
    sink.close()
    assert out.getvalue() == b"out\n"
    assert err.getvalue() == WARNING + b"c.c:3: error\ngg: c.o: failed with status 1\n"


def test_labels_that_are_no_utf_8_come_out_as_they_went_in() -> None:
    label = os.fsdecode(b"\xff.o")
    _, _, err = _told([ThunkFailed("a", label, 2, b"", b"")])
    assert err == b"gg: \xff.o: failed with status 2\n"


def test_a_broken_pipe_silences_a_sink_and_nothing_else() -> None:
    class Broken(io.BytesIO):
        def flush(self) -> None:
            raise BrokenPipeError

    err = io.BytesIO()
    sink = Plain(TextOutput(Broken()), TextOutput(err))
    for event in STORY:
        sink.see(event)
    assert b"error" in err.getvalue()
    closed = io.BytesIO()
    closed.close()
    TextOutput(closed).write(b"x")


def test_several_sinks_see_the_same() -> None:
    out, err, more = io.BytesIO(), io.BytesIO(), io.BytesIO()
    sink = Several([Quiet(TextOutput(out), TextOutput(err)), Quiet(TextOutput(io.BytesIO()), TextOutput(more))])
    for event in STORY:
        sink.see(event)
    sink.close()
    assert out.getvalue() == b"out\n"
    assert err.getvalue() == more.getvalue()
    assert WARNING in more.getvalue()


def test_a_failure_names_its_command() -> None:
    command = wording.command_line((b"gcc", b"-DX=a b", b"-c", b"x.c"), b"sub")
    assert command == "cd sub && gcc '-DX=a b' -c x.c"
    _, _, err = _told([ThunkFailed("a", "sub/x.o", 1, b"", b"", command)])
    assert err.decode() == f"gg: sub/x.o: failed with status 1: {command}\n"


# JSON


def test_json_lines() -> None:
    clock, out = Clock(), io.BytesIO()
    sink = JsonLines(TextOutput(out), clock, now=lambda: 5.0)
    for event in STORY:
        sink.see(event)
        clock.now += 0.25
    sink.close()
    records = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [r["event"] for r in records[:4]] == ["started", "thunk-started", "thunk-done", "placed"]
    assert records[0] == {"event": "started", "t": 0.0, "version": 1, "time": 5.0, "total": 4}
    assert records[2]["t"] == 0.5
    shown = next(r for r in records if r["event"] == "diagnostics")
    assert shown["stdout"] == "out\n"
    assert "stderr" not in shown, "it is no UTF-8"
    assert base64.b64decode(shown["stderr_base64"]) == WARNING
    assert next(r for r in records if r["event"] == "thunk-failed")["stderr"] == "c.c:3: error\n"
    assert records[-1]["event"] == "run-finished"
    assert records[-1]["cached"] == 1


def test_json_progress_is_rare_and_odd_labels_survive() -> None:
    clock, out = Clock(), io.BytesIO()
    sink = JsonLines(TextOutput(out), clock)
    for _ in range(1000):
        sink.see(Progress(1, 2, 3, 4, 5))
        clock.now += 0.001
    sink.see(Placed(os.fsdecode(b"/w/\xfe")))
    records = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(records) == 3
    assert base64.b64decode(records[-1]["path_base64"]) == b"/w/\xfe"


# Trace


def test_a_trace(tmp_path: Path) -> None:
    clock = Clock()
    path = tmp_path / "trace.json"
    sink = Trace(str(path), clock)
    for event in STORY:
        sink.see(event)
        clock.now += 1
    sink.see(ThunkStarted("e", os.fsdecode(b"\xff.o"), "local"))
    sink.see(FINISHED._replace(where={"lambda": {"thunks": 2, "seconds": 3.0, "dollars": 0.25}}))
    sink.close()
    records = json.loads(path.read_text())
    spans = [(r["name"], r["cat"], r["dur"] / 1e6) for r in records if r["ph"] == "X"]
    assert spans == [
        ("a.o", "ran", 4.0),
        ("c.o", "again", 2.0),
        ("c.o", "failed", 1.0),
        ("d.o", "ran", 1.0),
        ("�.o", "given up", 0.0),
    ]
    assert {r["args"]["name"] for r in records if r["name"] == "process_name"} == {"gg", "local", "lambda"}
    (label,) = [r["args"]["labels"] for r in records if r["name"] == "process_labels"]
    assert label == "2 thunks, 3.0 s of commands, $0.2500"
    assert [r["name"] for r in records if r["ph"] == "i"] == ["b.o", "c.o: the worker vanished (lost)"]


def test_spans_side_by_side_have_rows_of_their_own(tmp_path: Path) -> None:
    sink = Trace(str(tmp_path / "t"), Clock())
    for name in "abc":
        sink.see(ThunkStarted(name, name, "local"))
    sink.see(ThunkDone("b", "b", "local", "ran", 1))
    sink.see(ThunkStarted("d", "d", "local"))
    sink.close()
    records = json.loads((tmp_path / "t").read_text())
    assert {r["name"]: r["tid"] for r in records if r["ph"] == "X"} == {"a": 0, "b": 1, "c": 2, "d": 1}


def test_a_trace_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no/such"):
        Trace(str(tmp_path / "no/such"))


# The terminal


def _terminal(wall: Wall, clock: Clock, size: tuple[int, int] = (80, 24)) -> Terminal:
    output = TextOutput(wall)
    return Terminal(output, output, 2, clock=clock, size=lambda: size, screen=Screen(colour=False), moving=False)


def test_the_picture_stands_under_what_tools_print() -> None:
    wall, clock = Wall(), Clock()
    sink = _terminal(wall, clock)
    printed = ["before"]
    wall.write(b"before\n")
    for event in STORY[:-1]:
        sink.see(event)
        clock.now += APPEARS
        sink.draw()
        if isinstance(event, (Diagnostics, ThunkFailed)):
            printed += (event.stdout + event.stderr).decode("utf-8", "replace").replace("\x1b[1m", "").splitlines()
        assert [line for line in wall.lines if line in printed] == printed
        assert " running" in "".join(wall.lines[-3:])
    sink.see(STORY[-1])
    sink.draw()
    sink.close()
    printed.insert(-1, "gg: c.o: the worker vanished (lost)")
    printed += ["gg: c.o: failed with status 1", wording.finished(FINISHED), ""]
    assert wall.lines == printed, "nothing of the picture is left"


def test_a_short_run_draws_nothing_and_does_not_import_rich() -> None:
    code = """
import io, sys
from gg.observe.choose import choose
from gg.observe.build_events import *
err = io.BytesIO()
err.fileno = lambda: 2
sink = choose(err=err, tty=True)
sink.see(Started(1)); sink.see(ThunkDone("a", "a.o", "local", "cached", 1.0))
sink.see(RunFinished(ran=0, cached=1, failed=0, skipped=0, placed=1, wall=0.1, cpu=0, busy=0)); sink.close()
assert err.getvalue() == b"gg: 1 thunk: 0 ran, 1 cached, 0 failed in 0.1 s\\n", err.getvalue()
assert not [name for name in sys.modules if name.split(".")[0] == "rich"]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_picture_has_the_counts_and_the_slow_ones() -> None:
    state = ScreenState()
    state.see(Started(100), 0)
    for index in range(9):
        state.see(ThunkStarted(f"{index}", f"src/{index}.o", "local"), float(index))
    state.see(Progress(9, 20, 5, 1, 70, 63.0), 10.0)
    lines = Screen(colour=False).lines(state, 10.0, 99, 5)
    assert len(lines) == 5
    assert lines[0].endswith("20 done (5 cached)  9 running  1 failed  70 to go  ETA 1:03")
    assert lines[0].startswith("━")
    assert [line.split() for line in lines[1:4]] == [["0:10", "src/0.o"], ["0:09", "src/1.o"], ["0:08", "src/2.o"]]
    assert lines[4].strip() == "and 6 more"


@pytest.mark.parametrize("width", [20, 40, 79, 200])
@pytest.mark.parametrize("height", [1, 2, 5])
def test_a_picture_keeps_to_its_size(width: int, height: int) -> None:
    state = ScreenState(total=2000)
    for index in range(300):
        name = "directory/" * 30 + os.fsdecode(b"\xff\n\x1b[2J") + "日本.o"
        state.see(ThunkStarted(f"{index}", name, f"engine-{index % 2}"), 0.0)
    lines = Screen(colour=False).lines(state, 3700.0, width, height)
    assert len(lines) == height
    assert all(len(line) <= width for line in lines)
    assert "\x1b[2J" not in "".join(lines), "a file's name does not steer the terminal"


def test_the_picture_moves_on_a_real_terminal() -> None:
    """In a pseudo-terminal, with the thread: it appears by itself, and leaves nothing but the tool's bytes."""
    code = """
import time
from gg.observe.choose import choose
from gg.observe.build_events import *
sink = choose()
sink.see(Started(2)); sink.see(ThunkStarted("a", "a.o", "local"))
time.sleep(0.9)
sink.see(Diagnostics("a.o", b"", b"a warning\\n"))
sink.close()
"""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color"}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    data = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # EIO: the other end is closed
            break
        if not part:
            break
        data += part
    os.close(ours)
    assert process.wait() == 0
    assert b"running" in data
    wall = Wall()
    wall.write(data)
    assert wall.lines == ["a warning", ""]


@pytest.mark.parametrize(
    ("quiet", "as_json", "kind"), [(False, False, Plain), (True, False, Quiet), (True, True, JsonLines)]
)
def test_choose(quiet: bool, as_json: bool, kind: type) -> None:
    assert type(choose(quiet=quiet, as_json=as_json, out=io.BytesIO(), err=io.BytesIO())) is kind


def test_choose_adds_a_trace(tmp_path: Path) -> None:
    sink = choose(out=io.BytesIO(), err=io.BytesIO(), trace=str(tmp_path / "t.json"))
    sink.see(Started(1))
    sink.close()
    assert json.loads((tmp_path / "t.json").read_text())
