"""Build systems from an unconfigured tree, and the many ways in which a build comes to its compiler."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.project import Project

MAIN = '#include "v.h"\n#ifdef NEVER\n#include "never.h"\n#endif\nint main(void) { return v() - V; }\n'
CMAKE = """\
cmake_minimum_required(VERSION 3.16)
project(small C)
set(CMAKE_BUILD_TYPE Debug)
add_executable(gen gen.c)
add_custom_command(OUTPUT v.h COMMAND gen > v.h DEPENDS gen)
add_library(v STATIC v.c ${CMAKE_CURRENT_BINARY_DIR}/v.h)
target_include_directories(v PUBLIC ${CMAKE_CURRENT_BINARY_DIR} .)
add_executable(prog main.c)
target_link_libraries(prog v)
"""
MESON = """\
project('small', 'c')
gen = executable('gen', 'gen.c', native: true)
header = custom_target('v.h', output: 'v.h', command: [gen], capture: true)
v = static_library('v', 'v.c', header)
executable('prog', 'main.c', header, link_with: v)
"""


def generated(project: Project) -> None:
    """A program whose header comes from a program that is built and run in the middle of the build."""
    project.write("gen.c", '#include <stdio.h>\nint main(void) { puts("int v(void);\\n#define V 7"); return 0; }\n')
    project.write("v.c", '#include "v.h"\nint v(void) { return V; }\n')
    project.write("main.c", MAIN)
    project.write("never.h", "#error never\n")


def artefacts(project: Project) -> dict[str, bytes]:
    """Objects, archives and programs: what a configure step logs holds times."""
    return {n: k.data for n, k in project.tree().items() if k.data.startswith((b"\x7fELF", b"!<arch>\n"))}


def no_trace(project: Project) -> None:
    """Nothing that configure wrote down leads to gg."""
    names = [n for n, k in project.tree().items() if b"/shims" in k.data or b"gg-shim" in k.data]
    assert names == []


@pytest.mark.parametrize(
    ("listed", "configure", "build"),
    [
        ("CMakeLists.txt", "cmake -S . -B out", "make -C out"),
        ("CMakeLists.txt", "cmake -S . -B out -G Ninja", "ninja -C out"),
        ("meson.build", "meson setup out", "ninja -C out"),
    ],
)
def test_configured_and_built_under_infer(project: Project, listed: str, configure: str, build: str) -> None:
    generated(project)
    project.write(listed, CMAKE if listed == "CMakeLists.txt" else MESON)
    whole = f"{configure} && {build}"
    project.run("sh", "-c", whole)
    plain = artefacts(project)
    shutil.rmtree(project.path("out"))
    project.infer("sh", "-c", whole)
    assert not [line for line in project.gg("explain", "--calls").text.splitlines() if line.startswith("real")]
    waiting = project.placeholders()
    assert any(name.endswith("prog") for name in waiting)
    assert not any(name.endswith("/gen") for name in waiting)
    project.forced()
    assert artefacts(project) == plain
    no_trace(project)
    again = project.run("sh", "-c", build).stdout
    assert b"Building" not in again
    assert b"Linking" not in again
    if "ninja" in build:
        assert b"no work to do" in again
    project.run(next(project.root / name for name in plain if name.endswith("prog")))


@pytest.mark.parametrize(
    "compiler",
    [
        *("ccache gcc", "distcc gcc", "ccache /usr/bin/gcc", "env LC_ALL=C gcc", "nice -n 1 gcc", "./wrapper"),
        *("ccache ./wrapper", "env -i PATH=/usr/bin:/bin gcc", "sh ./wrapper", "busybox env gcc"),
    ],
)
def test_ways_to_the_compiler(project: Project, compiler: str) -> None:
    project.write("wrapper", '#!/bin/sh\nexec gcc -DWRAPPED "$@"\n', 0o755)
    project.write("v.h", "int v(void);\n#define V 1\n")
    project.write("v.c", '#include "v.h"\nint v(void) { return V; }\n')
    project.write("main.c", MAIN)
    project.write("Makefile", f"CC = {compiler}\nprog: main.o v.o\n\t$(CC) -o $@ main.o v.o\n")
    expected, _ = project.plain("make", "CCACHE_DISABLE=1", "-e")
    project.env |= {"CCACHE_DIR": str(project.root.parent / "ccache"), "DISTCC_HOSTS": "localhost"}
    project.infer()
    assert project.placeholders() == ["main.o", "prog", "v.o"]
    project.forced()
    project.assert_tree(expected)
    project.run("./prog")


def test_masquerades_on_the_path(project: Project) -> None:
    project.write("v.c", "int v;\n")
    project.write("Makefile", "v.o: v.c\n\tgcc -c -o $@ v.c\n")
    expected, _ = project.plain()
    project.env["PATH"] = f"/usr/lib/ccache:/usr/lib/distcc:{project.env['PATH']}"
    project.infer()
    assert project.placeholders() == ["v.o"]
    project.forced()
    project.assert_tree(expected)


def test_launchers_own_commands(project: Project) -> None:
    """`ccache --version` asks the launcher; with a setting that changes the command line, the launcher runs."""
    project.write("v.c", "int v;\n")
    env = {"CCACHE_DIR": str(project.root.parent / "ccache"), "CCACHE_BASEDIR": str(project.root)}
    asked = project.infer("ccache", "--version")
    assert asked.stdout.startswith(b"ccache version")
    project.infer("ccache", "gcc", "-c", "v.c", env=env)
    project.forced()
    assert project.path("v.o").read_bytes().startswith(b"\x7fELF")


def test_libtool(project: Project) -> None:
    project.write("v.c", "int v(void) { return 7; }\n")
    project.write("main.c", "int v(void);\nint main(void) { return v() - 7; }\n")
    libtool = "libtool --quiet --tag=CC"
    project.write(
        "Makefile",
        f"prog: main.o libv.la\n\t{libtool} --mode=link gcc -o $@ main.o libv.la\n"
        f"libv.la: v.lo\n\t{libtool} --mode=link gcc -o $@ v.lo -rpath /usr/local/lib\n"
        f"v.lo: v.c\n\t{libtool} --mode=compile gcc -g -c v.c\nmain.o: main.c\n\tgcc -g -c main.c\n",
    )
    project.same_as_plain()
    project.run("./prog")


def test_move_if_change(project: Project) -> None:
    """A file that is made again and comes out equal is not touched: cmp reads both, and nothing is compiled anew."""
    project.write("gen.c", '#include <stdio.h>\nint main(void) { return puts("#define V 7") < 0; }\n')
    project.write("main.c", '#include "v.h"\nint main(void) { return V - 7; }\n')
    project.write(
        "Makefile",
        "prog: main.o\n\tgcc -o $@ main.o\nmain.o: main.c v.h\n\tgcc -c main.c\n"
        "v.h: stamp ; @true\nstamp: gen\n\t./gen > v.tmp\n"
        "\tif cmp -s v.tmp v.h; then rm v.tmp; else mv -f v.tmp v.h; fi\n\ttouch $@\n"
        "gen: gen.c\n\tgcc -o $@ gen.c\n",
    )
    project.same_as_plain(make=False)
    assert b"gcc" not in project.make().stdout
    before = project.path("main.o").stat().st_mtime_ns
    project.write("gen.c", project.path("gen.c").read_text() + "/* changed */\n")
    assert project.build().ran == []  # gen itself was forced while it was recorded
    assert project.path("main.o").stat().st_mtime_ns == before
    assert b"gcc" not in project.make().stdout


def test_packaging(project: Project) -> None:
    """What dh_strip and install do with what was built: names, modes and edits in place come out as plainly."""
    project.write("main.c", "int main(void) { return 0; }\n")
    project.write("v.c", "int v(void) { return 4; }\n")
    project.write(
        "Makefile",
        "all: root/bin/prog\nprog: main.c\n\tgcc -g -o $@ main.c\nlibv.so: v.c\n\tgcc -g -shared -fPIC -o $@ v.c\n"
        "root/bin/prog: prog libv.so\n\tmkdir -p root/bin root/lib root/debug\n"
        "\tinstall -m 755 prog root/bin/prog\n\tln root/bin/prog root/bin/again\n"
        "\tinstall -m 644 libv.so root/lib/libv.so\n\tcp prog root/plain; chmod 644 root/plain\n"
        "\tln prog other\n"
        "\tobjcopy --only-keep-debug root/bin/prog root/debug/prog.debug\n\tchmod 644 root/debug/prog.debug\n"
        "\tstrip --strip-debug root/bin/prog\n"
        "\tobjcopy --add-gnu-debuglink root/debug/prog.debug root/bin/prog\n"
        "\tobjcopy --only-keep-debug root/lib/libv.so root/debug/libv.so\n\tstrip root/lib/libv.so\n"
        "\tgcc -g -c v.c; objcopy v.o w.o; objcopy libv.so copied.o; cp libv.so real.so; strip -o a.out real.so\n"
        "\tcat real.so > read; chmod 644 real.so; objcopy real.so real.debug; chmod 644 real.debug\n",
    )
    project.same_as_plain(make=False)
    assert project.path("root/bin/prog").samefile(project.path("root/bin/again"))
    assert project.path("prog").samefile(project.path("other"))


def test_kbuild(project: Project) -> None:
    """A host program reads each dependency file, makes something of it and removes it; the compiles wait all the same."""
    project.write(
        "fixdep.c",
        "#include <fcntl.h>\n#include <stdio.h>\n#include <unistd.h>\n"
        "int main(int n, char **a) { char b[65536]; int f = open(a[1], O_RDONLY); ssize_t s = read(f, b, sizeof b);\n"
        'return n != 2 || printf("deps_%s := %.*s", a[1], (int)s, b) < 0; }\n',
    )
    project.write("include/never.h", "#error never\n")
    for unit in ("a", "b"):
        project.write(f"include/{unit}.h", f"#define {unit.upper()} 1\n")
        project.write(f"{unit}.c", f'#include "{unit}.h"\n#if 0\n#include "never.h"\n#endif\nint {unit};\n')
    project.write(
        "Makefile",
        "all: a.o b.o c.d\n%.o: %.c fixdep\n\tgcc -Wp,-MD,.$@.d -Iinclude -c -o $@ $<\n"
        "\t./fixdep .$@.d > .$@.cmd; rm .$@.d\nfixdep: fixdep.c\n\tgcc -o $@ $<\n"
        "c.d: a.c\n\tgcc -MMD -MP -MF $@ -Iinclude -c -o c.o a.c; cp c.d c.P; sed -e 's/^c/d/' c.d > c.Q\n",
    )
    expected, _ = project.plain()
    project.infer()
    assert project.placeholders() == ["a.o", "b.o", "c.o"]
    project.forced()
    project.assert_tree(expected)
    project.make("-q")


NINJA = """\
rule cc
  command = gcc -MD -MF $out.d -c -o $out $in
  depfile = $out.d
  deps = gcc
rule link
  command = gcc -o $out $in
rule gen
  command = ./gen > v.tmp; if cmp -s v.tmp $out; then rm v.tmp; else mv v.tmp $out; fi
  restat = 1
rule order
  command = printf 'ninja_dyndep_version = 1\\nbuild late.o: dyndep | v.h\\n' > $out
build gen.o: cc gen.c
build gen: link gen.o
build v.h: gen | gen
build main.o: cc main.c || v.h
build order.dd: order
build late.o: cc late.c || order.dd
  dyndep = order.dd
build all.o: cc all.c || v.h
build prog: link main.o late.o all.o
default prog
"""


def ninja(project: Project) -> None:
    generated(project)
    project.write("build.ninja", NINJA)
    project.write("gen.c", '#include <stdio.h>\nint main(void) { return puts("int v(void);\\n#define V 7") < 0; }\n')
    project.write("late.c", '#include "v.h"\nint late(void) { return V; }\n')
    project.write("all.c", '#include "v.c"\nint more;\n')  # a unity build


def test_ninja(project: Project) -> None:
    """Restat, dyndep and a unity unit; the database of dependencies is what a plain build leaves."""
    ninja(project)
    expected, _ = project.plain("ninja")
    copy = project.root.parent / "plain"
    shutil.copytree(project.root, copy)
    project.run("ninja", cwd=copy)
    project.infer("ninja")
    assert project.placeholders() == ["all.o", "late.o", "main.o", "prog"]
    project.forced()
    project.assert_tree(expected, ignore=[".ninja_log", ".ninja_deps"])
    assert b"no work to do" in project.run("ninja").stdout
    assert deps(project, project.root) == deps(project, copy)
    # the generator changes and writes the same: what reads its output is not made again
    project.write("gen.c", project.path("gen.c").read_text() + "int unused;\n")
    project.infer("ninja")
    assert project.forced().ran == []
    assert b"no work to do" in project.run("ninja").stdout


def deps(project: Project, where: Path) -> dict[str, list[str]]:
    """`ninja -t deps`: of each output what its dependency file named."""
    found: dict[str, list[str]] = {}
    for block in project.run("ninja", "-t", "deps", cwd=where).stdout.decode().split("\n\n"):
        head, *lines = block.splitlines() or [""]
        if head:
            assert "VALID" in head, head
            found[head.partition(":")[0]] = sorted(line.strip() for line in lines)
    return found


DEBIAN = {
    "control": "Source: tiny\nSection: misc\nPriority: optional\nMaintainer: A <a@b.example>\n"
    "Build-Depends: debhelper-compat (= 13)\nStandards-Version: 4.6.2\n\n"
    "Package: tiny\nArchitecture: any\nDepends: ${shlibs:Depends}, ${misc:Depends}\nDescription: tiny\n Tiny.\n",
    "changelog": "tiny (1) unstable; urgency=low\n\n  * One.\n\n -- A <a@b.example>  Mon, 02 Jan 2023 00:00:00 +0000\n",
    "rules": "#!/usr/bin/make -f\n%:\n\tdh $@\n",
}


def test_debhelper(project: Project) -> None:
    """Scripts in Perl that end when a command fails: calls below them wait. What dh makes behind a build that fails goes."""
    for name, text in DEBIAN.items():
        project.write(f"debian/{name}", text)
    project.path("debian/rules").chmod(0o755)
    project.write("a.c", "int a(void) { return 1; }\n")
    project.write("main.c", "int a(void);\nint main(void) { return a() - 1; }\n")
    project.write(
        "Makefile",
        "tiny: main.o a.o\n\tgcc -g -o $@ main.o a.o\n%.o: %.c\n\tgcc -g -c -o $@ $<\n"
        "install:\n\tinstall -D tiny $(DESTDIR)/usr/bin/tiny\nclean:\n\trm -f *.o tiny\n",
    )
    build = ("dpkg-buildpackage", "-b", "-us", "-uc", "-d")
    project.run(*build)
    packages = sorted(project.root.parent.glob("tiny*.deb"))
    expected = [path.read_bytes() for path in packages]
    assert len(packages) == 2
    told = project.infer(*build).text
    project.forced()
    assert [path.read_bytes() for path in packages] == expected
    assert "may go on if it fails" not in told, told
    assert "recorded 6 thunks" in told, told  # strip and objcopy by dh_strip among them

    project.run("debian/rules", "clean")
    project.write("a.c", "int a(void) { broken }\n")
    project.infer("debian/rules", "build", status=None)
    project.force(status=None)
    assert not project.path("debian/debhelper-build-stamp").exists()
    project.write("a.c", "int a(void) { return 1; }\n")
    project.infer("debian/rules", "build")
    project.force()
    project.run("./tiny")
