"""What a stranger has put into a tree leads none of gg's own commands out of it, and none astray."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gg.core.ids import ThunkId
from gg.core.placeholder import Placeholder, PlaceholderWriter
from gg.workspace.older import Older
from gg.workspace.stamps import Stamps
from tests.aws.test_team import NAMED
from tests.e2e.project import SCRIPTS, Project
from tests.e2e.test_20_trust import on_a_terminal
from tests.support.deep import deep

GOOD = "int main(void) { return 7; }\n"
PROG = "prog: m.c\n\tgcc -o prog m.c\n"


@pytest.fixture
def victim(project: Project) -> Path:
    """A directory of the user's, beside the tree."""
    directory = project.root.parent / "victim"
    (directory / "letters").mkdir(parents=True)
    (directory / "letters" / "one").write_text("precious\n")
    (directory / "notes").write_text("precious\n")
    return directory


def is_whole(victim: Path) -> bool:
    names = sorted(str(path.relative_to(victim)) for path in victim.rglob("*"))
    texts = {path.read_text() for path in victim.rglob("*") if path.is_file()}
    return names == ["letters", "letters/one", "notes"] and texts == {"precious\n"}


# An export


PLANTED = ("trees", "trees/x", "trees/other", "graph.json", "default.nix", "gg-lay")


@pytest.mark.parametrize("name", [*PLANTED, ""])
def test_an_export_goes_through_no_link(name: str, project: Project, victim: Path) -> None:
    project.write("m.c", GOOD)
    project.write("Makefile", PROG)
    project.infer()
    place = project.path("gg-nix")
    if name:
        (place / name).parent.mkdir(parents=True)
        (place / name).symlink_to(victim if name.startswith("trees") else victim / "notes")
    else:
        os.rename(victim / "letters", victim / "trees")
        for path in victim.glob("*"):
            if path.name != "trees":
                path.unlink()
        place.symlink_to(victim)
    done = project.gg("export", "nix", "prog", status=None)
    assert "internal error" not in done.text
    assert done.status in ((0,) if name.startswith("trees/") else (64, 65)), done.text
    assert is_whole(victim) if name else (victim / "trees" / "one").read_text() == "precious\n"


def test_an_export_believes_no_tree_that_it_finds(project: Project) -> None:
    """Its digest may have come with it."""
    project.write("m.c", GOOD)
    project.write("Makefile", PROG)
    project.infer()
    project.gg("export", "nix", "prog")
    top = project.path("gg-nix")
    laid = next(path for path in top.rglob("m.c"))
    before = (top / "graph.json").read_bytes()
    laid.write_text("int main(void) { return 8; }\n")
    project.gg("export", "nix", "prog")
    assert laid.read_text() == GOOD
    (laid.parent / "more.h").write_text("int more;\n")
    project.gg("export", "nix", "prog")
    assert not (laid.parent / "more.h").exists()
    assert (top / "graph.json").read_bytes() == before


# What is undone


OUTSIDE = {
    "echo > ../victim/notes": "a redirection",
    "rm ../victim/notes": "a name",
    "touch out/notes": "through a link",
}


@pytest.mark.parametrize("line", OUTSIDE, ids=OUTSIDE.values())
def test_what_only_a_text_says_is_undone_in_the_tree_alone(line: str, project: Project, victim: Path) -> None:
    """The user works on while a build is recorded. That the build has changed the file is what a line says that was never run."""
    project.write("bad.c", "int x = nosuch;\n")
    project.path("out").symlink_to(victim)
    rule = f"bad.o: bad.c\n\tgcc -c bad.c\n\tif false; then {line}; fi\n"
    project.write("Makefile", f"all: bad.o other\nother:\n\tsleep 1\n\tsh ../edit\n{rule}")
    project.write("../edit", "echo edited meanwhile > ../victim/notes\n")
    project.infer("make", "-k", "-j2", status=None)
    project.force(status=None)
    assert (victim / "notes").read_text() == "edited meanwhile\n"


def test_a_link_that_leads_out_later(project: Project, victim: Path) -> None:
    project.write("bad.c", "int x = nosuch;\n")
    project.write("out/notes", "of the tree\n")
    rule = "bad.o: bad.c\n\tgcc -c bad.c\n\techo > out/notes\n\trm -r out\n\tln -s ../victim out\n\tsh ../edit\n"
    project.write("Makefile", rule)
    project.write("../edit", "sleep 0.1; echo edited meanwhile > ../victim/notes\n")
    project.infer("make", status=None)
    project.force(status=None)
    assert (victim / "notes").read_text() == "edited meanwhile\n"


def test_a_link_that_another_user_puts_there_meanwhile(
    project: Project, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a directory where everybody may write."""
    log, thunk = project.write("log", "before\n"), ThunkId(bytes(32))
    stamps = Stamps(str(project.root.parent), str(project.root))
    stamps.note(thunk, [bytes(log)])
    log.write_text("after\n")
    copy = shutil.copy2

    def swapped(source: bytes, target: bytes, *, follow_symlinks: bool) -> None:
        log.unlink(missing_ok=True)
        log.symlink_to(victim / "notes")
        copy(source, target, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(shutil, "copy2", swapped)
    stamps.undo([thunk], lambda thunk: 1)
    assert is_whole(victim)
    assert log.read_text() == "before\n"
    assert not log.is_symlink()


def test_an_older_file_is_put_back_through_no_link(
    project: Project, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where records are on another disk it is copied beside its path. A name with the process's number in it can be guessed."""
    place, of = bytes(project.path("x.o")), Placeholder(ThunkId(bytes(32)), 0)
    older, written = Older(str(project.root.parent)), PlaceholderWriter(b"/bin/false").encode(of.thunk, 0)
    project.write("x.o", "older\n")
    older.keep(place, of)
    os.unlink(place)
    project.write("x.o", written)
    project.path(f"x.o.{os.getpid()}").symlink_to(victim / "notes")
    real, disks = os.rename, [True]

    def rename(source: bytes, target: bytes) -> None:
        if disks:
            disks.pop()
            raise OSError(18, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    assert older.put_back(place, of)
    assert project.path("x.o").read_text() == "older\n"
    assert is_whole(victim)


# Names on a terminal

NAMES = (b"\x1b]0;mallory\x07", b"\xff\x9b2J", "\x9b2J".encode(), "x\u202ey".encode())


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii"])
def test_no_name_is_an_order(encoding: str, project: Project) -> None:
    """Whatever Python makes of the locale: a terminal that is said to be ASCII obeys as any other."""
    project.env["PYTHONIOENCODING"] = encoding
    for name in NAMES:
        project.write(name + b".c", "int f(void) { return 1; }\n")
    project.write("build.sh", 'for f in *.c; do gcc -c "$f" -o "$f.o"; done\n')
    project.write("Makefile", "all:\n\tsh build.sh\n")
    project.infer()
    project.force()
    for name in NAMES:
        for command in (["describe"], ["show"], ["verify"], ["export", "ninja"], ["export", "graphviz"]):
            path = os.fsdecode(bytes(project.root) + b"/" + name + b".c.o")
            status, said = on_a_terminal(project, [SCRIPTS / "gg", *command, path], "")
            assert status == 0, said
            assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", said), ascii(said)


def test_no_name_is_a_line_of_its_own(project: Project) -> None:
    """Whoever reads what gg prints into a pipe takes a line for gg's."""
    name = b"x\ngg: 9 placeholders\ngg\tforced"
    project.write(name + b".c", GOOD)
    project.write("build.sh", 'for f in *.c; do gcc -c "$f" -o "$f.o"; done\n')
    project.write("Makefile", "all:\n\tsh build.sh\n")
    project.infer()
    made = os.fsdecode(bytes(project.root) + b"/" + name + b".c.o")
    said = [project.gg("status").text, project.gg("describe", made).text]
    project.force()
    said += [project.gg(*words).text for words in (["show", made], ["verify", made], ["explain"], ["describe", made])]
    project.write(name + b".c", "#error no\n")
    project.infer()
    project.force(status=1)  # what gcc says of it has the name as it is
    said += [project.gg("status").text, project.gg("explain", made, status=None).text]
    lines = [line for text in said for line in text.splitlines()]
    assert [line for line in lines if r"x\x0agg: 9 placeholders\x0agg\x09forced.c" in line]
    assert not [line for line in lines if line.startswith("gg: 9 placeholders")]


def test_what_an_export_is_read_by_has_every_byte(project: Project) -> None:
    project.write(b"\x1bm\xff.c", GOOD)
    project.write("Makefile", "all:\n\tgcc -o prog *.c\n")
    project.infer()
    piped = project.gg("export", "ninja", "prog").stdout
    project.gg("export", "ninja", "prog", "-o", "../build.ninja")
    assert piped == project.path("../build.ninja").read_bytes()
    assert b"\x1bm\xff.c" in piped


def test_what_a_tool_says_while_it_is_exported_or_verified(project: Project) -> None:
    project.write("say.c", "#error \x1b]0;mallory\x07\n")
    project.write("Makefile", "all: say.o\n")
    for command in (["export", "json"], ["verify"]):
        project.infer()
        status, said = on_a_terminal(project, [SCRIPTS / "gg", *command, "say.o"], "")
        assert status
        assert "mallory" in said
        assert "\x1b]0" not in said
        assert "\x07" not in said


def test_an_estimate_is_drawn_without_orders(project: Project) -> None:
    project.write("m.c", GOOD)
    project.write("Makefile", PROG)
    project.infer()
    status, said = on_a_terminal(project, [SCRIPTS / "gg-force", "--estimate"], "")
    assert status == 0
    assert "What forcing this would take" in said
    assert "x1b" not in ascii(said)


# Traps that a plain build does not meet


def test_what_is_no_text_keeps_nobody_waiting(project: Project) -> None:
    project.write("m.c", GOOD)
    project.write("Makefile", f"ifdef NEVER\ninclude trap\ninclude /dev/zero\nendif\n{PROG}\trm -f m.d\n")
    for name in ("trap", ".ninja_deps", ".ninja_log"):
        os.mkfifo(project.path(name))
    with open(project.path("compile_commands.json"), "wb") as file:
        file.truncate(1 << 40)
    project.seconds = 30
    project.gg("infer", "--compile-commands", "make")
    project.force()
    assert project.run(project.path("prog"), status=7)
    assert project.path("compile_commands.json").stat().st_size < 1 << 20


@pytest.mark.parametrize("line", ['#include "holes"', '__asm__(".incbin \\"holes\\"");'], ids=["header", "incbin"])
def test_a_file_of_holes_fills_neither_memory_nor_the_store(line: str, project: Project) -> None:
    """The compiler does not look at it. gg takes whatever a source may read for an input."""
    project.write("m.c", f"#if 0\n{line}\n#endif\n{GOOD}")
    with open(project.path("holes"), "wb") as file:
        file.truncate(6 << 30)
    project.write("Makefile", PROG)
    project.seconds = 30
    done = project.run("sh", "-c", 'ulimit -v 4000000; exec "$0" make', SCRIPTS / "gg-infer")
    project.force()
    assert project.run(project.path("prog"), status=7)
    assert "a file of holes" in done.text
    kept = sum(path.stat().st_size for path in project.cache.rglob("*") if path.is_file())
    assert kept < 1 << 30


def test_a_tree_deeper_than_any_call_may_go(project: Project) -> None:
    project.write("m.c", GOOD)
    project.write("Makefile", "m.o: m.c\n\tgcc -MD -MF m.d -c m.c; mkdir deps; mv m.d deps/other.d\n")
    with deep(project.path("deep")):
        project.infer()
        project.force()
        assert project.path("deps/other.d").read_text().startswith("m.o: m.c")
        assert "internal error" not in project.gg("compare", ".", "deep", status=1).text


def test_a_script_that_is_read_from_a_pipe_is_the_shells(project: Project) -> None:
    project.write("m.c", GOOD)
    os.mkfifo(project.path("script"))
    writer = subprocess.Popen(["sh", "-c", "echo gcc -c m.c > script; echo done > told"], cwd=project.root)
    try:
        project.seconds = 30
        project.run(SCRIPTS / "gg-infer", "sh", "script")
        project.force()
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert project.path("m.o").exists()


@pytest.mark.parametrize("way", ["incbin", "include", "linked"])
def test_nothing_of_the_users_home_leaves_with_an_export(way: str, project: Project) -> None:
    """nix's store is everybody's. What is the user's own goes there if the user says so, and nobody reads the export before."""
    secret = Path(project.env["HOME"]) / "token"
    secret.write_text("#define TOKEN 4711\n")
    project.write("m.c", NAMED[way].replace("%s", str(secret)), 0o600)
    project.path("leads-out").symlink_to(secret)
    project.infer("gcc", "-c", "m.c")
    told = project.gg("export", "nix", "m.o", status=65).text
    assert f"gg: m.o is made of {secret}, which is not the build's own" in told
    assert not project.path("gg-nix").exists()
    project.env["GG_READABLE"] = str(secret)
    project.gg("export", "nix", "m.o")
    assert project.path("gg-nix").stat().st_mode & 0o77 == 0


# How gg starts


OF_PYTHON = {
    "PYTHONHOME": (".", "lib"),
    "PYTHONPATH": (":/nonexistent", "/nonexistent:", ".", "lib:/nonexistent"),
    "PYTHONPYCACHEPREFIX": (".",),
    "PYTHONUSERBASE": (".", "lib"),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in OF_PYTHON.items() for value in values])
def test_no_module_of_the_tree_is_loaded(name: str, value: str, project: Project) -> None:
    """An empty place in PYTHONPATH (`export PYTHONPATH=$PYTHONPATH:/opt/x`) is the directory at hand."""
    library = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
    places = (".", "lib", library, f"{library}/site-packages", f"lib/{library}", f"lib/{library}/site-packages")
    for directory in places:
        for module in ("sitecustomize", "usercustomize", "click", "encodings/__init__", "gg/__init__"):
            project.write(f"{directory}/{module}.py", f"open({str(project.path('loaded'))!r}, 'w')\n")
    project.env[name] = value
    assert "no workspace here" in project.gg("status", status=None).text
    seen = project.infer("--quiet", "env").stdout.decode()
    assert f"\n{name}={value}\n" in f"\n{seen}"
    assert "GG_GIVEN" not in seen
    project.force()
    assert not project.path("loaded").exists()


OF_AWS = {
    "HOME": ".",
    "AWS_CONFIG_FILE": ".aws/config",
    "AWS_SHARED_CREDENTIALS_FILE": ".aws/config",
    "AWS_CA_BUNDLE": ".aws/config",
    "AWS_DATA_PATH": "/nonexistent:.aws",
}


@pytest.mark.parametrize("name", OF_AWS)
def test_no_file_of_the_tree_says_who_the_user_is_to_aws(name: str, project: Project) -> None:
    """A configuration of AWS may name a command that tells the keys: `export HOME=.` is what some do in a CI."""
    project.write("m.c", GOOD)
    project.infer("gcc", "-c", "m.c")
    command = f"credential_process = touch {project.path('ran')}"
    project.write(".aws/config", f"[default]\nregion = eu-west-1\n{command}\n[profile default]\n{command}\n")
    project.env["GG_STORAGE_URI"] = "s3://bucket/p?region=eu-west-1"
    project.env |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    if name == "HOME":
        project.env["XDG_CACHE_HOME"] = str(project.cache.parent)
    project.env[name] = OF_AWS[name]
    done = project.run(SCRIPTS / "gg", "doctor", status=None)
    assert not project.path("ran").exists()
    if name != "HOME":
        assert f"{name} is .aws" in done.text
    else:
        assert "\nHOME=.\n" in "\n" + project.infer("--quiet", "env").stdout.decode()


PIPES = {
    "a linker's script": "gcc -o prog m.o -Wl,-T,trap",
    "an object": "gcc -o prog m.o trap.o",
    "a library": "gcc -o prog m.o -L. -ltrap",
    "a member": "ar rc l.a m.o trap.o",
    "a header": "gcc -include trap -c m.c -o n.o",
}


@pytest.mark.parametrize("command", PIPES.values(), ids=PIPES)
def test_a_tool_that_is_given_a_pipe_holds_nobody_else_up(command: str, project: Project) -> None:
    """The tool itself waits, until somebody ends it."""
    project.acts = True
    project.write("m.c", GOOD)
    project.write("Makefile", f"all:\n\tgcc -c m.c\n\t-timeout 1 {command}\n\tgcc -c m.c -o last.o\n")
    for name in ("trap", "trap.o", "libtrap.so"):
        os.mkfifo(project.path(name))
    project.seconds = 60
    project.infer()
    for name in ("trap", "trap.o", "libtrap.so"):
        project.path(name).unlink()
    project.force()
    assert not project.placeholders()
    assert project.path("last.o").exists()
