"""The processes of a recorded build see what they would see without gg: each command is compared with `env COMMAND`."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

import pytest

from tests.e2e.project import SCRIPTS, Project, Result

INFER = f"{SCRIPTS}/gg-infer --quiet"


def both(project: Project, line: str, env: Mapping[str, str] | None = None) -> tuple[Result, Result]:
    """`line`, a shell's, where `GG` is before the build's own command: with `env`, and with `gg-infer`."""
    plain = project.run("sh", "-c", line.replace("GG", "env"), status=None, env=env)
    return plain, project.run("sh", "-c", line.replace("GG", INFER), status=None, env=env)


def assert_same(project: Project, line: str, env: Mapping[str, str] | None = None) -> Result:
    plain, ours = both(project, line, env)
    assert ours == plain, line
    return plain


# Descriptors

SHOW_DESCRIPTORS = "for fd in 0 1 2 3 4 5 6 7 8 9; do readlink /proc/self/fd/$fd | sed 's/[[].*//'; done >fds"


@pytest.mark.parametrize(
    "redirections", ["", "3>log 7<show.sh", "<&-", ">&-", "2>&-", "<&- >&- 2>&-", "<&- 4>log", "<show.sh >&- 9>&2"]
)
def test_descriptors(project: Project, redirections: str) -> None:
    project.write("show.sh", SHOW_DESCRIPTORS + "\n")
    seen = []
    for program in ("env", INFER):
        project.run("sh", "-c", f"exec {program} sh show.sh {redirections}", status=None)
        seen.append(project.path("fds").read_bytes())
    assert seen[0] == seen[1]


def test_descriptors_are_used(project: Project) -> None:
    project.write("in", "first\nsecond\n")
    result = assert_same(project, "GG sh -c 'cat <&5; echo said >&6' 5<in 6>out; cat out")
    assert result.stdout == b"first\nsecond\nsaid\n"
    assert_same(project, "exec 9>lock; flock 9; GG sh -c 'flock -n 9 && echo mine; flock -n lock true || echo taken'")


@pytest.mark.parametrize("style", ["fifo", "pipe"])
def test_jobserver(project: Project, style: str) -> None:
    """A make below another has its parent's slots, and says nothing of a jobserver that it cannot find."""
    project.write("Makefile", "all:\n\t+$(GG) $(MAKE) -s -f in.mk\n")
    project.write("in.mk", "all:\n\t@echo done $(filter -j%,$(MAKEFLAGS))\n")
    shown = []
    for program in ("", INFER):
        result = project.run("make", "-s", "-j2", f"--jobserver-style={style}", f"GG={program}", status=None)
        if b"jobserver-style" in result.stderr:  # an older make has pipes alone
            result = project.run("make", "-s", "-j2", f"GG={program}")
        shown.append(result.stderr)
        assert result.stdout.startswith(b"done")
    assert shown == [b"", b""]


def test_descriptors_do_not_reach_what_is_forced(project: Project) -> None:
    """A lock that the build holds is its own: what gg starts for itself does not hold it."""
    project.write("main.c", "int main(void) { return 0; }\n")
    line = "exec 9>lock; flock 9; gcc -o main main.c; ./main; exec 9>&-; flock -n lock echo free"
    assert project.infer("sh", "-c", line, deferred=1).stdout == b"free\n"


# Environment

ENVIRONMENTS = ["env -i", "env -i LANG=C", "env -i LC_ALL=POSIX", "env -i LANG=en_US.UTF-8", "env -i LC_CTYPE=C.UTF-8"]


@pytest.mark.parametrize("given", [*ENVIRONMENTS, "env -u PATH", "env PYTHONUTF8=1 SHLVL=7 EMPTY="])
def test_environment(project: Project, given: str) -> None:
    """Python, started in the C locale, sets LC_CTYPE; gg names the shims on a PATH that some programs get."""
    project.write("show.sh", "env | grep -v -e ^GG_ -e ^LD_PRELOAD= -e ^_= | sort\n")
    assert_same(project, f"{given} sh -c 'exec GG sh show.sh'")


def test_messages_in_the_c_locale(project: Project) -> None:
    """A compiler that runs for real quotes as it would: with plain quotes."""
    project.write("a.c", "int f(void) { return missing; }\n")
    result = assert_same(project, "env -i PATH=$PATH sh -c 'GG gcc -fsyntax-only a.c'")
    assert b"'missing' undeclared" in result.stderr


# Signals and how a command ends


@pytest.mark.parametrize("ignored", ["INT QUIT", "HUP", "PIPE XFSZ", "CHLD", "USR1"])
def test_ignored_signals(project: Project, ignored: str) -> None:
    if ignored == "CHLD":  # a shell does not ignore it
        line = "env --ignore-signal=CHLD GG grep -e SigIgn -e SigBlk /proc/self/status"
    else:
        line = f"trap '' {ignored}; GG grep -e SigIgn -e SigBlk /proc/self/status; exit 0"
    assert b"SigIgn:\t0000000000000000" not in assert_same(project, line).stdout
    assert_same(project, "GG grep -e SigIgn -e SigBlk /proc/self/status")


def test_who_ignores_its_children_is_told_how_they_end(project: Project) -> None:
    project.write("main.c", "int main(void) { return 0; }\n")
    line = f"env --ignore-signal=CHLD sh -c '{INFER} gcc -o main main.c && {SCRIPTS}/gg-force --quiet; {INFER} false'"
    project.run("sh", "-c", line, status=1)
    project.run("./main")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGINT, signal.SIGHUP])
def test_a_command_that_a_signal_ends(project: Project, number: signal.Signals) -> None:
    result = assert_same(project, f"exec GG sh -c 'kill -{int(number)} $$'")
    assert result.status == -number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_is_passed_on(project: Project, number: signal.Signals) -> None:
    child = f"trap 'echo got; exit 5' {number.name[3:]}; touch up; while :; do sleep 0.05; done"
    project.write("wait.sh", child + "\n")
    line = f"rm -f up; GG sh wait.sh & while [ ! -e up ]; do sleep 0.02; done; kill -{int(number)} $!; wait $!"
    assert assert_same(project, line) == Result(5, b"got\n", b"")


def test_kill_of_the_whole_group(project: Project) -> None:
    assert_same(project, "exec setsid -w GG sh -c 'trap : TERM; kill -TERM 0; echo went on; exit 3'")


def test_a_script_without_a_first_line(project: Project) -> None:
    project.write("build", 'echo "$0 $1"\n', 0o755)
    assert assert_same(project, "GG ./build x").stdout == b"./build x\n"
    assert_same(project, "PATH=.:$PATH; GG build y")


def test_a_background_job_is_not_waited_for(project: Project) -> None:
    """It holds what would tell a reader of the pipe that all is over; gg-infer itself ends with its command."""
    line = "GG sh -c 'sleep 60 & echo $! >pid'; cat pid | xargs kill; echo ended"
    assert assert_same(project, line).stdout == b"ended\n"


def test_tools_by_path_and_below_no_path(project: Project) -> None:
    """A command that is itself a tool is recorded, by its name or its path; without PATH a driver does not find its parts."""
    project.write("main.c", "int main(void) { return 0; }\n")
    for command in ("gcc", "/usr/bin/gcc"):
        project.infer(command, "-c", "main.c")
        assert project.placeholders() == ["main.o"], command
        project.path("main.o").unlink()
    line = ("env", "-u", "PATH", SCRIPTS / "gg-infer", "/bin/sh", "-c")
    plain = project.run("env", "-u", "PATH", "/bin/sh", "-c", "gcc -c main.c", status=1)
    assert project.run(*line, "gcc -c main.c", status=1).stderr.startswith(plain.stderr)
    project.run(*line, "/usr/bin/gcc -c main.c")
    assert project.placeholders() == ["main.o"]


def test_mask_and_priority(project: Project) -> None:
    assert_same(
        project, "umask 0027; nice -n 3 GG sh -c 'umask; nice; echo $PPID >/dev/null; cat /proc/self/oom_score_adj'"
    )
    assert_same(project, "ulimit -n 100; ulimit -s 4096; ulimit -c 0; GG sh -c 'ulimit -a; ulimit -H -a'")


def test_directory_by_its_name(project: Project) -> None:
    project.path("real").mkdir()
    project.path("link").symlink_to("real")
    result = assert_same(project, "cd link; GG sh -c 'echo $PWD; pwd; pwd -P'")
    assert result.stdout.splitlines()[0] == os.fsencode(project.path("link"))


REMOVED = "mkdir gone; cd gone; rmdir ../gone; "


def test_a_directory_that_was_removed(project: Project) -> None:
    """What is called there by names that need no directory works; gg-infer itself records nothing there."""
    project.write("f.c", "int f(void) { return 7; }\n")
    project.write("main.c", "int f(void); int main(void) { return f(); }\n")
    top = project.root
    compiles = f"gcc -c {top}/f.c -o {top}/f.o && cd {top} && sha256sum f.o"
    assert_same(project, f"GG sh -c '{REMOVED}{compiles}'")
    assert_same(project, f"GG sh -c '{REMOVED}gcc -c {top}/f.c'")
    inner = project.run("sh", "-c", f"{REMOVED}exec {INFER} gcc -c {top}/f.c -o {top}/g.o")
    assert b"nothing is recorded" in inner.stderr
    assert project.path("g.o").read_bytes() == project.path("f.o").read_bytes()
    assert b"directory is gone" in project.run("sh", "-c", f"{REMOVED}{SCRIPTS}/gg-force", status=64).stderr
    read = (
        f"gcc -c {top}/f.c -o {top}/in.o; {REMOVED}ar rcs {top}/l.a {top}/in.o; gcc -o {top}/p {top}/main.c {top}/l.a"
    )
    project.infer("sh", "-c", f"{read}; {top}/p", status=7)


def test_a_directory_deeper_than_a_path(project: Project) -> None:
    project.write(
        "deep.sh", "for i in $(seq 25); do mkdir -p $N; cd -P ./$N; done\necho 'int g;' >g.c; gcc -c g.c && echo made\n"
    )
    name = {"N": "d" * 200}
    assert project.run("bash", "deep.sh", env=name).stdout == b"made\n"
    assert project.infer("bash", "deep.sh", env=name).stdout == b"made\n"


# Resource limits

LIMITS = ["-s 4096", "-S -s unlimited", "-v 4000000", "-t 50", "-f 100000", "-n 50", "-S -d 4000000"]


@pytest.mark.parametrize("limit", LIMITS)
def test_a_call_with_other_limits_runs_at_once(project: Project, limit: str) -> None:
    """What is forced later runs under gg-force's limits."""
    project.write("main.c", "int main(void) { return 0; }\n")
    project.infer("sh", "-c", f"ulimit {limit}; gcc -c main.c")
    assert project.placeholders() == []
    assert b"resource limits" in project.gg("explain").stdout


def test_a_limit_that_is_exceeded(project: Project) -> None:
    """The size of a file, and the stack that a deep expression needs, decide in the build itself."""
    project.write("big.c", "char big[200000] = {1};\n")
    line = "GG sh -c 'ulimit -f 100; gcc -c big.c 2>&1 || gcc -DSMALL -fsyntax-only big.c && echo other'"
    assert_same(project, line)


def test_limits_that_all_of_it_has(project: Project) -> None:
    """gg-infer's own are no others; more open files than it may have, and core dumps, do not matter."""
    project.write("main.c", "int main(void) { return 0; }\n")
    line = f"ulimit -s 4096; ulimit -S -n 200; {INFER} sh -c 'ulimit -n 300; ulimit -c 0; gcc -c main.c'"
    project.run("sh", "-c", line)
    assert project.placeholders() == ["main.o"]


@pytest.mark.parametrize("flags", ["", "--no-interposer"])
def test_ignored_signals_and_what_the_kernel_tells(flags: str, project: Project) -> None:
    """A command that is started with a signal ignored is watched all the same."""
    project.write("a.c", "int a;\n")
    script = "gcc -c a.c; wc -c < a.o > size"
    expected, _ = project.plain("sh", "-c", script)
    project.run("sh", "-c", f"trap '' PIPE; '{SCRIPTS}/gg-infer' {flags} sh -c '{script}'")
    project.force()
    project.assert_tree(expected)
