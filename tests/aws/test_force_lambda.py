"""gg-force --engine lambda, through the Lambda service and an S3 server: identical bytes from an empty bucket."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.project import Project
from tests.e2e.test_06_fibonacci import programs, start
from tests.servers.cloud import cloud
from tests.servers.deployed import Deployed, bare_project, deployed, share_wheels
from tests.servers.seaweed import Seaweed

MAKEFILE = """CFLAGS = -O1 -g -Wall
prog: main.o part.o lib.a ; $(CC) -o $@ main.o part.o lib.a
lib.a: util.o ; ar rcs $@ util.o
%.o: %.c part.h ; $(CC) $(CFLAGS) -c $< -o $@
clean: ; rm -f prog *.o lib.a
"""
SOURCES = {
    "Makefile": MAKEFILE,
    "part.h": "int part(int);\nint util(int);\n",
    "main.c": '#include <stdio.h>\n#include "part.h"\nint main(void) { printf("%d\\n", part(util(2))); return 0; }\n',
    "part.c": '#include "part.h"\nint part(int x) { int unused; return x + 1; }\n',
    "util.c": '#include "part.h"\nint util(int x) { return x * 21; }\n',
}


@pytest.fixture(scope="module")
def functions(seaweed_server: Seaweed) -> Iterator[Deployed]:
    with deployed(seaweed_server, memory="1024") as here:
        yield here


def test_the_same_bytes_from_an_empty_bucket(here: Deployed, project: Project) -> None:
    plain, _ = project.plain("make")
    project.infer("make")
    before = here.invocations()
    forced = project.forced("--fallback", "never", "--jobs", "4")
    assert {"main.o", "part.o", "util.o", "lib.a", "prog"} <= set(forced.ran)
    assert "unused" in forced.result.text, "the compiler's warning"
    project.assert_tree(plain)
    assert project.run("./prog").stdout == b"43\n"
    assert here.invocations() - before >= 5
    assert project.make("-q").stdout == b"", "nothing to do"


def test_one_file_is_one_invocation_when_warm(here: Deployed, project: Project) -> None:
    project.build("make")
    project.write("util.c", SOURCES["util.c"].replace("21", "22"))
    project.infer("make", "util.o")
    before = here.invocations()
    assert project.forced("util.o").ran == ["util.o"]
    assert here.invocations() - before == 1


def test_a_second_checkout_runs_no_compiler(here: Deployed, project: Project) -> None:
    project.gg("key", "new")
    project.infer("make")
    project.forced("--fallback", "never")
    first = project.tree()
    for path in project.root.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, text in SOURCES.items():
        project.write(name, text)
    project.infer("make")
    before = here.invocations()
    forced = project.forced("--fallback", "never")
    assert (forced.ran, len(forced.cached)) == ([], 5)
    assert here.invocations() == before
    project.assert_tree(first)


def test_a_compile_error_is_the_users(here: Deployed, project: Project) -> None:
    project.write("part.c", "int part(int x) { return y; }\n")
    project.infer("make")
    result = project.force("--fallback", "never", status=1)
    assert "part.c:1:" in result.text
    assert result.text.count("first use in this function") == 1


def test_what_cannot_run_there_runs_here_and_is_told(here: Deployed, project: Project) -> None:
    flags = "CFLAGS=-O2 -march=native -mtune=generic"
    plain, _ = project.plain("make", "util.o", flags)
    project.infer("make", "util.o", flags)
    before = here.invocations()
    result = project.force("--fallback", "never", status=75)
    assert "this machine's processor" in result.text
    assert "this machine's processor" in project.gg("force").text
    assert here.invocations() == before
    project.assert_tree(plain)


def test_known_as_another_path(here: Deployed, project: Project, tmp_path: Path) -> None:
    """Made there under the fixed path, with the bytes that the plain command makes at that path, and placed here."""
    (tmp_path / "known").mkdir()
    fixed = bare_project(tmp_path / "known", SOURCES)
    fixed.make()
    expected = {name: fixed.path(name).read_bytes() for name in ("main.o", "part.o", "util.o", "lib.a", "prog")}
    shutil.rmtree(fixed.root)
    project.env["GG_KNOWN_AS"] = str(fixed.root)
    project.infer("make")
    before = here.invocations()
    forced = project.forced("--fallback", "never")
    assert set(forced.ran) == set(expected)
    assert here.invocations() - before >= len(expected)
    assert {name: project.path(name).read_bytes() for name in expected} == expected
    assert str(project.root).encode() not in expected["main.o"]
    assert project.make("-q").stdout == b""


def test_thunks_that_make_thunks(here: Deployed, project: Project) -> None:
    """What names this workspace's store runs here, and that is told; the value is the same."""
    programs(project, "dynamic")
    target = start(project, 6)
    result = project.force("--fallback", "never", target.name, status=75)
    assert "makes thunks, which needs this workspace" in result.text
    said = project.gg("force", target.name).text
    assert "makes thunks, which needs this workspace" in said
    assert target.read_text() == "8"


def test_an_archive_of_bitcode_has_the_plugin_that_reads_it(here: Deployed, project: Project) -> None:
    """`ar` writes symbols of bitcode into the archive only if LLVM's plugin is there; else it goes without."""
    makefile = "lib.a: util.o ; ar rcs $@ util.o\nutil.o: util.c part.h ; clang -O1 -flto -c $< -o $@\n"
    project.write("Makefile", makefile)
    plain, _ = project.plain("make")
    assert plain["lib.a"].data.startswith(b"!<arch>\n/ "), "it has an index of symbols"
    project.infer("make")
    assert "lib.a" in project.forced("--fallback", "never").ran
    project.assert_tree(plain)


def test_the_whole_way_of_a_user(seaweed_server: Seaweed, tmp_path: Path) -> None:
    """Record, deploy, force, undeploy: with credentials and a region, and nothing else set."""
    project = bare_project(tmp_path, SOURCES)
    with cloud(seaweed_server) as servers:
        project.env |= servers.environment()
        share_wheels(tmp_path / "home")
        plain, _ = project.plain("make")
        project.infer("make")
        assert "gg-force --engine lambda" in project.gg("deploy", "lambda").text
        project.gg("force", "--jobs", "100", "--engine", "lambda", "--fallback", "never", "prog")
        project.assert_tree(plain)
        assert servers.functions.state()["invocations"] >= 5
        project.gg("undeploy", "--with-bucket")
        assert servers.functions.client().list_functions()["Functions"] == []
        project.infer("make", "clean", "prog")
        project.gg("force", "--engine", "lambda")  # all is known: nobody is asked
        project.write("part.c", project.path("part.c").read_text() + "int more;\n")
        project.infer("make", "prog")
        assert "gg deploy lambda" in project.gg("force", "--engine", "lambda", status=78).text


def test_what_a_build_reads_while_it_is_recorded(here: Deployed, project: Project) -> None:
    """A generator that the build makes and runs is made by the same engine as all else, from the same store."""
    project.write("Makefile", MAKEFILE + "table: prog ; ./prog > $@\n")
    plain, _ = project.plain("make", "table")
    before = here.invocations()
    project.infer("make", "table")
    assert here.invocations() - before >= 5
    project.forced("--fallback", "never")
    project.assert_tree(plain)


def test_the_sdk_forces_there(here: Deployed, project: Project) -> None:
    program = (
        "import gg\n"
        "with gg.Session(engine='lambda', fallback='never') as session:\n"
        "    lines = session.thunk(['sort', '-u', session.file('util.c'), '-o', gg.out('lines')])\n"
        "    print(session.submit(lines).result().engine)\n"
    )
    before = here.invocations()
    assert project.run(sys.executable, "-c", program).stdout == b"lambda\n"
    assert here.invocations() - before >= 1


def test_what_a_source_takes_out_of_a_home_runs_here(here: Deployed, project: Project, tmp_path: Path) -> None:
    """It is in no request and no pack, and neither is what was made of it; the rest runs there."""
    secret = tmp_path / "home" / "token"
    secret.write_text("the token\n")
    project.write("util.c", f'__asm__(".incbin \\"{secret}\\"");\n' + SOURCES["util.c"])
    plain, _ = project.plain("make")
    project.infer("make")
    before = here.invocations()
    told = project.gg("force", "--jobs", "4").text
    assert f"reads {secret}, which is not the build's own" in told
    assert 2 <= here.invocations() - before <= 4, "main.o and part.o; lib.a and prog have it in them"
    project.assert_tree(plain)
