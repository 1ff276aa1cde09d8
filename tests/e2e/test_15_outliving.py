"""What a recorded command leaves running goes on when gg-infer has ended or was killed: its calls run for real."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.e2e.project import SCRIPTS, Project

# Runs one command after the other, as a build daemon does, until it is told to quit.
SERVER = """
while read -r line <requests; do
    [ "$line" = quit ] && exit
    sh -c "$line" >out 2>err
    echo $? >status.new; mv status.new status
done
"""


class Daemon:
    """A server that a recorded command started, and that has outlived it."""

    def __init__(self, project: Project, *options: str) -> None:
        self.project = project
        project.write("server.sh", SERVER)
        project.run("mkfifo", "requests")
        starter = "setsid sh server.sh >/dev/null 2>&1 </dev/null & :"
        project.run(SCRIPTS / "gg-infer", "--quiet", *options, "sh", "-c", starter)

    def run(self, line: str, status: int | None = 0) -> bytes:
        """What the command printed, errors after the rest."""
        self.project.path("status").unlink(missing_ok=True)
        ask = 'echo "$1" >requests; while [ ! -e status ]; do sleep 0.01; done'
        self.project.run("timeout", "60", "sh", "-c", ask, "sh", line)
        said = self.project.path("out").read_bytes() + self.project.path("err").read_bytes()
        ended = int(self.project.path("status").read_text())
        assert status is None or ended == status, (ended, said)
        return said

    def quit(self) -> None:
        self.project.run("timeout", "60", "sh", "-c", "echo quit >requests")


@pytest.fixture
def sources(project: Project) -> Project:
    project.write("main.c", "int f(void);\nint main(void) { return f(); }\n")
    project.write("f.c", "int f(void) { return 7; }\n")
    return project


@pytest.mark.parametrize("options", [(), ("--no-interposer",)])
def test_a_daemon_compiles(sources: Project, options: tuple[str, ...]) -> None:
    daemon = Daemon(sources, *options)
    daemon.run("gcc -c main.c && /usr/bin/gcc -c f.c && ar rcs libf.a f.o && gcc -o prog main.o libf.a")
    assert sources.placeholders() == []
    assert b"error: expected" in daemon.run("echo 'int f(' >g.c; gcc -c g.c", status=1)
    daemon.run("env -i PATH=$PATH gcc -c f.c")
    daemon.quit()
    sources.run("./prog", status=7)


@pytest.mark.parametrize("options", [(), ("--no-interposer",)])
def test_a_daemon_meets_placeholders(sources: Project, options: tuple[str, ...]) -> None:
    """What is linked, archived or executed is made first, all that one call names in one go."""
    sources.infer("sh", "-c", "gcc -c main.c; gcc -c f.c; gcc -o prog main.o f.o", deferred=3)
    daemon = Daemon(sources, *options)
    daemon.run("gcc -o linked main.o f.o && ./linked", status=7)
    assert sources.placeholders() == ["prog"]
    daemon.run("./prog", status=7)
    assert sources.placeholders() == []
    daemon.quit()


def test_a_daemon_reads_placeholders(sources: Project) -> None:
    sources.infer(
        "sh", "-c", "gcc -c main.c; gcc -c f.c; mkdir lib; gcc -c f.c -o x.o; ar rcs lib/libf.a x.o; rm x.o", deferred=4
    )
    daemon = Daemon(sources)
    daemon.run("cat f.o >copy.o && cmp f.o copy.o")
    daemon.run("gcc -o prog main.o -Llib -lf && ./prog", status=7)  # named by no argument
    assert sources.placeholders() == []
    daemon.quit()


def test_a_daemon_with_a_static_program(sources: Project) -> None:
    sources.write("cat.c", "#include <stdio.h>\nint main(int n, char **v) { FILE *f = fopen(v[1], \"r\"); int c;\n"
                           "while ((c = getc(f)) != EOF) putchar(c); return n - 2; }\n")  # fmt: skip
    sources.run("gcc", "-static", "-o", "scat", "cat.c")
    sources.infer("gcc", "-c", "f.c", deferred=1)
    daemon = Daemon(sources)
    daemon.run("./scat f.o >copy.o && cmp f.o copy.o")
    assert sources.placeholders() == []
    daemon.quit()


def test_what_cannot_be_made_is_an_error(sources: Project) -> None:
    """Nobody waits for ever, and nobody reads the placeholder's own bytes."""
    sources.write("bad.c", "int f(void) { return missing; }\n")
    sources.infer("gcc", "-c", "bad.c", deferred=1)
    if sources.placeholders() == ["bad.o"]:
        daemon = Daemon(sources)
        assert b"missing" in daemon.run("cat bad.o", status=1)
        sources.write("bad.c", "int f(void) { return 7; }\n")
        daemon.run("gcc -c bad.c -o bad.o && gcc -c main.c && gcc -o prog main.o bad.o && ./prog", status=7)
        daemon.quit()


def test_the_next_recording_is_not_the_daemons(sources: Project) -> None:
    """Its calls run for real while another gg-infer records in the same workspace, and that one records its own."""
    daemon = Daemon(sources)
    ask = 'gcc -c main.c; rm -f status; echo "gcc -c f.c" >requests; while [ ! -e status ]; do sleep 0.01; done'
    sources.infer("sh", "-c", ask)
    assert sources.placeholders() == ["main.o"]
    daemon.run("gcc -o prog main.o f.o && ./prog", status=7)
    daemon.quit()


def test_a_daemon_records_anew(sources: Project) -> None:
    """gg-infer and gg-force below a daemon that an earlier gg-infer started are as anywhere."""
    daemon = Daemon(sources)
    daemon.run(f"{SCRIPTS}/gg-infer --quiet sh -c 'gcc -c main.c; gcc -c f.c'")
    assert sources.placeholders() == ["f.o", "main.o"]
    daemon.run(f"{SCRIPTS}/gg-force --quiet f.o")
    assert sources.placeholders() == ["main.o"]
    daemon.run(f"{SCRIPTS}/gg-infer --quiet --force gcc -o prog main.o f.o && ./prog", status=7)
    daemon.quit()


MAKEFILE = """
prog: first killed second lib.a
	gcc -o prog main.o lib.a
first:
	gcc -c main.c
killed:
	$(KILL)
second:
	gcc -c f.c
	sh -c 'cat main.o f.o >both'
lib.a: second
	ar rcs lib.a f.o
"""


def test_the_recorder_is_killed(sources: Project) -> None:
    """make goes on: what it calls runs for real, and reads what was recorded before."""
    sources.write("Makefile", MAKEFILE)
    expected, _ = sources.plain("make", "KILL=")
    child = sources.start(SCRIPTS / "gg-infer", "sh", "-c", "make KILL='kill -KILL '$PPID; echo $? >ended")
    said, errors = child.communicate(timeout=60)
    sources.run("timeout", "60", "sh", "-c", "while [ ! -s ended ]; do sleep 0.05; done")
    assert sources.path("ended").read_text() == "0\n", said + errors
    assert json.loads(sources.gg("status", "--json").stdout)["store"]["thunk"]["count"] == 1
    sources.force()
    sources.assert_tree(expected, ["ended"])


def test_the_recorder_is_killed_while_somebody_waits(sources: Project) -> None:
    """A reader that waits for the recorder's answer is let go, and makes the file itself."""
    sources.infer("gcc", "-c", "f.c", deferred=1)
    sources.write(
        "stop.sh", "kill -STOP $PPID; cat f.o >copy.o & sleep 0.3; kill -KILL $PPID; wait $!; echo $? >ended\n"
    )
    child = sources.start(SCRIPTS / "gg-infer", "sh", "stop.sh")
    child.communicate(timeout=60)
    sources.run("timeout", "60", "sh", "-c", "while [ ! -s ended ]; do sleep 0.05; done")
    assert sources.path("ended").read_text() == "0\n"
    sources.run("cmp", "f.o", "copy.o")
    assert sources.placeholders() == []


def test_background_jobs(sources: Project) -> None:
    """One that compiles on after gg-infer has ended, with all that it started before."""
    sources.write(
        "job.sh",
        "gcc -c main.c; : >begun; (while [ ! -e go ]; do sleep 0.02; done; gcc -c f.c; gcc -o prog main.o f.o; echo $? >ended)\n",
    )
    start = "nohup sh job.sh & while [ ! -e begun ]; do sleep 0.02; done"
    sources.run("sh", "-c", f"exec {SCRIPTS}/gg-infer sh -c '{start}' >words 2>&1")
    assert sources.placeholders() == ["main.o"]
    sources.write("go", "")
    sources.run("timeout", "60", "sh", "-c", "while [ ! -s ended ]; do sleep 0.05; done")
    assert sources.path("ended").read_text() == "0\n"
    sources.run("./prog", status=7)


def test_masquerades_along_the_path(sources: Project) -> None:
    """A link to ccache named gcc looks for another gcc along PATH, and must not meet the shim there."""
    ccache = shutil.which("ccache")
    assert ccache
    sources.path("masked").mkdir()
    sources.path("masked/gcc").symlink_to(ccache)
    daemon = Daemon(sources, "--no-interposer")
    daemon.run(
        f"PATH={sources.path('masked')}:$PATH; gcc -c f.c && PATH=${{PATH#*:}}:{sources.path('masked')} gcc -c main.c"
    )
    assert sources.placeholders() == []
    daemon.quit()
