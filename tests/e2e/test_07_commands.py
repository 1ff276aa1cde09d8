"""The other commands, each on a small workspace, as a person meets them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from contextlib import closing

import pytest

from tests.e2e.project import SCRIPTS, SECONDS, Project

MAKEFILE = """\
all: prog
prog: main.o v.o
\tgcc -o $@ main.o v.o
%.o: %.c
\tgcc -c -o $@ $<
clean:
\trm -f prog *.o
"""


@pytest.fixture
def small(project: Project) -> Project:
    project.write("main.c", "int v(void); int main(void) { return v(); }\n")
    project.write("v.c", "int v(void) { return 4; }\n")
    project.write("Makefile", MAKEFILE)
    return project


def test_life_of_a_workspace(small: Project) -> None:
    """status, describe and explain before and after a force; gc, then clean."""
    small.infer()
    told = small.gg("status").stdout
    assert b"3 placeholders wait to be forced: main.o, prog, v.o" in told
    status = json.loads(small.gg("status", "--json").stdout)
    assert status["placeholders"] == ["main.o", "prog", "v.o"]
    assert status["infer"]["thunks"] == 3

    described = json.loads(small.gg("describe", "--json", "v.o").stdout)
    assert described["argv"] == ["gcc", "-c", "-o", "v.o", "v.c"]
    assert described["cwd"] == str(small.root)
    assert described["forced"] is False
    listed = small.gg("describe", "--inputs", "v.o").stdout
    assert b"/v.c = " in listed
    by_hash = json.loads(small.gg("describe", "--json", described["thunk"]).stdout)
    assert by_hash == described
    assert b"not known yet" in small.gg("explain", "prog").stdout
    assert b"has run here" in small.gg("explain", "v.o").stdout
    assert b"every call" in small.gg("explain").stdout

    small.forced()
    assert b"0 placeholders" in small.gg("status").stdout
    described = json.loads(small.gg("describe", "--json", "v.o").stdout)
    assert described["forced"] is True
    assert described["outputs"] == [str(small.path("v.o"))]
    assert b"known" in small.gg("explain", "v.o").stdout

    small.gg("gc")
    before = small.tree()
    small.make("clean")
    assert small.build().ran == []
    assert small.tree() == before
    small.gg("clean")
    small.gg("status", status=64)
    assert small.tree() == before
    small.make("-q")


def test_explain_names_what_changed(small: Project) -> None:
    small.build()
    small.write("v.c", "int v(void) { return 5; }\n")
    small.infer()
    explained = small.gg("explain", "v.o").stdout
    assert b"changed: " + os.fsencode(small.path("v.c")) in explained


def test_calls_that_run_for_real_are_told(small: Project) -> None:
    small.write("Makefile", "prog: main.c v.c\n\tgcc -o $@ main.c v.c --no-such-option || gcc -o $@ main.c v.c\n")
    recorded = small.infer()
    assert b"1 calls ran for real" in recorded.stderr
    assert b"--no-such-option" in small.gg("explain", "--calls").stdout
    small.forced()
    small.run("./prog", status=4)


def test_gc_keeps_what_placeholders_need(small: Project) -> None:
    """Of a store that was not used for a month all goes but what the placeholders need, depfiles included."""
    small.write("Makefile", MAKEFILE.replace("-c -o", "-MMD -c -o"))
    expected, _ = small.plain()
    small.infer()
    small.path("v.c").unlink()
    age(small)
    assert b"would drop 0 of" in small.gg("gc", "--dry-run").stdout
    small.gg("gc", "--max-age", "1h", "--max-size", "1")
    small.forced()
    small.assert_tree({name: kept for name, kept in expected.items() if name != "v.c"})
    age(small)
    small.gg("gc")
    counts = json.loads(small.gg("status", "--json").stdout)["store"]
    assert sum(kind["count"] for kind in counts.values()) == 0
    small.run("./prog", status=4)


def age(project: Project) -> None:
    """Let everything in the store have been used two months ago."""
    with closing(sqlite3.connect(project.store / "store.db")) as database, database:
        database.execute("UPDATE object SET used = used - 5184000")
    for path in (project.store / "blobs").rglob("*"):
        times = path.stat()
        os.utime(path, (times.st_atime - 5184000, times.st_mtime - 5184000))


@pytest.mark.parametrize("options", [("--force",), ("--quiet", "--force", "--jobs", "1")])
def test_record_and_force_in_one(small: Project, options: tuple[str, ...]) -> None:
    expected, _ = small.plain()
    small.infer(*options, "make")
    small.assert_tree(expected)
    small.make("-q")
    small.write("v.c", "int v(void) { return 5; }\n")
    said = small.infer(*options, "make").stderr
    assert small.placeholders() == []
    small.run("./prog", status=5)
    assert (b"2 ran" in said) == ("--quiet" not in options)


def test_what_a_command_that_failed_has_left_is_forced(small: Project) -> None:
    small.infer("--force", "sh", "-c", "make; exit 3", status=3)
    assert small.placeholders() == []
    small.write("main.c", "an error\n")
    failed = small.infer("--force", "make", status=2)  # as make itself ends, told the truth
    assert b"error" in failed.stderr


def test_clean_leaves_a_tree_that_make_builds(small: Project) -> None:
    small.infer()
    dry = small.gg("clean", "--dry-run").stdout
    assert b"would remove 3 placeholders" in dry
    assert len(small.placeholders()) == 3
    small.gg("clean")
    assert sorted(small.tree()) == ["Makefile", "main.c", "v.c"]
    small.make()
    small.run("./prog", status=4)


def test_clean_keeps_the_records_on_request(small: Project) -> None:
    small.build()
    small.make("clean")
    small.infer()
    small.gg("clean", "--keep-records")
    assert small.placeholders() == []
    assert small.build().ran == []


def test_doctor_and_init(small: Project) -> None:
    first = small.gg("init").stdout
    assert first.startswith(b"a workspace now: ")
    assert small.gg("init").stdout.startswith(b"already a workspace: ")
    doctor = small.gg("doctor")
    assert b"ok    native program" in doctor.stdout
    assert b"tools that gg models: gcc" in doctor.stdout
    below = small.path("deep/er")
    below.mkdir(parents=True)
    small.run(SCRIPTS / "gg-infer", "gcc", "-c", "../../v.c", cwd=below)
    assert small.gg("status").stdout.count(b"v.o") == 1, "below, it is of this workspace"
    small.run(SCRIPTS / "gg-force", "v.o", cwd=below)
    assert (below / "v.o").read_bytes()[:4] == b"\x7fELF"


def test_compile_commands(small: Project) -> None:
    """Written by the recording, kept for what was not compiled again, without placeholders' help."""
    small.infer("--compile-commands", "make")
    path = small.path("compile_commands.json")
    entries = json.loads(path.read_text())
    assert sorted(e["file"] for e in entries) == ["main.c", "v.c"]
    for entry in entries:
        assert entry["directory"] == str(small.root)
        assert entry["arguments"][1:4] == ["-c", "-o", entry["file"].replace(".c", ".o")]
        assert os.path.isabs(entry["arguments"][0])
    small.write("v.c", "int v(void) { return 6; }\n")
    small.infer("--compile-commands", "make")
    assert sorted(e["file"] for e in json.loads(path.read_text())) == ["main.c", "v.c"]


def test_output_of_a_force(small: Project) -> None:
    """Plain lines without a terminal, nothing with --quiet, objects with --json; a trace that can be read."""
    small.infer()
    result = small.run(SCRIPTS / "gg-force", "--trace", "trace.json")
    assert b"3 ran, 0 cached, 0 failed" in result.stderr
    assert result.stdout == b""
    assert b"\x1b" not in result.stderr
    trace = json.loads(small.path("trace.json").read_text())
    names = {e.get("name") for e in (trace["traceEvents"] if isinstance(trace, dict) else trace)}
    assert {"main.o", "v.o", "prog"} <= names
    small.path("trace.json").unlink()
    small.make("clean")
    small.infer()
    quiet = small.force()
    assert (quiet.stdout, quiet.stderr) == (b"", b"")
    small.make("clean")
    small.infer()
    forced = small.forced()
    assert forced.result.stderr == b""
    assert forced.summary["cached"] == 3
    assert forced.summary["placed"] == 3


def test_nested_recording_is_one(small: Project) -> None:
    small.infer("sh", "-c", f"{SCRIPTS / 'gg-infer'} make")
    assert len(small.placeholders()) == 3
    small.forced()
    small.run("./prog", status=4)


def test_recording_without_the_interposer(small: Project) -> None:
    """PATH alone catches calls by name; what is read must then be forced by hand."""
    expected, _ = small.plain()
    small.infer("--no-interposer", "make")
    assert len(small.placeholders()) == 3
    small.forced()
    small.assert_tree(expected)


def test_executable_placeholder_forces_itself(small: Project) -> None:
    """Outside of any recording, running a program that was not forced yet forces it."""
    small.infer()
    small.run("./prog", status=4, env={"PATH": f"{SCRIPTS}:{small.env['PATH']}"})
    assert small.path("prog").read_bytes()[:4] == b"\x7fELF"
    assert small.placeholders() == []


def test_tools_that_the_settings_exclude(small: Project) -> None:
    small.write("gg.toml", 'real = ["ld", "gcc"]\n')
    small.infer()
    assert small.placeholders() == []
    small.run("./prog", status=4)


def test_output_that_nobody_reads(small: Project) -> None:
    """A closed pipe ends gg without a word."""
    small.infer()
    child = small.start("sh", "-c", f"'{SCRIPTS / 'gg'}' describe --inputs prog | true")
    _, err = child.communicate(timeout=SECONDS)
    assert b"Traceback" not in err
    assert b"rror" not in err


def test_environment_of_the_build_is_kept(small: Project) -> None:
    """The build sees its own environment, arguments, input and directory; only gg's own additions are new."""
    small.write("show.sh", 'printf "%s|" "$@"; env | grep ^MARK; pwd\n')
    shown = small.infer("sh", "show.sh", "a b", "--quiet", "", env={"MARK": "x y"})
    assert shown.stdout == b"a b|--quiet||MARK=x y\n" + os.fsencode(small.root) + b"\n"


def test_signal_to_the_recorder_alone(small: Project) -> None:
    """SIGTERM is passed on to the build, and gg-infer ends as the build does."""
    child = small.start(SCRIPTS / "gg-infer", "sh", "-c", "touch up; exec sleep 60")
    deadline = time.monotonic() + SECONDS
    while not small.path("up").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGTERM)
    _, err = child.communicate(timeout=SECONDS)
    assert child.returncode == -signal.SIGTERM
    assert b"Traceback" not in err
