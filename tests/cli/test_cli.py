"""The command line as a person meets it: help, wrong options, nothing there, completion. No compiler runs here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gg.cli import group as cli
from gg.cli import main
from gg.cli.force_run import parse
from gg.core import placeholder
from gg.core.placeholder import PlaceholderWriter
from tests.commands.batch import programs

COMMANDS = tuple(cli._COMMANDS)
ALONE = ("init", "infer", "force", "describe", "create-thunk", "hash", "collect")  # those with a program of their own
NAMES = [f"gg {name}" for name in COMMANDS] + [f"gg-{name}" for name in ALONE]


def run(cwd: Path, line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One command line, by words, of the installed programs, with a home of its own, and a place for who has none."""
    name, *arguments = line.split()
    (homeless := cwd.with_name(f"{cwd.name}-tmp")).mkdir(exist_ok=True)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("GG_", "_GG_", "XDG_"))}
    return subprocess.run(
        [str(programs() / name), *arguments],
        cwd=cwd, env=clean | {"HOME": str(cwd / "home"), "TMPDIR": str(homeless)} | environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "w").mkdir()
    assert run(tmp_path / "w", "gg-init").returncode == 0
    return tmp_path / "w"


@pytest.mark.parametrize("name", NAMES)
def test_help(name: str, tmp_path: Path) -> None:
    done = run(tmp_path, f"{name} --help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: {name} ")
    assert "Options:" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_its_help(name: str) -> None:
    command = cli.load(name)
    for option in command.params:
        if option.param_type_name == "option" and not getattr(option, "hidden", False):
            assert getattr(option, "help", None), option.name


def test_the_group_lists_every_command(tmp_path: Path) -> None:
    said = run(tmp_path, "gg --help").stdout
    assert re.findall(r"^  ([a-z-]+)  ", said.partition("Commands:")[2], re.MULTILINE) == list(COMMANDS)


def test_version(tmp_path: Path) -> None:
    import gg

    assert run(tmp_path, "gg --version").stdout == f"gg, version {gg.__version__}\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("gg-force --xyzzy", "gg-force: no such option '--xyzzy' (see gg-force --help)"),
        ("gg-force --jobs x", "gg-force: invalid value for '--jobs' / '-j': 'x' is not a number of jobs"),
        ("gg-force --jobs 0", "gg-force: invalid value for '--jobs' / '-j': '0' is not a number of jobs"),
        ("gg-force --isolation chroot", "gg-force: invalid value for '--isolation': 'chroot' is not one of 'pathmap'"),
        ("gg-infer", "gg-infer: missing argument 'COMMAND [ARGUMENT...]' (see gg-infer --help)"),
        ("gg-infer --wrong make", "gg-infer: no such option '--wrong' (see gg-infer --help)"),
        ("gg-init --x", "gg-init: no such option '--x'"),
        ("gg-create-thunk", "gg-create-thunk: missing argument 'FUNCTION'"),
        ("gg-collect", "gg-collect: missing argument 'FILES...'"),
        ("gg-describe a b", "gg-describe: got unexpected extra argument (b)"),
        ("gg bogus", "gg: no such command 'bogus' (see gg --help)"),
        ("gg gc --max-age 3x", "gg gc: invalid value for --max-age: '3x' is no age (see gg gc --help)"),
        ("gg gc --max-size big", "gg gc: invalid value for --max-size: 'big' is no size"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(workspace: Path, line: str, said: str) -> None:
    done = run(workspace, line)
    assert done.returncode == 64
    assert done.stdout == ""
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "line", ["gg-force", "gg-force x", "gg-describe x", "gg status", "gg explain", "gg gc", "gg clean"]
)
def test_without_a_workspace(tmp_path: Path, line: str) -> None:
    done = run(tmp_path, line)
    assert done.returncode == 64
    assert done.stderr.splitlines() == [
        "gg: no workspace here: nothing was recorded in this directory or above it",
        "    record a build first: gg-infer make",
    ]
    assert not (tmp_path / ".gg").exists()


@pytest.mark.parametrize(
    "line", ["gg-force nope", "gg-force dir/nope.o", "gg-describe nope", "gg explain nope", "gg-hash nope"]
)
def test_an_unknown_target(workspace: Path, line: str) -> None:
    done = run(workspace, line)
    assert done.returncode == 66
    assert done.stderr.startswith(f"gg: {line.split()[-1]}: ")


def test_a_target_that_is_real_already(workspace: Path) -> None:
    (workspace / "real.o").write_bytes(b"real")
    assert run(workspace, "gg-force real.o").returncode == 0
    assert (workspace / "real.o").read_bytes() == b"real"


def test_nothing_to_force(workspace: Path) -> None:
    done = run(workspace, "gg-force")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("gg: 0 thunks: 0 ran, 0 cached, 0 failed in ")


def test_infer_passes_the_status_on(workspace: Path) -> None:
    (workspace / "fail").write_text("#!/bin/sh\necho said; kill -TERM $$\n")
    (workspace / "fail").chmod(0o755)
    done = run(workspace, "gg-infer --quiet ./fail")
    assert (done.returncode, done.stdout, done.stderr) == (-15, "said\n", "")
    assert run(workspace, "gg-infer --quiet false").returncode == 1
    missing = run(workspace, "gg-infer no-such-program")
    assert missing.returncode == 127
    assert missing.stderr.startswith("gg: no-such-program: command not found\n")


def test_options_of_the_command_are_its_own(workspace: Path) -> None:
    assert run(workspace, "gg-infer -q echo --quiet --jobs x -h").stdout == "--quiet --jobs x -h\n"


@pytest.fixture
def waiting(workspace: Path) -> Path:
    """A workspace with a placeholder in it, whose thunk nobody knows."""
    (workspace / "a.o").write_bytes(PlaceholderWriter(b"/bin/false").encode(bytes(32), 0))
    return workspace


def test_a_placeholder_from_elsewhere(waiting: Path) -> None:
    done = run(waiting, "gg-force a.o")
    assert done.returncode == 69
    assert done.stderr.startswith(f"gg: thunk {bytes(32).hex()} is not in the store\n    ")
    assert placeholder.parse((waiting / "a.o").read_bytes())


def test_an_unknown_engine(waiting: Path) -> None:
    done = run(waiting, "gg-force --engine moon")
    assert done.returncode == 64
    assert "gg: there is no engine 'moon'" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("jobs = -1\n", "jobs and retries are positive numbers"),
        ('isolation = "x"\n', "isolation is 'x'"),
        ("nope = 1\n", "unknown setting 'nope'"),
        ("jobs = \n", "Invalid value"),
    ],
)
def test_a_wrong_setting_names_its_file(workspace: Path, text: str, said: str) -> None:
    (workspace / "gg.toml").write_text(text)
    done = run(workspace, "gg-force")
    assert done.returncode == 64
    assert f"{workspace}/gg.toml: " in done.stderr
    assert said in done.stderr


def test_flags_go_before_the_environment_and_that_before_files(waiting: Path) -> None:
    (waiting / "gg.toml").write_text('engine = "file"\n')
    (waiting / "home" / ".config" / "gg").mkdir(parents=True)
    (waiting / "home" / ".config" / "gg" / "gg.toml").write_text('engine = "user"\n')

    def engine(line: str, **environment: str) -> str:
        return run(waiting, line, **environment).stderr.split("'")[1]

    assert engine("gg-force --engine flag", GG_ENGINE="variable") == "flag"
    assert engine("gg-force", GG_ENGINE="variable") == "variable"
    assert engine("gg-force") == "file"
    (waiting / "gg.toml").unlink()
    assert engine("gg-force") == "user"


def test_json_is_json_and_quiet_is_quiet(workspace: Path) -> None:
    import json

    lines = run(workspace, "gg-force --json").stdout.splitlines()
    assert [json.loads(line)["event"] for line in lines][-1] == "run-finished"
    done = run(workspace, "gg-force --quiet")
    assert (done.stdout, done.stderr) == ("", "")
    assert json.loads(run(workspace, "gg status --json").stdout)["placeholders"] == []


def test_internal_errors_are_one_line_and_a_traceback_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> int:
        raise ValueError("a bug")

    monkeypatch.setattr(main, "leave", sys.exit)
    monkeypatch.setattr(sys, "argv", ["gg-broken"])
    with pytest.raises(SystemExit) as end:
        main.run(broken)
    assert end.value.code == 70
    assert capsys.readouterr().err.splitlines()[0] == "gg: internal error: ValueError: a bug"
    monkeypatch.setattr(sys, "argv", ["gg-broken", "--debug"])
    with pytest.raises(ValueError, match="a bug"):
        main.run(broken)


@pytest.mark.parametrize("line", ["gg-infer true", "gg-force", "gg status", "gg-describe x"])
def test_an_interrupt_while_python_starts_shows_no_traceback(line: str, tmp_path: Path) -> None:
    """It waits until gg can answer it: Python imports `sitecustomize` before anything of ours."""
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "sitecustomize.py").write_text("import os; os.kill(os.getpid(), 2)\n")
    done = run(tmp_path, line, PYTHONPATH=str(tmp_path / "first"))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_build_is_started_with_no_signal_blocked_by_one_with_its_own_name(tmp_path: Path) -> None:
    command = [
        str(programs() / "gg-infer"),
        "--quiet",
        "sh",
        "-c",
        "cat /proc/$PPID/comm; grep SigBlk /proc/self/status",
    ]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"HOME": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.stdout.split() == ["gg-infer", "SigBlk:", "0" * 16]


# Completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("name", ["gg", "gg-infer", "gg-force"])
def test_completion_scripts(name: str, shell: str, tmp_path: Path) -> None:
    variable = f"_{name.replace('-', '_').upper()}_COMPLETE"
    done = run(tmp_path, name, **{variable: f"{shell}_source"})
    assert done.returncode == 0
    assert f"{variable}={shell}_complete" in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("gg fo", ["plain,force"]),
        ("gg-force --k", ["plain,--keep-going"]),
        ("gg-force --isolation n", ["plain,namespace"]),
        ("gg-force src/x", ["file,src/x"]),
        ("gg-infer --comp", ["plain,--compile-commands"]),
    ],
)
def test_what_is_completed(words: str, expected: list[str], tmp_path: Path) -> None:
    name, *rest = words.split()
    variable = f"_{name.replace('-', '_').upper()}_COMPLETE"
    done = run(tmp_path, name, **{variable: "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(rest))})
    assert done.stdout.split() == expected


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("", ([], {})),
        ("a.o b.o", (["a.o", "b.o"], {})),
        ("-q -k x --json", (["x"], {"quiet": True, "keep_going": True, "as_json": True})),
        ("-j4 --quiet", ([], {"jobs": 4, "quiet": True})),
        ("--jobs 2 --keep-going", ([], {"jobs": 2, "keep_going": True})),
        ("--jobs=2 -j 3", ([], {"jobs": 3})),
        ("--engine lambda --fallback=never a", (["a"], {"engine": "lambda", "fallback": "never"})),
        ("--store s3://b/p?region=r", ([], {"store": "s3://b/p?region=r"})),
    ],
)  # fmt: skip
def test_the_usual_options_of_force_are_read_without_click(line: str, request_: object) -> None:
    assert parse(line.split()) == request_


@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "-qk",
        "--nope",
        "--jobs",
        "-j",
        "-j0",
        "-jx",
        "--jobs -q",
        "--trace f",
        "-- a",
        "--engine",
        "--engine=",
        "--fallback -q",
    ],
)
def test_all_else_is_for_click(line: str) -> None:
    assert parse(line.split()) is None


def test_what_cannot_be_written_is_told() -> None:
    """The last of it is written as a command ends."""
    program = "from gg.cli import main; print('text'); main.leave(0)"
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-I", "-c", program], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (74, "gg: cannot write to standard output: No space left on device\n")
