"""What compilers print in colour on a terminal: through gg it is the same there, and plain elsewhere, from the store as well."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.project import SCRIPTS, SECONDS, Project

CODE = (
    """
#include <stdio.h>
#define TWICE(x) ((x) + (x)
struct s { int first; unsigned bits : 3; };
static int unused_function(void) { return 1; }
int format(const char *text) { printf("%d %s", text, 3L); return 0; }
int fall(int x) { switch (x) { case 1: x++; case 2: return x; } }
int compare(unsigned a, int b) { if (a = b) return a < b; return a == b ? : 3; }
int misleading(int x) { if (x) x++; x--; return	x; }
void *wrong(struct s *p) { return p->frist + p.first; }
int missing(void) { return undeclared_name + strlen("x") }
char overflow(void) { char small[2]; __builtin_strcpy(small, "much too long"); return small[5] + 300000000000; }
int shadow(int x) { int y; { int x = y; return x; } }
void conflict(int); int conflict(void) { return "text"; }
#warning "a warning with a \u00fc and a \u2192"
"""
    + f"int wide(void) {{ int used = {' + '.join(['1'] * 60)}, nobody_uses_this; return used; }}\n"
)
CXX = r"""
#include <map>
#include <string>
#include <vector>
template <class T> struct box { T value; void set(const T &t) { value = t.none(); } };
std::map<std::string, std::vector<int>> table;
int insert() { table["x"] = std::map<int, std::string>(); box<int> b; b.set(3); return table.find(3); }
struct base { virtual void f(int) const; }; struct derived : base { void f(int); ~derived() = delete; };
derived d; int lambda = [](auto x) { return x.size(); }(3);
"""
LINES = [
    "gcc -Wall -Wextra -Wshadow -O2 -c code.c -o out.o",
    "gcc -Wall -fanalyzer -c analysed.c -o out.o",
    "gcc -Werror=unused-variable -c warns.c -o out.o",
    "gcc -Wall -fdiagnostics-show-caret -fno-diagnostics-show-labels -c warns.c -o out.o",
    "g++ -Wall -Wextra -c code.cc -o out.o",
    "clang -Wall -Wextra -Wshadow -O2 -c code.c -o out.o",
    "clang++ -Wall -Wextra -fdiagnostics-show-template-tree -c code.cc -o out.o",
    "gcc warns.c missing.c -o out",
    "clang missing.c -o out",
    "gcc -c garbage.s -o out.o",
    "clang -c garbage.s -o out.o",
]
ANALYSED = """\
#include <stdlib.h>
int f(int n) { char *p = malloc(n); if (n > 3) free(p); p[0] = 1; free(p); return n; }
"""
WARNS = "static int unused;\nint f(void) { int x; return 1; }\n"
COLOURED = {"TERM": "xterm-256color"}


def files(project: Project) -> None:
    for name, text in {
        "code.c": CODE,
        "code.cc": CXX,
        "analysed.c": ANALYSED,
        "warns.c": WARNS,
        "missing.c": "int nowhere(void);\nint main(void) { return nowhere(); }\n",
        "garbage.s": "\tmov nothing, %nowhere\n\tjump\n",
        "Makefile": "all: a.o b.o\na.o b.o: warns.c\n\tgcc -Wall -c warns.c -o $@\n",
    }.items():
        project.write(name, text)


def on_terminal(project: Project, *command: str | Path, env: Mapping[str, str] = COLOURED, status: int = 0) -> bytes:
    """What a command shows on a terminal, its standard output dropped."""
    master, slave = pty.openpty()
    child = subprocess.Popen(
        command,
        cwd=project.root,
        env=project.env | dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=slave,
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other end was closed
            break
        shown += piece
    os.close(master)
    assert child.wait(timeout=SECONDS) == status
    return shown.replace(b"\r\n", b"\n")


def forced_on_terminal(project: Project, *, env: Mapping[str, str] = COLOURED, status: int = 0) -> bytes:
    return on_terminal(project, SCRIPTS / "gg-force", "--quiet", env=env, status=status)


@pytest.mark.parametrize("line", LINES)
def test_on_a_terminal_and_in_a_pipe(project: Project, line: str) -> None:
    """Each command plainly in both places; then through gg in both, the second time from the store."""
    files(project)
    project.env["LC_ALL"] = "C.UTF-8"
    project.path("out.o").unlink(missing_ok=True)
    piped = project.run("sh", "-c", line, status=None)
    shown = on_terminal(project, *line.split(), status=piped.status)
    assert b"\x1b" in shown or line.startswith(("gcc warns.c missing.c", "gcc -c garbage"))
    assert b"\x1b" not in piped.stderr
    for name in ("out", "out.o"):
        project.path(name).unlink(missing_ok=True)
    project.infer("--quiet", *line.split(), deferred=1)
    through = forced_on_terminal(project, status=piped.status)
    assert _names(_framed(through)).rstrip() == _names(shown).rstrip()
    project.infer("--quiet", *line.split(), status=None)
    if piped.status == 0:
        assert project.force().stderr == piped.stderr


def _framed(shown: bytes) -> bytes:
    """Without the lines that gg adds to a failure."""
    return b"".join(line for line in shown.splitlines(keepends=True) if not line.startswith((b"gg: ", b"FAILED")))


def _names(text: bytes) -> bytes:
    """Temporary objects have other names each time."""
    import re

    return re.sub(rb"/tmp/[\w./-]*?([\w-]+\.o)", rb"T.o", re.sub(rb"/cc\w{6}\.o|-[0-9a-f]{6}\.o", b"/x-0.o", text))


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("isolation", ["pathmap", "namespace"])
def test_bytes_and_words_in_both_isolations(project: Project, compiler: str, isolation: str) -> None:
    files(project)
    line = [compiler, "-g", "-Wall", "-frecord-gcc-switches", "-c", "warns.c", "-o", "a.o"]
    if compiler == "clang":
        line[3] = "-grecord-command-line"
    shown = on_terminal(project, *line)
    plain = project.path("a.o").read_bytes()
    piped = project.run(*line)
    project.path("a.o").unlink()
    project.infer("--quiet", *line)
    through = on_terminal(project, SCRIPTS / "gg-force", "--quiet", "--isolation", isolation)
    assert through == shown
    assert project.path("a.o").read_bytes() == plain
    project.path("a.o").unlink()
    project.infer("--quiet", *line)
    forced = project.forced("--isolation", isolation)
    told = next(event for event in forced.events if event["event"] == "diagnostics")
    assert told["stderr"] == piped.stderr.decode()
    assert not forced.ran


@pytest.mark.parametrize(
    "env",
    [
        {"TERM": "dumb"},
        {"TERM": "xterm"},
        {"TERM": "linux"},
        {"TERM": "xterm", "COLORTERM": "truecolor"},
        {"TERM": "xterm-256color", "COLORTERM": "xfce4-terminal"},
        {"TERM": "xterm-256color", "GCC_URLS": "st"},
        {"TERM": "xterm-256color", "TERM_URLS": "st"},
        {"TERM": "xterm-256color", "TERM_URLS": "no"},
        {"TERM": "xterm-256color", "GCC_COLORS": ""},
        {"TERM": "xterm-256color", "GCC_COLORS": "warning=04;33:locus=35"},
        {"TERM": "xterm-256color", "NO_COLOR": "1"},
        {},
    ],
    ids=lambda env: ",".join(f"{k}={v}" for k, v in env.items()) or "nothing",
)
def test_terminals(project: Project, env: dict[str, str]) -> None:
    """Where the compiler shows no colours or no links, gg shows none."""
    files(project)
    line = ("gcc", "-Wall", "-c", "warns.c", "-o", "a.o")
    shown = on_terminal(project, *line, env=env)
    project.run(SCRIPTS / "gg-infer", "--quiet", *line, env=env)
    assert forced_on_terminal(project, env=env) == shown


@pytest.mark.parametrize("option", ["always", "never", "auto"])
def test_the_command_line_decides(project: Project, option: str) -> None:
    files(project)
    line = ("gcc", "-Wall", f"-fdiagnostics-color={option}", "-c", "warns.c", "-o", "a.o")
    shown, piped = on_terminal(project, *line), project.run(*line).stderr
    project.infer("--quiet", *line)
    assert forced_on_terminal(project) == shown
    project.infer("--quiet", *line)
    assert project.force().stderr == piped


def test_a_terminal_for_one_who_is_not_the_first(project: Project) -> None:
    """What was forced into a log is in colour on the terminal where it is shown next, and nothing runs for that."""
    files(project)
    shown = on_terminal(project, "make", "-s")
    project.make("-s", "-B")
    for name in ("a.o", "b.o"):
        project.path(name).unlink()
    project.infer("--quiet", "make", "-s")
    assert b"\x1b" not in project.force().stderr
    for name in ("a.o", "b.o"):
        project.path(name).unlink()
    project.infer("--quiet", "make", "-s")
    assert sorted(forced_on_terminal(project).splitlines()) == sorted(shown.splitlines())
    last = json.loads(project.gg("status", "--json").stdout)
    assert "placeholders" not in last or not last["placeholders"]


def test_what_is_forced_while_the_build_runs(project: Project) -> None:
    """Its words are shown where gg-infer itself prints."""
    files(project)
    line = "gcc -Wall -c warns.c -o a.o; cmp -s a.o warns.c; true"
    shown = on_terminal(project, "sh", "-c", line)
    project.path("a.o").unlink()
    assert on_terminal(project, SCRIPTS / "gg-infer", "--quiet", "sh", "-c", line) == shown
    assert project.deferred == 1
    project.path("a.o").unlink()
    piped = project.run("sh", "-c", line).stderr
    project.path("a.o").unlink()
    assert project.infer("--quiet", "sh", "-c", line, deferred=1).stderr == piped


NINJA = """\
rule cc
  command = gcc -Wall %s -c $in -o $out
build a.o: cc warns.c
"""


@pytest.mark.parametrize("option", ["", "-fdiagnostics-color=always"])
@pytest.mark.parametrize("command", ["ninja", "make -sO a.o", "sh -c 'make -s a.o 2>&1 | cat >&2'"])
def test_who_passes_it_on(project: Project, command: str, option: str) -> None:
    """A compiler below ninja sees no terminal, and ninja takes colours out where it shows none."""
    files(project)
    project.write("build.ninja", NINJA % option)
    project.env["CFLAGS"] = option
    project.write("Makefile", "a.o: warns.c\n\tgcc -Wall $(CFLAGS) -c warns.c -o $@\n")
    line = ["sh", "-c", f"{command} >&2"]
    shown = _words(on_terminal(project, *line))
    project.path("a.o").unlink()
    piped = _words(project.run(*line).stderr)
    project.path("a.o").unlink()
    project.infer("--quiet", *line)
    assert _words(forced_on_terminal(project)) == shown
    project.path("a.o").unlink()
    project.infer("--quiet", *line)
    assert _words(project.force().stderr) == piped


def _words(text: bytes) -> bytes:
    """Without what ninja says."""
    text = text.replace(b"\r", b"").replace(b"\x1b[K\n", b"\n")
    return b"".join(line for line in text.splitlines(True) if b"[1/1] " not in line and b"[0/1] " not in line)
