"""Parts of a build that run apart: as another user, in another mount namespace, below another root, in a sandbox."""

from __future__ import annotations

import os

import pytest

from tests.e2e.project import Project, by_make

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups"


@pytest.fixture
def open_to_all(project: Project) -> Project:
    project.write("m.c", "int main(void) { return 7; }\n")
    project.write("Makefile", "p: m.o\n\t$(CC) -o p m.o\nm.o: m.c\n\t$(CC) -c m.c\n")
    for directory in (project.root, *project.root.parents):
        if directory.owner() == "root" and not directory.stat().st_mode & 1:
            directory.chmod(directory.stat().st_mode | 0o711)
    project.root.chmod(0o777)
    return project


def says_the_same(project: Project, deferred: int, *lines: str) -> None:
    """What a recipe prints, and what it leaves, is what it does plainly."""
    build = by_make(project, *(f"set +e; {line}" for line in lines))
    expected, plain = project.plain(*build, status=None)
    project.root.chmod(0o777)
    through = project.infer("--quiet", *build, status=None, deferred=deferred)
    assert (through.status, through.stdout, through.stderr) == (plain.status, plain.stdout, plain.stderr)
    project.force()
    project.assert_tree(expected)


OTHERS = {  # how many calls are deferred, and lines of a recipe
    "runs": (1, f"gcc m.c -o p; {NOBODY} ./p; echo $?"),
    "reads": (1, f"gcc -c m.c; {NOBODY} wc -c < m.o; {NOBODY} cat m.o | wc -c"),
    "asks": (1, f"gcc -c m.c; {NOBODY} stat -c %s m.o"),
    "compiles": (0, f"{NOBODY} gcc -c m.c; stat -c %u m.o"),
    "compiles with ccache": (0, f"{NOBODY} env CCACHE_DIR=$PWD/c ccache gcc -c m.c; stat -c %u m.o; rm -rf c"),
    "make": (0, f"{NOBODY} make -s -f Makefile; stat -c %u p; ./p; echo $?"),
    "links": (1, f"gcc -c m.c; {NOBODY} gcc m.o -o p; stat -c %u m.o p"),
    "static": (1, f"gcc -c m.c; {NOBODY} busybox wc -c m.o"),
    "su": (1, "gcc m.c -o p\nsu -s /bin/sh nobody -c './p; echo $?; gcc -c m.c'; stat -c %u m.o"),
    "in a closed room": (
        1,
        "mkdir -p d/e; chmod 777 d/e; cd d/e; gcc -c ../../m.c; chmod 644 m.o; chmod 700 ..;"
        f" {NOBODY} sh -c 'wc -c <m.o; cp m.o n.o; cmp m.o n.o && echo same'; chmod 755 ..",
    ),
    "copies": (1, f"gcc m.c -o p; {NOBODY} cp p q; stat -c %u q; ./q; echo $?"),
    "forbidden": (1, f"gcc -c m.c; chmod 600 m.o; {NOBODY} cat m.o 2>/dev/null; echo $?"),
}


@AS_ROOT
@pytest.mark.parametrize("how", OTHERS)
def test_another_user_takes_part(how: str, open_to_all: Project) -> None:
    deferred, lines = OTHERS[how]
    says_the_same(open_to_all, deferred, *lines.splitlines())


UNSHARE = "unshare -rm sh -c"
BWRAP = "bwrap --dev-bind / /"
READ_ONLY = "bwrap --ro-bind / /"
BARE = "bwrap --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64"
BARE += " --proc /proc --dev /dev --tmpfs /tmp --bind . /b --chdir /b"
ROOMS = {
    "ccache": (
        0,
        f"{UNSHARE} 'mount --bind e d; CCACHE_DIR=$PWD/c ccache gcc -c m.c -o d/m.o; wc -c < d/m.o; rm -rf c'; ls d e",
    ),
    "tmpfs": (0, f"{UNSHARE} 'mount -t tmpfs none d; cd d; gcc -c ../m.c; wc -c < m.o'"),
    "elsewhere": (0, f"{UNSHARE} 'mount --bind . d; gcc -c m.c; cd d; wc -c < m.o; gcc -o p m.o; ./p; echo $?'"),
    "over": (0, f"{UNSHARE} 'mount --bind e d; gcc -c m.c -o d/m.o; gcc d/m.o -o d/p; d/p; echo $?'"),
    "made before": (2, f"gcc -c m.c; gcc m.c -o p\n{UNSHARE} 'wc -c < m.o; ./p; echo $?'"),
    "by another name": (1, f"gcc -c m.c; cp m.o n.o; {UNSHARE} 'mount --bind . d; wc -c < d/m.o; wc -c < d/n.o'"),
    "carried away": (
        2,
        f"gcc -c m.c; gcc m.c -o p; {UNSHARE} 'mount -t tmpfs none d; cp p m.o d; mv m.o d/n.o; wc -c d/*; d/p'",
    ),
    "bwrap": (
        2,
        f"gcc m.c -o p; gcc -c m.c; {BWRAP} --bind e d sh -c 'gcc -c m.c -o d/m.o; gcc d/m.o -o q; ./q; ./p; wc -c m.o'",
    ),
    "bwrap, read-only": (1, f"gcc -c m.c; {READ_ONLY} --proc /proc --dev /dev sh -c 'wc -c m.o; cat m.o | wc -c'"),
    "bwrap, by another name": (
        1,
        f"gcc -c m.c; {READ_ONLY} --bind . /mnt --chdir /mnt sh -c 'wc -c m.o; gcc m.o -o p; ./p'",
    ),
    "bwrap, without gg": (1, f"gcc -c m.c\n{BARE} sh -c 'wc -c m.o; gcc m.c -o p; ./p; echo $?; gcc m.o -o q; ./q'"),
    "bwrap, network": (
        1,
        f"gcc m.c -o p\n{BWRAP} --proc /proc --unshare-all sh -c './p; echo $?; gcc m.c -o q; ./q; echo $?'",
    ),
}


@pytest.mark.parametrize("how", ROOMS)
def test_another_mount_namespace(how: str, open_to_all: Project) -> None:
    deferred, lines = ROOMS[how]
    says_the_same(open_to_all, deferred, "mkdir d e", *lines.splitlines())


SECURE = {
    "set-user-id": ("chown nobody secure; chmod 4755 secure", "./secure a.o > out"),
    "cannot be read": ("chown nobody secure; chmod 4711 secure", "./secure a.o > out"),
    "set-group-id": ("chgrp nogroup secure; chmod 2755 secure", "./secure a.o > out"),
    "named nowhere": ("chown nobody secure; chmod 4755 secure", "echo a.o > n; ./secure -c 'cat $(cat n)' > out"),
    "static": ("cp /bin/busybox secure; chown nobody secure; chmod 4755 secure", "(exec -a cat ./secure a.o) > out"),
    "capabilities": ("setcap cap_net_raw+ep secure", f"{NOBODY} ./secure a.o > out"),
}
LESS = ("", "setpriv --bounding-set=-sys_admin ")


@AS_ROOT
@pytest.mark.parametrize("less", LESS, ids=["all rights", "no filter"])
@pytest.mark.parametrize("how", SECURE)
def test_a_program_with_another_users_rights_is_told_of_real_files(how: str, less: str, open_to_all: Project) -> None:
    """Nothing can be preloaded into it. The kernel watches it, or all is made before: it keeps its rights, and reads real files."""
    open_to_all.write("a.c", "int f(void) { return 1; }\n")
    prepare, line = SECURE[how]
    copy = f"cp /bin/{'sh' if how == 'named nowhere' else 'cat'} secure"
    open_to_all.write("use.sh", f"{line}\n")
    open_to_all.write("build.sh", f"{copy}; {prepare}; gcc -c a.c; {less}bash use.sh; rm secure\n")
    expected, _ = open_to_all.plain("sh", "build.sh")
    told = open_to_all.infer("sh", "build.sh", deferred=1).text
    assert ("1 programs ran unwatched (secure)" in told) == (less != "" or how == "capabilities"), told
    open_to_all.force()
    open_to_all.assert_tree(expected)
