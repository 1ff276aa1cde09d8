"""One's own machines: two commands from zero, the same bytes, and whatever befalls a worker."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.project import SCRIPTS, SECONDS, Project, is_placeholder
from tests.e2e.test_01_same_bytes import LIBRARY, greeter
from tests.e2e.workers import workers

UNITS = 12


def units(project: Project, count: int = UNITS) -> None:
    """A program of some units, which says how many there are."""
    names = [f"unit{n}" for n in range(count)]
    for n, name in enumerate(names):
        project.write(f"{name}.c", f"#include <stdio.h>\n#include <stdlib.h>\nint {name}(void) {{ return {n}; }}\n")
    calls = " + ".join(f"{name}()" for name in names)
    declared = "".join(f"int {name}(void);\n" for name in names)
    project.write("main.c", f'#include <stdio.h>\n{declared}int main(void) {{ printf("%d\\n", {calls}); return 0; }}\n')
    objects = " ".join(f"{name}.o" for name in ["main", *names])
    project.write("Makefile", f"CFLAGS = -O2 -g\nprogram: {objects}\n\t$(CC) -o $@ {objects}\n")


def test_two_commands_from_zero(project: Project) -> None:
    """Also what a command warns of, and the second time the host's name is enough."""
    greeter(project, LIBRARY)
    expected, _ = project.plain("make")
    with workers(project, 1) as (worker,):
        project.infer("make")
        forced = project.forced("--engine", worker.line, "--fallback", "never")
        project.assert_tree(expected)
        project.make("-q")
        assert len(forced.ran) == 5
        engines = {e["engine"] for e in forced.events if e["event"] == "thunk-done"}
        assert engines == {f"remote/{worker.address}"}
        project.write("greet.c", '#warning "careful"\n' + (project.root / "greet.c").read_text())
        expected, plain = project.plain("make")
        project.infer("make")
        again = project.force("--engine", f"remote={worker.address}", "--fallback", "never")
        assert b"careful" in plain.stderr
        assert again.stderr.replace(b"\r", b"") in plain.stderr or plain.stderr in again.stderr
        project.assert_tree(expected)


MANY_TOOLS = """
all: c cxx lto shared gold clang partial stripped
c: main.o util.o asm.o ; gcc -g -o $@ $^ -lm
cxx: main.cc ; g++ -O2 -o $@ $<
lto: main.c util.c ; gcc -O2 -flto -o $@ main.c util.c
shared: libutil.so main.o asm.o ; gcc -o $@ main.o asm.o -L. -lutil -Wl,-rpath,.
libutil.so: util.c ; gcc -fPIC -shared -o $@ $<
gold: main.o util.o asm.o ; gcc -fuse-ld=gold -o $@ $^
clang: main.cc ; clang++ -o $@ $<
partial: libutil.a main.o asm.o ; ld -r -o $@.o main.o asm.o && gcc -o $@ $@.o libutil.a
libutil.a: util.o ; ar rcs $@ $<
stripped: c ; strip -o $@ c
asm.o: asm.S ; gcc -c -o $@ $<
"""


def test_nothing_runs_twice_for_what_it_reads(project: Project) -> None:
    """Elsewhere than here an undeclared file costs another attempt. So all that compilers and linkers look for is declared, but for
    what clang looks for on some machines (CUDA); that is known the second time.
    """
    project.write("main.c", "int util(void);\nint main(void) { return util(); }\n")
    project.write("main.cc", "#include <iostream>\nint main() { std::cout << 1; }\n")
    project.write("util.c", '#include <stdio.h>\nint util(void) { return puts("") < 0; }\n')
    project.write("asm.S", "#define N 1\n.globl n\nn: .long N\n.section .note.GNU-stack\n")
    project.write("Makefile", MANY_TOOLS)
    expected, _ = project.plain("make")
    with workers(project, 1) as (worker,):
        project.infer("make")
        first = project.forced("--engine", worker.line, "--fallback", "never")
        project.assert_tree(expected)
        for name in ("main.c", "main.cc", "util.c", "asm.S"):
            project.write(name, project.path(name).read_text() + "\n#define EDITED\n")
        project.infer("make", "-B")
        second = project.forced("--engine", f"remote={worker.address}", "--fallback", "never")
    for forced, allowed, least in ((first, {"clang"}, 14), (second, set[str](), 8)):
        started = Counter(str(e["label"]) for e in forced.events if e["event"] == "thunk-started")
        assert {label for label, times in started.items() if times > 1} <= allowed
        assert len(started) == len(forced.ran) >= least


def test_a_compile_error_is_the_users(project: Project) -> None:
    project.write("x.c", "int x = ;\n")
    project.write("Makefile", "x.o: x.c\n\tcc -c x.c\n")
    with workers(project, 1) as (worker,):
        project.infer("make")
        result = project.force("--engine", worker.line, "--fallback", "never", status=1)
    assert b"x.c:1:9: error" in result.stderr


def once_it_works(project: Project, act: Callable[[], None]) -> threading.Thread:
    """`act` in a thread, when the first unit is compiled."""

    def wait() -> None:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and all(map(is_placeholder, project.root.glob("unit*.o"))):
            time.sleep(0.02)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_worker_is_killed_while_it_works(project: Project) -> None:
    """What it had is done by the other; it comes back and goes on."""
    units(project)
    expected, _ = project.plain("make")
    with workers(project, 2, "--jobs", "2") as (one, two):
        project.infer("make")
        killing = once_it_works(project, one.kill)
        project.forced("--engine", f"{one.line},{two.line.removeprefix('remote=')}", "--fallback", "never")
        killing.join()
        project.assert_tree(expected)
        assert two.deaths == 0


@pytest.fixture
def killer(project: Project, tmp_path: Path) -> str:
    """A thunk that kills what runs it."""
    source = tmp_path / "killer.c"
    source.write_text(
        "#include <signal.h>\n#include <unistd.h>\nint main(void) { kill(getppid(), SIGKILL); pause(); }\n"
    )
    subprocess.run(["cc", "-o", project.root / "killer", source], check=True)
    settings = Path(project.env["HOME"], ".config", "gg", "gg.toml")
    settings.parent.mkdir(parents=True)
    settings.write_text('[tool.killer]\noperands = ["output"]\n')
    project.infer("./killer", "poison")
    return "poison"


def test_what_kills_workers_is_quarantined(project: Project, killer: str) -> None:
    """After the second time it is told and not tried again, here least of all; the rest of the build is done."""
    units(project)
    with workers(project, 1, "--jobs", "3") as (worker,):
        project.infer("make")
        result = project.run(
            SCRIPTS / "gg-force", "--engine", worker.line, "--keep-going", status=75, env={"GG_FALLBACK": "local"}
        )
        assert worker.deaths == 0  # a slot is a process of its own
    died = f"gg: {killer}: it has killed the worker's process that ran it".encode()
    assert died in result.stderr
    assert b"2 died" in result.stderr or b"1 died" in result.stderr
    assert project.run("./program").stdout == b"%d\n" % sum(range(UNITS))


def test_a_worker_that_is_told_to_go(project: Project) -> None:
    """It finishes what it runs, gives back what waits, and ends; the rest is done here."""
    units(project)
    expected, _ = project.plain("make")
    with workers(project, 1, "--jobs", "1") as (worker,):
        project.infer("make")
        leaving = once_it_works(project, worker.end)
        project.forced("--engine", worker.line)
        leaving.join()
        assert worker.process.returncode == 0
    project.assert_tree(expected)


def test_nobody_is_there(project: Project) -> None:
    greeter(project, LIBRARY)
    with workers(project, 1) as (worker,):
        line = worker.line
    project.infer("make")
    result = project.force("--engine", line, status=75)
    assert f"the worker on {worker.address} does not answer".encode() in result.stderr
    result = project.force("--engine", "remote=elsewhere", status=64)
    assert b"there is no key for the worker on elsewhere" in result.stderr
    result = project.force("--engine", "remote", status=64)
    assert b"the remote engine needs workers" in result.stderr


def test_idle_workers_end(project: Project) -> None:
    with workers(project, 1, "--idle", "0.5") as (worker,):
        worker._over = True
        assert worker.process.wait(30) == 0
