"""What is said of a file besides its bytes: permissions, owner, attributes. They stay through recording and forcing."""

from __future__ import annotations

import os
import stat
import tarfile

import pytest

from tests.e2e.project import Project, by_make

SOURCE = "int main(void) { return 0; }\n"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
MODES = ("4755", "2755", "755", "750", "744", "700", "555", "644", "600")


def recipe(project: Project, *lines: str) -> tuple[str, ...]:
    project.write("x.c", SOURCE)
    return by_make(project, "gcc -c x.c", "gcc -o p x.o", "ar rc l.a x.o", *lines)


def said_of(project: Project) -> dict[str, tuple[str, int, int, tuple[str, ...]]]:
    """Permissions, owner, group and attributes of each file in the tree, gg's own aside."""
    found = {}
    for path in project.root.rglob("*"):
        if ".gg" not in path.parts and path.is_file():
            info = path.lstat()
            names = (*sorted(os.listxattr(path)),)
            found[str(path.relative_to(project.root))] = (stat.filemode(info.st_mode), info.st_uid, info.st_gid, names)
    return found


def same_through_gg(project: Project, *lines: str, deferred: int) -> None:
    project.run(*recipe(project, *lines))
    tree, said = project.tree(), said_of(project)
    for path in project.root.iterdir():
        path.unlink()
    project.infer(*recipe(project, *lines), deferred=deferred)
    project.forced()
    project.assert_tree(tree)
    assert said_of(project) == said


@pytest.mark.parametrize("read", ["", "cmp p p x.o > out || true"], ids=["deferred", "real"])
@pytest.mark.parametrize("edit", ["strip $f", "objcopy --strip-debug $f"])
def test_an_edit_in_place_keeps_the_permissions(project: Project, edit: str, read: str) -> None:
    """A setuid program that is stripped once more, as dh_strip does, stays one."""
    same_through_gg(
        project, read, f"for m in {' '.join(MODES)}; do f=p$m; cp p $f; chmod $m $f; {edit}; done", deferred=11
    )


def test_an_archive_keeps_its_permissions(project: Project) -> None:
    same_through_gg(
        project, "chmod 600 l.a", "ranlib l.a", "cp -p l.a m.a", "ar r m.a x.o", "chmod 4750 m.a", deferred=5
    )


def test_permissions_of_a_placeholder_are_what_chmod_said(project: Project) -> None:
    same_through_gg(
        project,
        *(f"cp p p{mode}; chmod {mode} p{mode}; cp x.o o{mode}; chmod {mode} o{mode}" for mode in MODES),
        deferred=3,
    )


@AS_ROOT
def test_owner_and_group_stay(project: Project) -> None:
    lines = (
        *("cp p own", "chown bin:games own", "chmod 2755 own", "cp -p own own2", "strip own"),
        *("install -o bin -g games -m 4755 p own3", "install -s -o bin -m 4711 p own4"),
        *("cp l.a m.a", "chown bin m.a", "ar r m.a x.o"),
    )
    same_through_gg(project, *lines, deferred=4)
    assert any(uid for _, uid, _, _ in said_of(project).values())


def test_attributes_stay(project: Project) -> None:
    """As `setcap` leaves them, which does not read the program."""
    mark = "import os; [os.setxattr(name, 'user.gg', b'mark') for name in ('p', 'q', 'l.a')]"
    same_through_gg(project, "cp p q", f'python3 -c "{mark}"', "strip q", "ar r l.a x.o", deferred=3)
    assert said_of(project)["p"][3] == ("user.gg",)


def test_under_fakeroot(project: Project) -> None:
    """fakeroot knows by the inode whose a file is: forcing it, and what is made later, must not confuse it."""
    inner = (
        *("gcc -o p2 -g x.o", "chown bin:games p", "chmod 2755 p", "strip p", "cp -p p q"),
        *("install -o bin -m 4711 p2 r", "cp p2 s", "chmod 600 s", "mv s t", "gcc -O2 -c -o y.o x.c", "gcc -o u y.o"),
        *("ar rc m.a y.o", "chown games m.a", "ar r m.a x.o"),
        "tar cf packed.tar --mtime=@0 p p2 q r t u m.a y.o",
    )
    project.write("inner.mk", "all:\n" + "".join(f"\t{line}\n" for line in inner))
    command = recipe(project, "fakeroot make -s -f inner.mk")
    expected, _ = project.plain(*command)
    project.infer(*command, deferred=7)
    project.forced()
    project.assert_tree(expected)
    with tarfile.open(project.path("packed.tar")) as packed:
        owners = {member.name: (member.uname, member.gname, oct(member.mode)) for member in packed}
    assert owners["p"] == owners["q"] == ("bin", "games", "0o2755")
    assert owners["u"] == ("root", "root", "0o755")
