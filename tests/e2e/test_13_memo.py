"""Whole commands remembered by what they were seen to look at: replayed when that is as it was, and only then."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.e2e.project import Project

HEAD = "#!/bin/sh\n# A configure step in small. Its log has the number of its process, which tells whether it ran.\n"


def configure(project: Project, body: str, command: str = "./configure") -> bytes:
    """Run a configure script of this body under --trace; its standard output."""
    if not project.path("configure").exists() or project.path("configure").read_text() != HEAD + body:
        project.write("configure", HEAD + body, 0o755)
    return project.infer("--trace", *command.split()).stdout


def remembered(project: Project) -> bool:
    """Whether the last one was."""
    return b'"remembered": 1' in (project.records / "history.jsonl").read_bytes().splitlines()[-1]


TRIAL = """
echo $$ > config.log
echo 'int main(void) { return 0; }' > conftest.c
cc -o conftest conftest.c && ./conftest && echo works
echo '#include <no/such.h>' > conftest.c
cc -c conftest.c 2>> config.log || echo missing >&2
rm -f conftest*
mkdir -p sub/deep && echo "#define X 1" > sub/deep/config.h && ln -sf deep/config.h sub/link && chmod 750 sub/deep
"""


def test_the_second_time_is_the_first_again(project: Project) -> None:
    assert configure(project, TRIAL) == b"works\n"
    assert not remembered(project)
    before = project.tree()
    project.run("rm", "-rf", "sub", "config.log")
    again = project.infer("--trace", "./configure")
    assert (again.stdout, again.stderr.startswith(b"missing\n")) == (b"works\n", True)
    assert remembered(project)
    assert project.tree() == before
    assert (
        project.infer("--trace", "--quiet", "sh", "-c", "rm -r sub config.log && exec ./configure").stdout == b"works\n"
    )
    assert remembered(project), "the interposer turns it to the recorder too"
    assert project.tree() == before


LOOKS = """
echo $$ > config.log
test -f inc/new.h && echo new
cat inc/old.h
ls inc | wc -l
echo "$SETTING"
test -x tools/t && ./tools/t
readlink lnk
"""


def looked_at(project: Project) -> None:
    project.write("inc/old.h", "old\n")
    project.write("inc/other.h", "other\n")
    project.write("tools/t", "#!/bin/sh\necho tool\n", 0o755)
    project.path("lnk").symlink_to("somewhere")


@pytest.mark.parametrize(
    "change",
    [
        "echo > inc/new.h",
        "echo changed > inc/old.h",
        "rm inc/old.h",
        "echo > inc/third.h",
        "rm inc/other.h",
        "echo 'echo other tool' >> tools/t",
        "chmod -x tools/t",
        "ln -sfn elsewhere lnk",
        "echo 'echo more' >> configure",
        "echo before > config.log",
        "ln -sfn /etc/passwd config.log",
    ],
)
def test_what_it_looked_at_has_changed(project: Project, change: str) -> None:
    looked_at(project)
    configure(project, LOOKS)
    project.path("config.log").unlink()
    assert project.infer("--trace", "./configure").status == 0
    assert remembered(project), "nothing has changed yet"
    project.path("config.log").unlink()
    project.run("sh", "-c", change)
    if "passwd" in change:
        project.write("target", "")
        project.run("ln", "-sfn", "target", "config.log")
    expected, plain = project.plain("./configure", status=None)
    got = project.infer("--trace", "./configure", status=None)
    assert not remembered(project)
    assert (got.status, got.stdout) == (plain.status, plain.stdout)
    assert sorted(project.tree()) == sorted(expected)


def test_other_arguments_and_surroundings(project: Project) -> None:
    looked_at(project)
    configure(project, LOOKS)
    for command, env in ((("./configure", "--x"), {}), (("./configure",), {"SETTING": "on"})):
        for known in (False, True):
            project.path("config.log").unlink()
            done = project.infer("--trace", *command, env=env)
            assert remembered(project) is known
            assert (b"on" in done.stdout) is bool(env)


def test_what_needs_not_count_does_not(project: Project) -> None:
    """A file that it did not look at, its own temporary files, and files that it makes and reads again."""
    body = "echo $$ > config.log; t=$(mktemp); echo a > $t; cat $t; rm $t; echo b > c1; mv c1 c2; cat c2; rm c2\n"
    assert configure(project, body) == b"a\nb\n"
    project.path("config.log").unlink()
    project.write("unread.c", "int x;\n")
    assert project.infer("--trace", "./configure").stdout == b"a\nb\n"
    assert remembered(project)


def test_an_input_that_is_named_through_a_new_directory(project: Project) -> None:
    project.write("source", "one\n")
    body = "mkdir b; cd b; test -f ../source && cat ../source > copy\n"
    for text, known in (("one\n", False), ("one\n", True), ("two\n", False)):
        project.run("rm", "-rf", "b")
        project.write("source", text)
        configure(project, body)
        assert (remembered(project), project.path("b/copy").read_text()) == (known, text)


def test_a_failure_is_remembered_too(project: Project) -> None:
    project.write("configure", HEAD + "echo no >&2; test -e wanted || exit 3; echo yes\n", 0o755)
    for known in (False, True):
        failed = project.infer("--trace", "./configure", status=3)
        assert failed.stderr.startswith(b"no\n")
        assert remembered(project) is known
    project.write("wanted", "")
    assert project.infer("--trace", "./configure").stdout == b"yes\n"


def test_files_that_are_there_already_are_read_as_they_were(project: Project) -> None:
    """config.status and its like leave an output alone that is as it should be: its old bytes are an input."""
    body = "echo $$ > config.log; echo new > t; if cmp -s t out; then echo same; rm t; else mv t out; fi\n"
    for out, said in ((None, b""), ("new\n", b"same\n"), ("old\n", b"")):
        for known in (False, True):
            project.run("rm", "-f", "config.log", "out")
            if out:
                project.write("out", out)
            assert configure(project, body) == said
            assert (remembered(project), project.path("out").read_text()) == (known, "new\n")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("head -c 4 /dev/urandom > r", "random numbers"),
        ("mkdir d && mv d e", "moves a directory"),
        ("cat /proc/self/stat > s", "/proc/self/stat"),
        ("mkfifo p", "no file"),
        ("kill -TERM $$", "signal"),
    ],
)
def test_what_cannot_be_watched_is_not_remembered(project: Project, body: str, why: str) -> None:
    for _ in range(2):
        project.run("rm", "-rf", "r", "d", "e", "s", "p")
        project.write("configure", HEAD + body + "\n", 0o755)
        project.infer("--trace", "./configure", status=None)
        assert not remembered(project)
        assert why in project.gg("explain").text


def test_one_that_talks_to_another_process(project: Project) -> None:
    path = str(project.root.parent / "socket")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def answer() -> None:
        with server.accept()[0] as connection:
            connection.sendall(b"x")

    thread = threading.Thread(target=answer)
    thread.start()
    program = f"use IO::Socket::UNIX; $s = IO::Socket::UNIX->new('{path}'); sysread($s, $x, 1); print $x"
    assert configure(project, f'perl -e "{program}"\n'.replace("$", "\\$")) == b"x"
    assert "through a socket" in project.gg("explain").text
    thread.join()
    server.close()


def test_an_input_that_is_edited_meanwhile(project: Project) -> None:
    project.write("read.txt", "one")
    wait = "until test -e {}; do sleep 0.05; done"
    edit = f"({wait.format('begun')}; echo two > read.txt; echo > edited) &\nexec ./configure\n"
    project.write("edit", HEAD + edit, 0o755)
    body = f"cat read.txt; echo > begun; {wait.format('edited')}; echo read\n"
    assert configure(project, body, "./edit") == b"oneread\n"
    assert "somebody else changed" in project.gg("explain").text


def test_a_placeholder_that_it_reads_is_forced_and_nothing_is_remembered(project: Project) -> None:
    project.write("x.c", "int x;\n")
    body = "wc -c < x.o > size\n"
    project.write("configure", HEAD + body, 0o755)
    project.write("Makefile", "size: x.o\n\t./configure\nx.o: x.c\n\tcc -c x.c\n")
    project.infer("--trace", "make")
    assert int(project.path("size").read_text()) > 256
    assert "through a socket" in project.gg("explain").text


def test_a_build_by_cmake_is_recorded_and_not_traced(project: Project) -> None:
    project.write("CMakeLists.txt", "cmake_minimum_required(VERSION 3.16)\nproject(p C)\nadd_executable(p p.c)\n")
    project.write("p.c", "int main(void) { return 0; }\n")
    project.infer("--trace", "cmake", "-S", ".", "-B", "b")
    recorded = project.infer("--trace", "cmake", "--build", "b")
    assert b"recorded 2 thunks" in recorded.stderr
    project.force()
    project.run(project.path("b/p"))


def test_without_the_flag_nothing_is_traced(project: Project) -> None:
    project.write("configure", HEAD + "echo $$ > config.log\n", 0o755)
    project.infer("./configure")
    project.write("gg.toml", 'trace = ["configure"]\n')
    for known in (False, True):
        project.path("config.log").unlink()
        project.infer("./configure")
        assert remembered(project) is known
