"""Blame is right: the user's errors are shown once, with the tool's status; bad input is told in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gg.core import placeholder
from tests.e2e.project import SCRIPTS, Project

UNITS = 50
BAD = 23


def many_units(project: Project) -> None:
    for i in range(UNITS):
        project.write(f"u{i:02}.c", f"int u{i}(void) {{ return {i}; }}\n")
    project.write(f"u{BAD}.c", "int broken(void) { return no_such_name; }\n")
    objects = " ".join(f"u{i:02}.o" for i in range(UNITS))
    project.write(
        "Makefile",
        f"all: all.a other.a\nall.a: {objects}\n\tar rc $@ $^\nother.a: u00.o\n\tar rc $@ $^\n"
        "%.o: %.c\n\tgcc -O0 -c -o $@ $<\n",
    )


def test_one_error_among_many_units(project: Project) -> None:
    many_units(project)
    plain = project.run("gcc", "-O0", "-c", "-o", f"u{BAD}.o", f"u{BAD}.c", status=1)
    project.infer()
    stopped = project.forced("--jobs", "2", status=1)
    assert not {"all.a", f"u{BAD}.o"} & set(project.placeholders()), "what fails, and what needs it, are not made"

    kept = project.forced("--keep-going", "--jobs", "2", status=1)
    failures = [e for e in kept.events if e["event"] == "thunk-failed"]
    assert [(f["label"], f["status"], f["stderr"]) for f in failures] == [(f"u{BAD}.o", 1, plain.stderr.decode())]
    starts = [e["label"] for e in kept.events if e["event"] == "thunk-started"]
    assert starts.count(f"u{BAD}.o") == 1
    assert not set(kept.ran) & set(stopped.ran), "what was forced is forced again"
    assert project.placeholders() == []
    assert kept.summary["failed"] == 1
    assert kept.summary["retries"] == {}

    shown = project.force(status=1)
    assert shown.stderr.count(b"no_such_name") == plain.stderr.count(b"no_such_name")
    assert plain.stderr in shown.stderr
    project.write(f"u{BAD}.c", "int fixed(void) { return 0; }\n")
    assert project.build().ran == ["all.a", f"u{BAD}.o"]
    project.make("-q")


def test_archive_whose_member_was_mended(project: Project) -> None:
    """Made anew by the same ar and ranlib, an archive does not wait for what it would have held before."""
    project.write("a.c", "int a(void) { return no_such_name; }\n")
    project.write("Makefile", "lib.a: a.o\n\tar rc $@ a.o\n\tranlib $@\na.o: a.c\n\tgcc -c a.c\n")
    project.infer()
    project.force(status=1)
    project.write("a.c", "int a(void) { return 1; }\n")
    assert project.build().ran == ["a.o", "lib.a", "lib.a"]
    expected, _ = project.plain("sh", "-c", "rm lib.a && make -B")
    project.assert_tree(expected)


def test_status_of_the_tool(project: Project) -> None:
    """ld's failure through the driver, and as' own."""
    project.write("main.c", "int missing(void); int main(void) { return missing(); }\n")
    project.write("Makefile", "prog: main.c\n\tgcc -o $@ main.c\n")
    _, plain = project.plain(status=2)
    project.infer()
    failed = project.force(status=1)
    assert b"undefined reference to `missing'" in failed.stderr
    assert plain.stderr.count(b"undefined reference") == failed.stderr.count(b"undefined reference")
    assert project.placeholders() == []


def test_missing_header(project: Project) -> None:
    project.write("main.c", '#include "gone.h"\nint main(void) { return 0; }\n')
    project.write("Makefile", "prog: main.c\n\tgcc -o prog main.c\n")
    _, plain = project.plain(status=2)
    recorded = project.infer(status=None)
    shown = recorded.stderr
    if recorded.status == 0:
        shown += project.force(status=1).stderr
    assert shown.count(b"fatal error: gone.h: No such file or directory") == 1
    assert b"compilation terminated." in plain.stderr
    project.write("gone.h", "")
    project.path("prog").unlink(missing_ok=True)
    project.same_as_plain()


def test_missing_source(project: Project) -> None:
    result = project.infer("gcc", "-c", "nothing.c", status=1)
    assert result.stderr.count(b"nothing.c: No such file or directory") == 1
    assert not project.path("nothing.o").exists()


def test_failing_build_command(project: Project) -> None:
    assert project.infer("sh", "-c", "exit 7", status=7)
    assert project.infer("sh", "-c", "kill -TERM $$", status=-15)


def test_error_while_a_process_reads(project: Project) -> None:
    """A placeholder that cannot be forced: the reader fails, and the compiler's message is shown."""
    project.write("gen.c", "int main(void) { return oops; }\n")
    project.write("Makefile", "out: gen\n\t./gen > out\ngen: gen.c\n\tgcc -o gen gen.c\n")
    result = project.infer(status=2)
    assert result.stderr.count(b"error: ") == 1
    assert b"oops" in result.stderr


# What a person may get wrong


def test_unknown_target(project: Project) -> None:
    project.write("main.c", "int main(void) { return 0; }\n")
    project.infer("gcc", "-c", "main.c")
    result = project.force("nothing.o", status=66)
    assert result.stderr.startswith(b"gg: nothing.o: ")
    assert project.placeholders() == ["main.o"]


def test_target_that_is_real_already(project: Project) -> None:
    project.write("main.c", "int main(void) { return 0; }\n")
    project.infer("gcc", "-c", "main.c")
    project.forced()
    before = project.tree(), project.path("main.o").stat().st_mtime_ns
    project.force("main.o")
    project.force("main.c")
    assert before == (project.tree(), project.path("main.o").stat().st_mtime_ns)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("gg-force",), 64),
        (("gg", "status"), 64),
        (("gg", "gc"), 64),
        (("gg", "clean"), 64),
        (("gg", "explain"), 64),
        (("gg-describe", "x"), 64),
        (("gg", "nonsense"), 64),
        (("gg-force", "--jobs", "0"), 64),
        (("gg-force", "--no-such-option"), 64),
        (("gg-infer",), 64),
        (("gg-infer", "no-such-program-anywhere"), 127),
        (("gg-infer", "./Makefile"), 126),
        (("gg-infer", "--engine", "nowhere", "gcc", "-c", "main.c"), 64),
        (("gg-hash", "nothing"), 66),
        (("gg-create-thunk", "zzz", "x"), 64),
    ],
)
def test_bad_command_lines(project: Project, arguments: tuple[str, ...], status: int) -> None:
    project.write("Makefile", "all:\n")
    project.write("main.c", "int x;\n")
    result = project.run(SCRIPTS / arguments[0], *arguments[1:], status=status)
    assert result.stderr
    assert len(result.stderr.splitlines()) <= 6


def test_bad_settings(project: Project) -> None:
    project.write("main.c", "int x;\n")
    project.infer("gcc", "-c", "main.c")
    for text in ("jobs = ", 'jobs = "many"', "colour = 1", 'isolation = "hope"', 'engine = "nowhere"'):
        project.write("gg.toml", text + "\n")
        result = project.force(status=64)
        assert b"gg.toml" in result.stderr or b"nowhere" in result.stderr
    project.path("gg.toml").unlink()
    project.force()


def test_command_without_permission(project: Project) -> None:
    project.write("script", "#!/bin/sh\n", 0o644)
    project.infer("./script", status=126)


# Strange workspaces


def test_workspace_of_a_newer_version(project: Project) -> None:
    project.write("main.c", "int main(void) { return 0; }\n")
    project.infer("gcc", "-c", "main.c")
    version = project.store / "version"
    version.write_bytes(version.read_bytes().replace(b"1", b"9999"))
    before = {p: p.stat().st_mtime_ns for p in project.cache.rglob("*") if p.is_file()}
    for result in (
        project.force(status=65),
        project.infer("gcc", "-c", "main.c", status=65),
        project.gg("gc", status=65),
    ):
        assert b"newer" in result.stderr
    assert {p: p.stat().st_mtime_ns for p in project.cache.rglob("*") if p.is_file()} == before
    assert project.placeholders() == ["main.o"]


def test_placeholder_without_its_store(project: Project) -> None:
    project.write("main.c", "int main(void) { return 0; }\n")
    project.infer("gcc", "-o", "prog", "main.c")
    other = Project(project.root.with_name("other"), project.env)
    other.root.mkdir()
    shutil.copy2(project.path("prog"), other.path("prog"))
    other.env["HOME"] = str(other.root)  # another user, with a store of its own
    for arguments in ((), ("prog",)):
        result = other.force(*arguments, status=69)
        assert placeholder.parse(other.path("prog").read_bytes()) is not None
        assert b"gg-infer" in result.stderr
    other.run(SCRIPTS / "gg-describe", "prog", status=69)
    other.run("./prog", status=None)


def test_damaged_placeholder_and_thunk(project: Project) -> None:
    project.write("main.c", "int main(void) { return 0; }\n")
    project.infer("gcc", "-c", "main.c")
    path = project.path("main.o")
    data = path.read_bytes()
    path.write_bytes(data[:200])
    project.force()
    assert path.read_bytes() == data[:200]
    project.infer("gcc", "-c", "main.c")
    for file in project.cache.rglob("*"):
        if (
            file.is_file()
            and file.suffix in (".db", ".log", "")
            and file.name != "version"
            and file.stat().st_size > 64
        ):
            harmed = bytearray(file.read_bytes())
            if b"/tmp" in file.as_posix().encode() or file.parent.name == "tmp":
                continue
            harmed[len(harmed) // 2] ^= 255
            file.chmod(0o644)
            file.write_bytes(harmed)
    project.force(status=None)
    project.forget()
    path.unlink(missing_ok=True)
    project.infer("gcc", "-c", "main.c")
    project.force()
    assert path.read_bytes()[:4] == b"\x7fELF"


def test_read_only_store(project: Project, tmp_path: Path) -> None:
    """State on a file system that cannot be written: said in one line, and nothing is lost."""
    project.write("main.c", "int main(void) { return 0; }\n")
    project.infer("gcc", "-c", "main.c")
    before = project.path("main.o").read_bytes()
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    isolated = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, project.cache)
    commands: tuple[tuple[str | Path, ...], ...] = (
        (SCRIPTS / "gg-force",),
        (SCRIPTS / "gg-infer", "gcc", "-c", "main.c"),
        (SCRIPTS / "gg", "gc"),
    )
    for command in commands:
        result = project.run(*isolated, *command, status=74)
        assert result.stderr.startswith(b"gg: ")
    assert project.path("main.o").read_bytes() == before
    project.force()
    done = project.run(*isolated, SCRIPTS / "gg", "status")
    assert b"0 placeholders" in done.stdout


@pytest.mark.parametrize("room", [200, 400, 800])
def test_full_disk(project: Project, room: int) -> None:
    """`room` KiB for all of the tree and its store: whatever happens, no half file, and it goes on with more room."""
    for i in range(6):
        project.write(f"u{i}.c", "\n".join(f"char a{i}_{j}[3000] = {{1}};" for j in range(20)))
    project.write("Makefile", "all: " + " ".join(f"u{i}.o" for i in range(6)) + "\n%.o: %.c\n\tgcc -c -o $@ $<\n")
    expected, _ = project.plain()
    script = (
        f"set -e; mkdir ../disk; mount -t tmpfs -o size={room}k none ../disk; cp -a . ../disk; mount --bind ../disk .; cd .\n"
        f"cd '{project.root}'\n"
        "export XDG_CACHE_HOME=$PWD/cache; set +e; gg-infer make; gg-force; echo $? > ../status\n"
        "for f in u*.o; do [ ! -e $f ] || cp $f ../first-$f; done\n"
        "set -e; mount -o remount,size=64m ../disk; gg-infer make; gg-force; cp u*.o ..\n"
    )
    env = {"PATH": f"{SCRIPTS}:{project.env['PATH']}"}
    result = project.run("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, env=env)
    above = project.root.parent
    for i in range(6):
        name = f"u{i}.o"
        first = above / f"first-{name}"
        if first.exists():
            data = first.read_bytes()
            assert data == expected[name].data or placeholder.parse(data) is not None, name
        assert (above / name).read_bytes() == expected[name].data
    status = int((above / "status").read_text())
    if status:
        assert status in (74, 75)  # never a tool's own: it is not the source that is at fault
        assert b"No space left on device" in result.stderr or b"no space" in result.stderr


@pytest.mark.parametrize(
    "call",
    [
        *("nasm -f elf64 -F nope f.asm", "nasm -f bin -g -F dwarf f.asm -o f", "nasm -Onope -f elf64 f.asm"),
        *("yasm -f elf64 -g nope f.asm", "objcopy -O nope x.o y", "objcopy -I nope x.o y", "objcopy -B nope x.o y"),
        *("strip --target=nope x.o -o y", "objcopy --output-target=nope x.o y", "llvm-objcopy -O nope x.o y"),
    ],
)
def test_a_value_that_a_tool_does_not_know_fails_at_once(call: str, project: Project) -> None:
    """As in a plain build, so that what is tried next is tried: `objcopy -O one a b || objcopy -O other a b`."""
    project.write("f.asm", "section .text\nglobal f\nf: ret\n")
    project.write("x.c", "int x;\n")
    build = ("sh", "-c", f"gcc -c x.c; {call} 2> said; echo $? > status")
    project.same_as_plain(*build, make=False)
    assert project.path("status").read_text() != "0\n"


def test_values_that_tools_know_are_recorded(project: Project) -> None:
    project.write("f.asm", "section .text\nglobal f\nf: ret\n")
    project.write("x.c", "int x;\n")
    calls = [
        *("gcc -c x.c", "nasm -f elf64 -g -F dwarf f.asm -o f1", "nasm -O3 -f elf32 -F stabs f.asm -o f2"),
        *("nasm -felf64 -gdwarf -Ox f.asm -o f3", "yasm -f elf64 -g dwarf2 f.asm -o f4", "objcopy -O binary x.o f5"),
        *("objcopy -I elf64-x86-64 -O ihex x.o f6", "objcopy -I binary -O elf64-x86-64 -B i386:x86-64 x.c f7"),
        *("strip --target=elf64-x86-64 x.o -o f8", "llvm-objcopy -O binary x.o f9", "objcopy -O default x.o f10"),
    ]
    forced = project.same_as_plain("sh", "-ec", "; ".join(calls), make=False)
    assert len(forced.ran) == len(calls)
