"""`gg builds`, `gg show` and `gg stats`: what they say of runs that a compiler really took part in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gg.workspace.runs import RunRecord, is_name
from tests.cli.test_cli import run
from tests.commands.batch import programs


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which two files were recorded and forced, and then what was known of one was forced again."""
    path = tmp_path_factory.mktemp("builds") / "w"
    (path / "home").mkdir(parents=True)
    (path / "a.c").write_text("int a;\n")
    (path / "b.c").write_text("int b;\n")
    (path / "build").write_text("gcc -c a.c\ngcc -c b.c\ngcc -E b.c > /dev/null\n")
    for line in ("gg-infer sh build", "gg-force", "gg-infer gcc -c a.c", "gg-force a.o"):
        done = run(path, line)
        assert done.returncode == 0, done.stderr
    return path


def _json(place: Path, line: str) -> list[dict[str, object]]:
    done = run(place, line)
    assert done.returncode == 0, done.stderr
    return [json.loads(text) for text in done.stdout.splitlines()]


def test_builds_are_listed_the_latest_first(place: Path) -> None:
    listed = _json(place, "gg builds --json")
    assert [each["what"] for each in listed] == ["force", "infer", "force", "infer"]
    assert listed[0]["targets"] == ["a.o"]
    assert listed[1]["command"] == ["gcc", "-c", "a.c"]
    table = run(place, "gg builds -n 2").stdout.splitlines()
    assert table[0].split() == ["name", "began", "what", "status", "thunks", "took", "cost", "of"]
    assert [line.split()[0] for line in table[1:]] == [each["name"] for each in listed[:2]]


def test_builds_of_all_workspaces(place: Path, tmp_path: Path) -> None:
    home = str(place / "home")
    elsewhere = run(tmp_path, "gg builds --all --json", HOME=home)
    assert {json.loads(line)["workspace"] for line in elsewhere.stdout.splitlines()} == {str(place)}
    assert run(tmp_path, "gg builds", HOME=home).returncode != 0  # this directory is in none


def test_what_ran_where_and_what_was_saved(place: Path) -> None:
    last, _, first, _ = _json(place, "gg builds --json")
    where = first["where"]
    assert isinstance(where, dict)
    assert where["local"]["thunks"] == 2
    assert where["local"]["seconds"] == pytest.approx(first["busy"])
    assert (first["saved"], last["where"], last["cached"]) == (0, {}, 1)
    saved = last["saved"]
    assert isinstance(saved, float)
    assert 0 < saved < where["local"]["seconds"]


def test_one_build_is_shown(place: Path) -> None:
    last, _, first, recorded = _json(place, "gg builds --json")
    assert _json(place, f"gg show --json {first['name']}") == [first]
    shown = run(place, f"gg show {first['name']}").stdout
    assert "2 thunks: 2 ran, 0 cached, 0 failed" in shown
    assert "2 thunks ran on local, for " in shown
    assert "what was known had taken" in run(place, f"gg show {last['name']}").stdout
    shown = run(place, f"gg show {recorded['name']}").stdout
    assert shown.startswith("gg-infer sh build\nin " + str(place))
    assert "2 thunks, 2 of them new" in shown


def test_a_file_is_shown_as_describe_does(place: Path) -> None:
    described = run(place, "gg describe b.o").stdout
    assert described.startswith("thunk ")
    assert run(place, "gg show b.o").stdout == described
    assert run(place, f"gg show {described.split()[1]}").stdout == described
    unknown = run(place, "gg show 0123456")
    assert unknown.returncode != 0
    assert "Traceback" not in unknown.stderr


def test_stats_by_day(place: Path) -> None:
    (told,) = _json(place, "gg stats --json")
    total = told["total"]
    assert isinstance(total, dict)
    counts = {name: total[name] for name in ("recorded", "forced", "ran", "hits", "fetched", "failed", "dollars")}
    assert counts == {"recorded": 2, "forced": 2, "ran": 2, "hits": 1, "fetched": 0, "failed": 0, "dollars": 0}
    assert total["busy"] > total["saved"] > 0
    head, *rows = run(place, "gg stats").stdout.splitlines()
    assert head.startswith("day ")
    assert "1 (33%)" in rows[-1]


def test_what_is_old_is_not_counted(place: Path) -> None:
    (history,) = (place / "home").rglob("history.jsonl")
    before = history.read_text()
    lines = [json.loads(line) for line in before.splitlines()]
    try:
        history.write_text("".join(json.dumps({**line, "time": line["time"] - 40 * 86400}) + "\n" for line in lines))
        assert run(place, "gg stats").stdout == "nothing was recorded or forced in the last 30 days\n"
        assert "1 (33%)" in run(place, "gg stats --days 50").stdout
    finally:
        history.write_text(before)


def _start(place: Path, *words: str) -> subprocess.Popen[bytes]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("GG_", "_GG_", "XDG_"))}
    return subprocess.Popen(words, cwd=place, env={**clean, "HOME": str(place / "home")}, start_new_session=True)


def test_what_is_going_on(place: Path) -> None:
    wait = "import os, time\nopen('begun', 'w').close()\nwhile os.path.exists('begun'): time.sleep(0.02)\n"
    child = _start(place, str(programs() / "gg-infer"), sys.executable, "-c", wait)
    try:
        while not (place / "begun").exists():
            time.sleep(0.05)
        (told,) = _json(place, "gg builds --running --json")
        assert (told["what"], told["pid"], told["workspace"]) == ("infer", child.pid, str(place))
        assert f"process {child.pid}" in run(place, "gg builds --running").stdout
    finally:
        (place / "begun").unlink(missing_ok=True)
        child.wait()
    assert run(place, "gg builds --running").stdout == "nothing is going on\n"


def test_who_was_killed_does_not_go_on(place: Path) -> None:
    child = _start(place, str(programs() / "gg-infer"), "sh", "-c", "touch begun; exec sleep 600")
    while not (place / "begun").exists():
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    (place / "begun").unlink()
    assert run(place, "gg builds --running").stdout == "nothing is going on\n"
    (records,) = (place / "home").rglob("builds")
    assert list(records.iterdir()) == []


def test_lines_of_an_earlier_version(tmp_path: Path) -> None:
    run_of_old = RunRecord("12345678", str(tmp_path), {"what": "force", "time": 1.0})
    assert (run_of_old.words, run_of_old.number("saved"), run_of_old.dollars) == ([], 0, 0)


def test_what_may_be_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beef").touch()
    assert [is_name(text) for text in ("0a1b2c3d", "0a1b", "abc", "0a1b2c3d4", "0a1g", "beef")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip
