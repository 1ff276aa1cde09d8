"""Outputs that are there already, and directories that give new files something: as the plain tools leave them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.project import Project, by_make

# Called with the output's name behind, in a directory that has a.c, m.c, in.o, in.s and in.a.
TOOLS = {
    "gcc -c": "gcc -c a.c -o",
    "gcc -S": "gcc -S a.c -o",
    "gcc -E": "gcc -E a.c -o",
    "gcc": "gcc m.c -o",
    "gcc -shared": "gcc -shared -fPIC a.c -o",
    "gcc -flto": "gcc -flto -frandom-seed=1 -c a.c -o",
    "gcc, from assembler text": "gcc -c in.s -o",
    "gold": "gcc -fuse-ld=gold m.c -o",
    "lld": "gcc -fuse-ld=lld m.c -o",
    "mold": "gcc -fuse-ld=mold m.c -o",
    "clang -c": "clang -c a.c -o",
    "clang -S": "clang -S a.c -o",
    "clang": "clang m.c -o",
    "as": "as in.s -o",
    "ld -r": "ld -r in.o -o",
    "ld.gold -r": "ld.gold -r in.o -o",
    "ld.lld -r": "ld.lld -r in.o -o",
    "objcopy": "objcopy in.o",
    "strip -o": "strip in.o -o",
    "llvm-objcopy": "llvm-objcopy in.o",
    "nasm": "nasm -f elf64 in.asm -o",
    "dependency file": "gcc -c a.c -o other.o -MD -MF",
    "linker map": "ld -r in.o -o other.o -Map",
}
# These write into what is there, the copiers only into what has two names: such calls run for real, all others are deferred.
KEEPERS = ("gcc -S", "gcc -E", "mold", "clang -S", "nasm", "dependency file", "linker map")
COPIERS = ("objcopy", "strip -o", "llvm-objcopy")
STANDS = {
    "empty, as of mktemp": (b"", 0o600, 1),
    "of another mode": (b"junk", 0o640, 1),
    "with two names": (b"junk", 0o644, 2),
    "read-only": (b"junk", 0o444, 1),
    "empty, with two names": (b"", 0o644, 2),
}


@pytest.fixture
def sources(project: Project) -> Project:
    project.write("a.c", "int f(void) { return 1; }\n")
    project.write("m.c", "int main(void) { return 7; }\n")
    project.write("in.asm", "mov eax, 1\n")
    project.run("sh", "-c", "gcc -c a.c -o in.o; gcc -S a.c -o in.s")
    return project


def state(path: Path) -> tuple[object, ...]:
    """All that a tool may have left as it was, or not."""
    if not path.exists():
        return ("none",)
    info = path.stat()
    return oct(info.st_mode), info.st_nlink, info.st_uid, info.st_gid, path.read_bytes()


def set_up(project: Project, content: bytes, mode: int, names: int) -> None:
    for name in ("out", "second"):
        project.path(name).unlink(missing_ok=True)
    project.write("out", content, mode)
    if names == 2:
        os.link(project.path("out"), project.path("second"))


@pytest.mark.parametrize("name", TOOLS)
def test_what_stands_at_an_output(sources: Project, name: str) -> None:
    """One test a tool: it starts gg but once, for all that may stand there."""
    tool, plain, got = TOOLS[name], {}, {}
    for what, stands in STANDS.items():
        set_up(sources, *stands)
        sources.run("sh", "-c", f"umask 022; {tool} out", status=None)
        plain[what] = state(sources.path("out")), state(sources.path("second"))
    for number, stands in enumerate(STANDS.values()):
        set_up(sources, *stands)
        os.rename(sources.path("out"), sources.path(f"out{number}"))
        if stands[2] == 2:
            os.rename(sources.path("second"), sources.path(f"second{number}"))
    calls = "; ".join(f"{tool} out{number}" for number in range(len(STANDS)))
    deferred = 0 if name in KEEPERS else 2 if name in COPIERS else 3
    sources.infer("sh", "-c", f"umask 022; {calls}", status=None, deferred=deferred)
    sources.force(status=None)
    for number, what in enumerate(STANDS):
        got[what] = state(sources.path(f"out{number}")), state(sources.path(f"second{number}"))
    assert got == plain


OPENS = """
import os, subprocess, tempfile
f = tempfile.NamedTemporaryFile(dir=".", suffix=".o", delete=False)
subprocess.run(["make", "-s", "-f", "inner.mk", "O=" + f.name], check=True)
with open("seen", "wb") as seen:
    seen.write(f.read())
os.unlink(f.name)
"""
OPEN = {
    "a shell's": "exec 7<>d.o; gcc -c a.c -o d.o; cat <&7 >seen; exec 7<>e.s; gcc -S a.c -o e.s; cat <&7 >>seen",
    "written on": "exec 8>d.o; gcc -c a.c -o d.o; echo over >&8; exec 8>&-; cmp in.o d.o >seen || true",
    "Python's": "python3 open.py",
}


@pytest.mark.parametrize("command", OPEN.values(), ids=OPEN)
def test_an_empty_output_that_somebody_has_open(sources: Project, command: str) -> None:
    sources.write("open.py", OPENS)
    sources.write("inner.mk", "all:\n\tgcc -c a.c -o $O; ld -r $O -o out.o\n")
    sources.same_as_plain(*by_make(sources, command), make=False)
    assert any("may be open" in why for why in sources.ran_for_real)


def two_ways(project: Project, directory: Path, command: str) -> None:
    """Run it plainly and through gg in the same directory, set up by the caller: modes, owners, access lists are the same."""
    look = "find . -name '*.[ocd]' -o -name prog | sort | xargs stat -c '%n %a %u %g'; "
    look += "find . | sort | xargs -d '\\n' getfacl 2>/dev/null || true"
    project.run("sh", "-ec", command, cwd=directory)
    plain = project.run("sh", "-c", look, cwd=directory).text
    project.run("sh", "-c", "rm -f *.o *.d prog", cwd=directory)
    project.infer("sh", "-ec", f"cd {directory}; {command}", deferred=3)
    assert any(path.stat().st_size == 256 for path in directory.iterdir())
    project.force()
    assert not any(path.stat().st_size == 256 for path in directory.iterdir())
    assert project.run("sh", "-c", look, cwd=directory).text == plain


COMMAND = "gcc ../m.c -o prog; gcc -MD -c ../a.c -o a.o; strip -g a.o; ar rc lib.o a.o"


@pytest.mark.parametrize("umask", ["022", "077", "002"])
def test_a_directory_with_a_default_access_list(sources: Project, umask: str) -> None:
    directory = sources.path("d")
    directory.mkdir()
    subprocess.run(["setfacl", "-d", "-m", "u:1:rwx,g::rwx,o::-", directory], check=True)
    two_ways(sources, directory, f"umask {umask}; {COMMAND}")


def test_a_directory_whose_group_passes_on(sources: Project) -> None:
    directory = sources.path("d")
    directory.mkdir()
    groups = [group for group in os.getgroups() if group != os.getegid()] or ([1] if os.geteuid() == 0 else [])
    if not groups:
        pytest.skip("this user has one group")
    os.chown(directory, -1, groups[0])
    directory.chmod(0o2775)
    two_ways(sources, directory, f"umask 002; {COMMAND}")


def test_a_directory_that_cannot_be_written(sources: Project) -> None:
    """The compiler says so, at once, and with its status."""
    if os.geteuid() == 0:
        pytest.skip("nothing is forbidden to root")
    sources.path("d").mkdir()
    sources.path("d").chmod(0o555)
    plain = sources.run("gcc", "-c", "a.c", "-o", "d/a.o", status=None)
    got = sources.infer("gcc", "-c", "a.c", "-o", "d/a.o", status=plain.status)
    assert plain.stderr.strip() in got.stderr


def test_a_directory_is_not_newer_than_plainly(sources: Project) -> None:
    """A rule may depend on one."""
    sources.path("d").mkdir()
    sources.infer("sh", "-c", "gcc -c a.c -o d/a.o; gcc -c m.c -o d/m.o")
    before = sources.path("d").stat().st_mtime_ns
    sources.force()
    assert sources.path("d").stat().st_mtime_ns == before


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_no_output_is_newer_than_the_first(sources: Project, compiler: str) -> None:
    """make's own rule from .s to .o would assemble again."""
    sources.write(
        "Makefile", f"o/a.o: a.c\n\t{compiler} -save-temps=obj -c a.c -o o/a.o\nlib.a: o/a.o\n\tar rcs $@ $^\n"
    )
    sources.path("o").mkdir()
    sources.infer("make")
    said = sources.infer("make", "lib.a").text
    assert "as " not in said
    sources.force()
    sources.make("-q", "lib.a")


def test_a_map_is_not_older_than_its_program(sources: Project) -> None:
    sources.write("Makefile", "p.map: p\n\tgcc m.c -o p -Wl,-Map=p.map\np: m.c\n\tgcc m.c -o p -Wl,-Map=p.map\n")
    sources.infer("make")
    sources.force()
    sources.make("-q")


GROUP = "setpriv --regid 1 --clear-groups" if os.geteuid() == 0 else ""  # as sg(1) and newgrp(1) have it
CHANGED = {  # each with how many of its calls are deferred
    "an owner, and made again": (2, "gcc -c a.c; chown 1:2 a.o || true; cp -p a.o b.o; gcc -c a.c"),
    "a mode, edited": (2, "gcc m.c -o p; chmod 4750 p; strip p; cp -p p q; chmod 600 q"),
    "an attribute": (2, "gcc -c a.c; setfattr -n user.x -v 1 a.o || true; cp -a a.o d/; strip -g a.o"),
    "an archive of another mode": (5, "gcc -c a.c; ar rc l.a a.o; chmod 600 l.a; gcc -c m.c; ar r l.a m.o; ranlib l.a"),
    "assembler text with two names": (2, "gcc -S a.c; chmod 600 a.s; ln a.s b.s; gcc -S -O2 a.c; gcc -c a.s"),
    "times": (
        1,
        "gcc m.c -o p; cp -p p q; touch -r p r; if [ p -nt q ] || [ q -nt r ] || [ r -nt p ]; then exit 3; fi",
    ),
    "moved into a group's directory": (
        3,
        "gcc -c a.c; chgrp 1 d || true; chmod g+s d; cp a.o d/; mv a.o d/b.o; gcc -c m.c -o d/m.o; "
        "mkdir d/e; gcc -c m.c -o d/e/m.o; install -m 600 d/m.o d/i.o",
    ),
    "a group of the caller's": (1, f"{GROUP} gcc -c a.c; {GROUP} gcc m.c -o p; gcc -c m.c"),
    "a dependency file": (
        3,
        "gcc -MD -c a.c; ln a.d b.d; gcc -MD -c m.c; mv m.d d/; ln -s d/m.d m.d; gcc -MD -c a.c -o n.o; "
        "mv n.d x.d; ln -s x.d n.d",
    ),
    "umask 0": (3, "umask 0; gcc -c -MD a.c; gcc m.c -o p; ar rc l.a a.o"),
    "a sticky directory": (3, "chmod 1777 d; gcc -c a.c -o d/a.o; gcc -c -O2 a.c -o d/a.o; ar rc d/l.a d/a.o"),
    "a directory that is moved": (
        2,
        "gcc -c a.c -o d/a.o; ln -s d e; gcc -c m.c -o e/m.o; mv d f; ln -sfn f e; cp -a f g; rm f/a.o",
    ),
}


def everything(project: Project) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path in project.root.rglob("*"):
        link = os.readlink(path) if path.is_symlink() else ""
        found[str(path.relative_to(project.root))] = (link,) if link or path.is_dir() else state(path)
    return found


@pytest.mark.parametrize(("deferred", "command"), CHANGED.values(), ids=CHANGED)
def test_what_is_done_to_placeholders(sources: Project, deferred: int, command: str) -> None:
    sources.path("d").mkdir()
    build = by_make(sources, command)
    aside = sources.root.with_name("aside")
    shutil.copytree(sources.root, aside)
    sources.run(*build)
    expected = everything(sources)
    shutil.rmtree(sources.root)
    aside.rename(sources.root)
    sources.infer(*build, deferred=deferred)
    sources.force()
    assert everything(sources) == expected


COUNTED = {  # what is compiled, and how; -frandom-seed gives each compilation the same stamp
    "coverage": "gcc --coverage -frandom-seed=1 -c a.c && gcc --coverage -o p a.o",
    "the object elsewhere": "gcc -fprofile-arcs -ftest-coverage -frandom-seed=1 -c a.c -o o/b.o && gcc --coverage -o p o/b.o",
    "profile": "gcc -O1 -fprofile-generate -frandom-seed=1 -c a.c && gcc -fprofile-generate -o p a.o",
    "profile in a directory": "gcc -O1 -fprofile-generate=d -frandom-seed=1 -c a.c && gcc -fprofile-generate -o p a.o",
}


@pytest.mark.parametrize("compile_it", COUNTED.values(), ids=COUNTED)
def test_what_is_compiled_anew_is_counted_anew(compile_it: str, project: Project) -> None:
    project.write("a.c", "int main(int n, char **v) { return n > 1 ? v[1][0] == 1 : 0; }\n")
    project.path("o").mkdir()
    script = f"{compile_it} && ./p && ./p && {compile_it} && ./p x && {compile_it} && ./p"
    project.same_as_plain(*by_make(project, script), make=False, deferred=4)
