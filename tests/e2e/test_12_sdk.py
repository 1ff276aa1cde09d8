"""Thunks from Python: `import gg`, futures, failures, and an example that is not a build."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import as_completed
from pathlib import Path

import pytest

import gg
from gg.errors import Interrupted, ToolMissing, UsageError
from tests.e2e.project import SCRIPTS, SECONDS

EXAMPLE = Path(__file__).parent / "wordcount" / "wordcount.py"


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[gg.Session]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GG_DIR", raising=False)
    with gg.Session(tmp_path, jobs=2) as session:
        yield session


def shell(
    session: gg.Session, text: str, *inputs: gg.Blob | gg.Output | gg.Thunk, outputs: tuple[str, ...] = ("out",)
) -> gg.Thunk:
    return session.thunk(["/bin/sh", "-c", text], inputs=inputs, outputs=outputs)


def test_dependencies_and_several_outputs(session: gg.Session) -> None:
    data = session.blob(b"b\na\nb\n", "data")
    parts = session.thunk(["sort", "-u", data, "-o", gg.out("sorted")])
    both = shell(
        session,
        "cat sorted sorted > out; echo more > log; echo said; echo warned >&2",
        parts,
        outputs=("out", "log", "no"),
    )
    last = session.thunk(["sort", both["log"], both["out"].named("text"), "-o", gg.out("last")])
    [result] = session.force(last)
    assert result.read() == b"a\na\nb\nb\nmore\n"
    [middle] = session.force(both)
    assert (middle.stdout, middle.stderr, set(middle.outputs)) == (b"said\n", b"warned\n", {"out", "log"})
    assert middle["log"].read() == b"more\n"
    assert not middle.usage.wall_ns < 0


def test_equal_thunks_are_one_and_are_known_the_second_time(session: gg.Session, tmp_path: Path) -> None:
    def make(other: gg.Session) -> gg.Thunk:
        return shell(other, "cat data > out; cat data >> out", other.blob(b"x", "data"))

    assert make(session) == make(session)
    first = session.force(make(session))[0]
    with gg.Session(tmp_path) as again:
        second = again.force(make(again))[0]
    assert (first.cached, second.cached) == (False, True)
    assert first.read() == second.read() == b"xx"


def test_futures_are_those_of_the_standard_library(session: gg.Session) -> None:
    thunks = [shell(session, f"echo {i} > out") for i in range(6)]
    done = [future.result().read() for future in as_completed([session.submit(t) for t in thunks], timeout=SECONDS)]
    assert sorted(done) == [b"%d\n" % i for i in range(6)]

    async def wait() -> bytes:
        return (await asyncio.wrap_future(session.submit(shell(session, "echo async > out")))).read()

    assert asyncio.run(wait()) == b"async\n"


def test_what_is_submitted_while_others_run_joins_them(session: gg.Session) -> None:
    """The second waits for nothing but itself: the first one ends only when the test lets it."""
    gate = session.blob(b"", "x")
    slow = session.submit(shell(session, "sleep 3; echo slow > out", gate))
    quick = session.submit(shell(session, "echo quick > out"))
    assert quick.result(timeout=SECONDS).read() == b"quick\n"
    assert not slow.done()
    assert slow.result(timeout=SECONDS).read() == b"slow\n"


def test_a_failure_is_that_of_the_thunk_and_of_all_that_need_it(session: gg.Session) -> None:
    bad = shell(session, "echo sorry >&2; exit 3")
    needs = session.thunk(["sort", bad, "-o", gg.out("sorted")])
    good = session.submit(shell(session, "echo fine > out"))
    for future in [session.submit(needs), session.submit(bad)]:
        with pytest.raises(gg.ThunkFailed, match="sorry") as caught:
            future.result(timeout=SECONDS)
        assert (caught.value.status, caught.value.stderr) == (3, b"sorry\n")
    assert good.result(timeout=SECONDS).read() == b"fine\n"
    with pytest.raises(gg.ThunkFailed, match="status 3"):
        session.force(bad)


def test_programs_that_thunks_make_and_blobs_that_are_programs(session: gg.Session, tmp_path: Path) -> None:
    (tmp_path / "p.c").write_text(
        '#include <stdio.h>\nint main(int c, char **v) { fputs("made", fopen(v[1], "w")); }\n'
    )
    subprocess.run(["cc", "-o", "p", "p.c"], cwd=tmp_path, check=True)
    own = session.thunk([session.file(tmp_path / "p"), gg.out("out")])
    copied = session.thunk(["cp", session.file(tmp_path / "p"), gg.out("copy")])
    made = session.thunk([copied, gg.out("out")])
    assert [r.read() for r in session.force(own, made)] == [b"made", b"made"]


def test_a_file_is_what_it_was_when_it_was_given(session: gg.Session, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("before")
    thunk = session.thunk(["cp", session.file(path), gg.out("copy")])
    path.write_text("after")
    assert session.force(thunk)[0].read() == b"before"


def test_names_that_meet_are_told_apart(session: gg.Session) -> None:
    thunk = session.thunk(["sort", session.blob(b"2\n", "a.txt"), session.blob(b"1\n", "a.txt"), "-o", gg.out("all")])
    assert session.force(thunk)[0].read() == b"1\n2\n"


def test_a_placeholder_is_forced_by_the_command(session: gg.Session, tmp_path: Path) -> None:
    session.placeholder(shell(session, "echo text > out"), tmp_path / "text")
    session.close()
    subprocess.run([SCRIPTS / "gg-force", "--quiet", "text"], cwd=tmp_path, check=True, timeout=SECONDS)
    assert (tmp_path / "text").read_text() == "text\n"


def test_closing_answers_what_is_not_done(session: gg.Session) -> None:
    future = session.submit(shell(session, "sleep 60; echo > out"))
    session.close()
    with pytest.raises(Interrupted):
        future.result(timeout=SECONDS)
    with pytest.raises(UsageError, match="closed"):
        session.submit(shell(session, "true"))


@pytest.mark.parametrize(
    ("command", "error", "text"),
    [
        ([], UsageError, "needs a command"),
        (["no-such-program-here"], ToolMissing, "no such program"),
        (["true"], UsageError, "at least one output"),
        ([gg.out("x")], UsageError, "its own output"),
        (["true", gg.out("../x")], UsageError, "not a name inside"),
    ],
)
def test_what_makes_no_sense_is_said(
    session: gg.Session, command: list[str | gg.Out], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        session.thunk(command)


def test_importing_gg_loads_nothing() -> None:
    program = "import sys, gg; print(sorted(m for m in sys.modules if m.startswith('gg')), gg.__version__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("['gg'] ")
    with pytest.raises(AttributeError, match="no attribute"):
        gg.nonsense  # noqa: B018


def test_the_example_of_its_page(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/sdk.md").read_text()
    example = page.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "fruit").write_text("pear\napple\n")
    (tmp_path / "nuts").write_text("pecan\napple\n")
    command = [sys.executable, "-c", example]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.stdout == "b'apple\\npear\\npecan\\n'\n", done.stderr


def test_map_and_reduce_over_files(tmp_path: Path) -> None:
    words = ["the", "a", "of", "thunk", "and", "force"]
    texts = [" ".join(words[(i * j) % 6] for j in range(40 + i)) for i in range(7)]
    for number, text in enumerate(texts):
        (tmp_path / f"t{number}").write_text(text + "\n")
    expected = sorted(Counter(" ".join(texts).split()).items(), key=lambda pair: (-pair[1], pair[0]))
    environment = {**os.environ, "HOME": str(tmp_path)}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, EXAMPLE, *(f"t{number}" for number in range(7))],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=SECONDS,
        )  # fmt: skip
        assert done.stdout == "".join(f"{count} {word}\n" for word, count in expected)
