"""Who hears what a call prints decides whether it may wait: each row of a table plainly and through gg."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading

import pytest

from tests.e2e.project import SCRIPTS, SECONDS, Project

WARNS = "static int unused;\nint f(void) { int x; return 1; }\n"
MAKEFILE = """\
all: a.o b.o
a.o b.o: warns.c
\tgcc -Wall -c warns.c -o $@
"""
NINJA = """\
rule cc
  command = gcc -Wall -c $in -o $out
rule both
  command = true && gcc -Wall -c $in -o $out
rule filtered
  command = gcc -Wall -c $in -o $out 2>&1 | sed s/unused/idle/
build a.o: cc warns.c
build b.o: both warns.c
"""
PYTHON = f"""\
import subprocess
done = subprocess.run(["gcc", "-Wall", "-c", "warns.c"], %s)
print(done.returncode, (done.stdout or "") + (done.stderr or ""), file=open("said", "w"))
# {sys.executable}
"""
CMAKE = """\
execute_process(COMMAND gcc -c bad.c -o bad.o RESULT_VARIABLE r OUTPUT_QUIET ERROR_QUIET)
execute_process(COMMAND gcc -Wall -c warns.c -o warns.o ERROR_VARIABLE e)
file(WRITE said "${r} ${e}")
"""
AT_ONCE = {
    "substitution": "said=$(gcc -Wall -c warns.c 2>&1); printf '%s\\n' \"$said\" > said",
    "substitution of output alone": 'if out=$(gcc -c bad.c); then echo fine; else echo "failed$out"; fi > said',
    "substitution of a make": 'said=$(make -s 2>&1); printf "%s\\n" "$said" | grep -c unused > said',
    "substitution of a ninja": 'echo "$(ninja 2>&1)" | grep -c unused > said; rm -f .ninja_log .ninja_deps',
    "backquotes below a wrapper": 'said=`timeout 60 env nice gcc -Wall -c warns.c 2>&1`; echo "$said" > said',
    "grep": "gcc -Wall -c warns.c 2>&1 | grep -c unused > said",
    "tee into a file": "make -s 2>&1 | tee log > /dev/null; grep -c warning: log > said; rm log",
    "tee into a file, and on": "make -s 2>&1 | tee log; grep -c warning: log > said; rm log",
    "cat into grep": "make -s 2>&1 | cat | tee /dev/null | grep -c warning: > said",
    "a file": "make -s > log 2>&1; grep -c warning: log > said; rm log",
    "a file, by make --output-sync": "make -sO > log 2>&1; grep -c warning: log > said; rm log",
    "a file, by ninja": "ninja > log; grep -c warning: log > said; rm -f log .ninja_log .ninja_deps",
    "a file without a name": "exec 3<>log; rm log; gcc -Wall -c warns.c 2>&3; grep -c warning: < /proc/self/fd/3 > said; true",
    "a file, for errors of all": "(make -s; true) 2> log; grep -c warning: log > said; rm log",
    "a named pipe": "mkfifo p; grep -c unused < p > said & make -s 2> p; wait; rm p",
    "a filter below ninja": "sed -i 's/: cc/: filtered/' build.ninja; ninja | grep -c idle > said; rm -f .ninja_*",
    "bash: process substitution": "bash -c 'gcc -Wall -c warns.c 2> >(grep -c unused > said); wait $!'",
    "make's function": "printf '$(file >said,$(shell gcc -Wall -c warns.c 2>&1))\\nall:\\n' | make -f -",
    "Python": "python3 captured.py",
    "Python, a temporary file": "python3 spooled.py",
    "CMake": "cmake -P said.cmake",
    "Perl": "perl -e 'print `gcc -Wall -c warns.c 2>&1`' > said",
    "what ar says": "gcc -c ok.c; ar cr libok.a ok.o 2> said; ar crv libok.a ok.o > said",
    "a linker's report": "gcc -Wl,--print-memory-usage main.c -o main | tee said",
    "a linker's cross references": "gcc -c main.c; gcc -Wl,--cref main.o -o main > said",
    "what the compiler included": "gcc -c -H included.c 2> said",
    "closed": "if gcc -Wall -c warns.c 2>&-; then echo fine; else echo failed; fi > said",
    "full": "if gcc -Wall -c -v warns.c 2>/dev/full; then echo fine; else echo failed; fi > said",
}
ASIDE = {
    "this call": "if gcc -c bad.c 2> /dev/null; then echo fine; else echo failed; fi > said",
    "this call, both": "if gcc -c bad.c > /dev/null 2>&1; then echo fine; else echo failed; fi > said",
    "a subshell": "if (gcc -c bad.c -o x.o; exit $?) 2> /dev/null; then echo fine; else echo failed; fi > said",
    "a group": "if { gcc -c bad.c; } 2> /dev/null; then echo fine; else echo failed; fi > said",
    "a wrapper": "if timeout 60 gcc -c bad.c 2> /dev/null; then echo fine; else echo failed; fi > said",
    "a function": "try() { gcc -c bad.c; }; if try 2> /dev/null; then echo fine; else echo failed; fi > said",
    "another shell": "if sh -c 'gcc -c bad.c; exit $?' 2> /dev/null; then echo fine; else echo failed; fi > said",
    "after all": "exec 2> /dev/null; if gcc -c bad.c 2> /dev/null; then echo fine; else echo failed; fi > said",
}
DEFERRED = {
    "make": "make -s",
    "make, in parallel": "make -sj2",
    "make --output-sync": "make -sO -j2",
    "make --output-sync=recurse": "printf 'all:;+@$(MAKE) -s -f Makefile\\n' > outer; make -s -Orecurse -j2 -f outer; rm outer",
    "all dropped": "make -s > /dev/null 2>&1",
    "errors dropped": "make -s 2> /dev/null",
    "output dropped": "make -s > /dev/null",
    "ninja": "ninja; rm -f .ninja_log .ninja_deps",
    "ninja dropped": "ninja > /dev/null; rm -f .ninja_log .ninja_deps",
    "ninja below make": "printf 'all:;@ninja\\n' > outer; make -sO -f outer; rm -f outer .ninja_log .ninja_deps",
    "cat": "make -s 2>&1 | cat",
    "tee": "ninja 2>&1 | cat | tee /dev/null | tee; rm -f .ninja_log .ninja_deps",
    "make's own choice": "make -s 1>&2",
}
SHELLS = ("dash", "bash", "busybox ash")


def files(project: Project) -> None:
    project.write("warns.c", WARNS)
    project.write("bad.c", "#include <nothing_there.h>\n")
    project.write("ok.c", "int ok(void) { return 1; }\n")
    project.write("included.c", "#include <stddef.h>\n")
    project.write("main.c", "int main(void) { return 0; }\n")
    project.write("Makefile", MAKEFILE)
    project.write("build.ninja", NINJA)
    project.write("captured.py", PYTHON % "capture_output=True, text=True")
    project.write("spooled.py", PYTHON.replace("import", "import tempfile,") % "stderr=tempfile.TemporaryFile()")
    project.write("said.cmake", CMAKE)


def compared(project: Project, shell: str, script: str) -> list[str]:
    """Run plainly and through gg, compare the trees; which files were left for later."""
    files(project)
    project.write("build.sh", script + "\n")
    expected, plainly = project.plain(*shell.split(), "build.sh", status=None)
    recorded = project.infer("--quiet", *shell.split(), "build.sh", status=None)
    waiting = project.placeholders()
    assert recorded.status == plainly.status
    if not waiting:
        assert recorded.stdout == plainly.stdout
    project.forced()
    project.assert_tree(expected)
    return waiting


@pytest.mark.parametrize("script", AT_ONCE.values(), ids=list(AT_ONCE))
def test_who_may_act_on_it_has_it_at_once(project: Project, script: str) -> None:
    waiting = compared(project, "dash", script)
    assert not [name for name in waiting if name.startswith(("warns", "bad", "a.o", "b.o"))]
    assert project.path("said").read_bytes().strip()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("script", ASIDE.values(), ids=list(ASIDE))
def test_who_puts_aside_what_one_call_prints_looks_how_it_went(project: Project, script: str, shell: str) -> None:
    compared(project, shell, script)
    assert project.path("said").read_text() == "failed\n"


@pytest.mark.parametrize("script", [ASIDE["this call"], ASIDE["a group"]])
def test_also_where_gg_infer_itself_prints_to_nobody(project: Project, script: str) -> None:
    files(project)
    command = [str(SCRIPTS / "gg-infer"), "sh", "-c", f"{script}; gcc -c ok.c"]
    null = subprocess.DEVNULL
    subprocess.run(command, cwd=project.root, env=project.env, stdout=null, stderr=null, timeout=SECONDS, check=True)
    assert project.path("said").read_text() == "failed\n"
    assert project.placeholders() == ["ok.o"]


@pytest.mark.parametrize("script", DEFERRED.values(), ids=list(DEFERRED))
def test_who_only_passes_it_on_does_not_count(project: Project, script: str) -> None:
    assert compared(project, "dash", script) == ["a.o", "b.o"]


@pytest.mark.parametrize("kind", ["file", "pipe", "terminal", "nobody", "terminal and file"])
def test_what_gg_infer_was_given_does_not_count(project: Project, kind: str) -> None:
    files(project)
    master, slave = pty.openpty()
    read, write = os.pipe()
    log = os.open(project.root.parent / "log", os.O_WRONLY | os.O_CREAT)
    null = os.open(os.devnull, os.O_WRONLY)
    out, err = {
        "file": (log, log),
        "pipe": (write, write),
        "terminal": (slave, slave),
        "nobody": (null, null),
        "terminal and file": (slave, log),
    }[kind]
    for fd in (master, read):
        threading.Thread(target=_drain, args=(fd,), daemon=True).start()
    command = [str(SCRIPTS / "gg-infer"), "make"]
    subprocess.run(command, cwd=project.root, env=project.env, stdout=out, stderr=err, timeout=SECONDS, check=True)
    for fd in (slave, write, log, null):
        os.close(fd)
    assert project.placeholders() == ["a.o", "b.o"]


def _drain(fd: int) -> None:
    try:
        while os.read(fd, 4096):
            pass
    except OSError:  # the other end of the terminal was closed
        pass
    os.close(fd)


def test_another_terminal(project: Project) -> None:
    """`script` writes down what its command prints."""
    script = "script -qec 'gcc -Wall -c warns.c' /dev/null < /dev/null | grep -c unused > said"
    assert compared(project, "dash", script) == []


def test_explain_names_who_reads(project: Project) -> None:
    files(project)
    project.infer("sh", "-c", "gcc -Wall -c warns.c 2>&1 | grep -c unused; gcc -c ok.c 2> log; exit 0")
    told = project.gg("explain", "--calls").text
    assert "grep reads what it prints" in told
    assert "what it prints goes to a file" in told
