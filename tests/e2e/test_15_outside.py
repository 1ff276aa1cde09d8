"""What leaves the workspace: nothing anywhere is left a placeholder when gg-force ends with 0."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gg.core import placeholder
from tests.e2e.project import SCRIPTS, Project, by_make

MAKEFILE = """\
p: m.o a.o
\tgcc -o p m.o a.o
%.o: %.c
\tgcc -c $<
install: p
\tinstall -m 755 p $(DESTDIR)/p
\tcp a.o $(DESTDIR)/a.o
"""
# `$S`: a directory outside of the workspace. Each leaves something there, or takes it there.
COMMANDS = {
    "install": "make -s -f Makefile install DESTDIR=$S",
    "output": "gcc m.c a.c -o $S/p; gcc -MD -c a.c -o $S/a.o",
    "relative output": "mkdir -p deep; cd deep; gcc -c ../a.c -o ../../stage/a.o",
    "cp -a of a directory": "mkdir d; gcc -c a.c -o d/a.o; gcc -c m.c -o d/m.o; cp -a d $S/d",
    "cp of pairs": "gcc -c a.c; ln a.o b.o; cp -a a.o b.o $S/",
    "mv": "gcc -c a.c; mv a.o $S/",
    "mv of a directory": "mkdir -p d/e; gcc -c a.c -o d/e/a.o; mv d $S/",
    "ln": "gcc -c a.c; ln a.o $S/b.o",
    "cp -l": "gcc -c a.c; cp -l a.o $S/b.o",
    "symbolic link": "gcc -c a.c; ln -s $PWD/a.o $S/b.o",
    "through a link": "ln -s $S stage; gcc -c a.c; cp a.o stage/; mv a.o stage/moved.o",
    "output through a link": "ln -s $S stage; gcc -c a.c -o stage/a.o",
    "rsync": "gcc -c a.c; rsync -a a.o $S/",
    "tar": "gcc -c a.c; tar cf - a.o | tar xf - -C $S",
    "python": 'gcc -c a.c; gcc -c m.c; python3 -c \'import os, shutil, sys; os.rename("a.o", sys.argv[1] + "/a.o"); '
    'shutil.copy("m.o", sys.argv[1])\' $S',
    "perl": 'gcc -c a.c; perl -e \'rename "a.o", "$ARGV[0]/a.o" or die\' $S',
    "moved there": "gcc -c a.c -o $S/a.o; mkdir $S/d; mv $S/a.o $S/d/b.o",
    "into a pipe": "gcc -c a.c; cp a.o /dev/stdout | cat > $S/a.o",
    "onto a file": "echo old > $S/a.o; ln $S/a.o $S/b.o; gcc -c a.c; cp a.o $S/a.o",
    "with a backup": "echo old > $S/a.o; gcc -c a.c; cp --backup=numbered a.o $S/; install -b a.o $S/",
    "links as such": "gcc -c a.c; ln -s a.o l.o; cp -a a.o l.o $S/; cp -t $S -L l.o; install -Dm444 a.o --target-directory=$S/d/e",
    "several": "gcc -c a.c; gcc -c m.c; cp a.o m.o Makefile $S/; mv m.o $S/n.o",
    "static programs": "gcc -c a.c; gcc -c m.c; busybox cp a.o $S/; busybox cp m.o a.o",
    "a static program's rename": "mkdir -p d/e f; gcc -c a.c -o d/e/a.o; gcc -c m.c -o f/m.o; busybox mv d $S/; "
    "ln -s $S out; busybox mv f out; gcc -c a.c; busybox mv a.o out",
    "a static program's link": "gcc -c a.c; W=$PWD; cd $S; busybox ln $W/a.o b.o",
}
BEHIND_A_LINK = COMMANDS["through a link"], COMMANDS["a static program's rename"]
"""What is moved to a link's other end could not be undone if the last compile failed. So that compile runs for real."""


@pytest.fixture
def sources(project: Project) -> Project:
    project.write("a.c", "int f(void) { return 7; }\n")
    project.write("m.c", "int f(void);\nint main(void) { return f(); }\n")
    project.write("Makefile", MAKEFILE)
    return project


@pytest.fixture
def stage(project: Project) -> Path:
    stage = project.root.with_name("stage")
    stage.mkdir()
    return stage


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own; a tmpfs is below /dev/shm, where nothing can be mounted."""
    directory = Path(subprocess.check_output(["mktemp", "-d", "/dev/shm/gg-XXXXXX"], text=True).strip())
    if directory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def look(directory: Path) -> dict[str, tuple[object, ...]]:
    """Names, modes, bytes and how many names each file has."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(directory.rglob("*")):
        info = path.lstat()
        data = b"" if path.is_dir() else os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
        found[str(path.relative_to(directory))] = info.st_mode, data, 0 if path.is_dir() else info.st_nlink
    return found


def calls_in(command: str) -> int:
    return 3 if command.startswith("make") else command.count("gcc")


def both_ways(project: Project, stage: Path, command: str, deferred: int) -> None:
    aside = project.root.with_name("aside")
    env = {**project.env, "S": str(stage)}
    build = by_make(project, command)
    shutil.copytree(project.root, aside, symlinks=True)
    project.run(*build, env=env)
    expected, tree = look(stage), look(project.root)
    shutil.rmtree(project.root)
    for path in stage.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    aside.rename(project.root)
    project.infer(*build, env=env, deferred=deferred)
    project.force()
    assert look(stage) == expected
    assert look(project.root) == tree


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_out_of_the_workspace(sources: Project, stage: Path, command: str) -> None:
    both_ways(sources, stage, command, calls_in(command) - (command in BEHIND_A_LINK))


@pytest.mark.parametrize("how", ["install", "output", "mv", "cp of pairs", "rsync", "mv of a directory"])
def test_to_another_file_system(sources: Project, mount: Path, how: str) -> None:
    outside = how == "output"  # what is made below /dev/shm runs for real
    both_ways(sources, mount, COMMANDS[how], 0 if outside else calls_in(COMMANDS[how]))


def test_inside_all_stays_deferred(sources: Project) -> None:
    """What moves files about in the tree forces nothing."""
    sources.path("stage").mkdir()
    install = "make -s -f Makefile install DESTDIR=stage"
    sources.infer(*by_make(sources, install, "mv a.o b.o", "ln b.o c.o", "cp -a stage second", "mv second third"))
    assert sources.placeholders() == [
        "b.o",
        "c.o",
        "m.o",
        "p",
        *(f"{d}/{n}" for d in ("stage", "third") for n in ("a.o", "p")),
    ]


def test_a_later_gg_force_finds_them(sources: Project, stage: Path) -> None:
    """Also status, and a build that went on elsewhere; removed ones are nobody's business."""
    sources.infer("gcc", "-c", "a.c", "-o", str(stage / "a.o"))
    sources.infer("gcc", "-c", "m.c", "-o", str(stage / "m.o"))
    assert placeholder.parse((stage / "a.o").read_bytes())
    assert "a.o" in sources.gg("status", "--json").text
    (stage / "m.o").unlink()
    sources.force()
    assert (stage / "a.o").read_bytes().startswith(b"\x7fELF")
    sources.force()


def test_a_placeholder_says_what_it_is(sources: Project) -> None:
    """Outside of gg it is a text, and `file` shows of a script what starts it."""
    sources.infer("gcc", "-c", "a.c")
    assert "gg placeholder: run gg-force\n" in sources.run("cat", "a.o").text.replace(" " * 20, "\n")
    assert "--gg-placeholder" in sources.run("file", "a.o").text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_what_cannot_be_reached_is_told(sources: Project) -> None:
    """An image that a build mounts, writes to and unmounts."""
    sources.path("image").mkdir()
    make = " ".join(by_make(sources, "mount -t tmpfs none image", "gcc -c a.c -o image/a.o", "umount image"))
    told = sources.run("unshare", "-m", "sh", "-c", f"{SCRIPTS}/gg-infer --quiet {make}; {SCRIPTS}/gg-force --quiet",
                       status=74)  # fmt: skip
    assert "image/a.o" in told.text
    sources.force(status=74)
