"""Files with several names: as many, and the same ones, as the plain tools leave."""

from __future__ import annotations

import os
from collections import defaultdict

import pytest

from tests.e2e.project import Project, by_make

UNITS = "abcdef"
COMMANDS = {
    "a name, and files beside it": "for u in a b c d e f; do gcc -c $u.c; [ $u != b ] || ln -f b.o b2.o; done",
    "a pair that cp -a copies": "gcc -c a.c; ln a.o b.o; cp -a a.o b.o d/",
    "a copy that has a name of its own": "gcc -c a.c; ln a.o b.o; cp a.o c.o; ln c.o e.o",
    "a compile that is repeated, each result linked": "gcc -c a.c; ln a.o b.o; gcc -c a.c; ln a.o c.o",
    "three names in three directories": "gcc -c a.c; ln a.o d/a.o; mkdir e; ln d/a.o e/x.o; gcc -c b.c; ln b.o e/b.o",
    "a name that is removed": "gcc -c a.c; ln a.o b.o; rm a.o; gcc -c c.c d.c",
    "a name that is replaced": "gcc -c a.c; ln a.o b.o; gcc -c b.c -o a.o; gcc -c c.c",
    "a name that a copy is written to": "gcc -c a.c; gcc -c b.c; ln a.o c.o; cp b.o c.o",
    "a name that a copy replaces": "gcc -c a.c; gcc -c b.c; ln a.o c.o; cp --remove-destination b.o c.o; cp -l b.o d/",
    "a tree of links": "gcc -c a.c; gcc -c b.c; gcc -c c.c -o d/c.o; cp -al d e; ln -f a.o d/a.o",
    "programs, one of which is another's name": "gcc m.c -o one; ln one two; gcc m.c -o three; ln -f three four",
    "a pair that is moved": "gcc -c a.c; ln a.o b.o; mv a.o b.o d/; gcc -c c.c",
}
# Of all others as many as there are words `gcc`. A call with several sources runs for real.
DEFERRED = {COMMANDS["a name, and files beside it"]: len(UNITS), COMMANDS["a name that is removed"]: 1}


def links(project: Project) -> dict[str, list[str]]:
    """The names of each file that has several, by the first of them; and how many it has in all."""
    found: dict[int, list[str]] = defaultdict(list)
    count: dict[int, int] = {}
    for directory, directories, names in os.walk(project.root):
        if ".gg" in directories:
            directories.remove(".gg")
        for name in names:
            path = os.path.join(directory, name)
            info = os.lstat(path)
            found[info.st_ino].append(os.path.relpath(path, project.root))
            count[info.st_ino] = info.st_nlink
    return {min(names): [*sorted(names), str(count[inode])] for inode, names in found.items() if count[inode] > 1}


@pytest.fixture
def units(project: Project) -> Project:
    for unit in UNITS:
        project.write(f"{unit}.c", f"int {unit}(void) {{ return '{unit}'; }}\n")
    project.write("m.c", "int main(void) { return 7; }\n")
    project.path("d").mkdir()
    return project


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_links(units: Project, command: str) -> None:
    build = by_make(units, command)
    aside = units.root.with_name("plain")
    units.run("cp", "-a", units.root, aside)
    units.run(*build)
    expected, plain = units.tree(), links(units)
    units.run("rm", "-rf", units.root)
    units.run("mv", aside, units.root, cwd=units.root.parent)
    units.infer(*build, deferred=DEFERRED.get(command, command.count("gcc ")))
    units.force()
    units.assert_tree(expected)
    assert links(units) == plain


def test_the_second_time(units: Project) -> None:
    """All is known, and many files are placed at once, over inodes that have just become free."""
    build = by_make(units, COMMANDS["a name, and files beside it"])
    units.build(*build)
    expected, plain = units.tree(), links(units)
    for _ in range(3):
        units.run("sh", "-c", "rm -f *.o")
        units.infer(*build, deferred=len(UNITS))
        units.force()
        units.assert_tree(expected)
        assert links(units) == plain


def test_one_of_two_names_is_forced(units: Project) -> None:
    units.infer("sh", "-ec", "gcc -c a.c; ln a.o d/b.o; gcc -c c.c", deferred=2)
    units.force("a.o")
    assert units.path("a.o").samefile(units.path("d/b.o"))
    assert units.placeholders() == ["c.o"]


def test_a_name_outside_of_the_workspace_is_told(units: Project) -> None:
    """gg cannot find it, so it says so, and gg-force does not end with 0."""
    units.infer("gcc", "-c", "a.c")
    os.link(units.path("a.o"), units.root.with_name("outside.o"))
    result = units.force(status=74)
    assert "be left outside of the workspace" in result.text
    assert "a.o" in result.text
    assert units.placeholders() == []


def test_links_that_replace_placeholders(units: Project) -> None:
    """An object with companions is moved, and a symbolic link put in its place, before something reads it."""
    units.write(
        "Makefile",
        "out: a\n\tcat a > out\na: a.o\n\tgcc -o a a.o\na.o: m.c\n\tgcc -save-temps=obj -c m.c -o a.o\n"
        "\tmv a.o a.real\n\tln -s a.real a.o\n",
    )
    units.same_as_plain("make", "-s", deferred=2)


@pytest.mark.parametrize("move", ["mv d real; ln -s real d", "mv d/a.o x.o; ln -s ../x.o d/a.o", "ln -sf b.o a.o"])
def test_links_where_an_output_was(units: Project, move: str) -> None:
    build = by_make(units, f"gcc -c b.c; gcc -c a.c -o d/a.o; gcc -c a.c; {move}; cat d/a.o > read")
    units.same_as_plain(*build, make=False, deferred=3)
