"""What the C library opens by itself, where no preloaded library sees it: locales and character set converters."""

from __future__ import annotations

import pytest

from tests.e2e.project import Project

QUOTED = b"\xe2\x80\x98x\xe2\x80\x99"
BOTH = pytest.mark.parametrize("isolation", ["pathmap", "namespace"])


@BOTH
def test_diagnostics_in_a_locale(project: Project, isolation: str) -> None:
    """In UTF-8 gcc quotes with other characters than in C."""
    project.env["LC_ALL"] = "C.UTF-8"
    project.write("w.c", "int f(void) { int x; return 1; }\n")
    project.write("Makefile", "all: w.o libw.a\nw.o: w.c\n\tgcc -Wall -c w.c\nlibw.a: w.o\n\tar rc $@ w.o\n")
    plain = project.make()
    assert QUOTED in plain.stderr
    project.run("rm", "w.o", "libw.a")
    project.infer()
    assert QUOTED in project.force("--isolation", isolation).stderr


@BOTH
def test_character_sets(project: Project, isolation: str) -> None:
    project.write("e.c", b'const char *s = "\xa4\xa2";\n')
    project.write("u.c", 'const char *s = "\u3042";\n')
    project.write(
        "Makefile",
        "all: e.o u.o\ne.o: e.c\n\tgcc -finput-charset=EUC-JP -c e.c\nu.o: u.c\n\tgcc -fexec-charset=EUC-JP -c u.c\n",
    )
    project.same_as_plain("make", isolation=isolation)
    assert "\u3042".encode() in project.path("e.o").read_bytes()
    assert b"\xa4\xa2" in project.path("u.o").read_bytes()
