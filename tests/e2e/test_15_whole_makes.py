"""A make below a program that may act on its status: its calls are deferred, and forced before it ends. It answers as a whole."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.e2e.project import SCRIPTS, Project

SOURCES = {
    "opt.c": "int x = nosuch;\n",
    "m.c": "int good(void);\nint main(void) { return good(); }\n",
    "good.c": "int good(void) { int unused; return 7; }\n",
    "Makefile": "opt.o: opt.c\n\tgcc -c opt.c\n",
    "p.mk": "p: m.o good.o\n\tgcc -o p m.o good.o\n%.o: %.c\n\tgcc -Wall -c $<\n",
    "behind.mk": "all:\n\tgcc -c opt.c\n\tgcc opt.o m.c -o p\n\techo > behind\n",
    "moved.mk": "x: opt.c\n\tgcc -c opt.c -o t.o && mv t.o x\n",
    "gone.mk": "x: opt.c\n\tgcc -c opt.c -o t.o && rm t.o\n",
    "dropped.mk": "all:\n\tgcc -c opt.c; true\n\tgcc -c good.c\n",
    "read.mk": "all: opt.c\n\tgcc -c opt.c\n\t-nm opt.o > symbols\n",
    "deep.mk": "all: a b\na:\n\t-$(MAKE) opt.o\n\techo went on > a\nb:\n\t$(MAKE) -f p.mk\n",
    "build.ninja": "rule cc\n  command = gcc -c $in -o $out\nbuild opt.o: cc opt.c\n",
}


@pytest.fixture
def sources(project: Project) -> Project:
    for name, text in SOURCES.items():
        project.write(name, text)
    return project


def python(*lines: str) -> tuple[str, ...]:
    return "python3", "-c", "\n".join(("import os, subprocess as s", *lines))


def call(makefile: str) -> tuple[str, ...]:
    """A program that writes down how a make has ended, and what it has made."""
    return python(
        f"ended = s.call(['make', '-f', '{makefile}'])",
        "open('ended', 'w').write(f'{ended} {sorted(os.listdir())}')",
    )


BUILDS = {
    "a script": ("sh", "-c", "set -e; make; echo > ok"),
    "a script with ninja": ("sh", "-c", "set -e; ninja; echo > ok"),
    "and": ("sh", "-c", "make && echo > ok"),
    "or": ("sh", "-c", "make || exit 3; sed -i s/7/8/ good.c"),
    "another way": ("sh", "-c", "make || make -f p.mk; ./p; echo $? > ok"),
    "-k": ("sh", "-c", "if make -k; then echo > ok; else echo > failed; fi"),
    "names": ("sh", "-c", "make -k; ls > ok"),
    "found": ("sh", "-c", "ninja -k0; find . -name '*.o' | sort > ok"),
    "a program": call("Makefile"),
    "what is behind": call("behind.mk"),
    "what was moved": call("moved.mk"),
    "what was removed": call("gone.mk"),
    "what nobody heeds": call("dropped.mk"),
    "what somebody has read": call("read.mk"),
    "what goes well": call("p.mk"),
    "a make in a make": python(
        "s.check_call(['make', '-j2', '-f', 'deep.mk'])", "s.check_call('./p; echo $? > ok', shell=True)"
    ),
    "ninja again": python(
        "print(s.call(['ninja']))", "os.utime('opt.c')", "open('opt.o', 'w')", "print(s.call(['ninja', '-n']))"
    ),
    "perl": ("perl", "-e", "system('make') and open(F, '>failed') and print F 'no'; exit 5"),
}


@pytest.mark.parametrize("command", BUILDS.values(), ids=BUILDS)
def test_whoever_started_it_is_told_the_truth(command: tuple[str, ...], sources: Project) -> None:
    expected, plain = sources.plain(*command, status=None)
    recorded = sources.infer(*command, status=plain.status)
    sources.assert_tree(expected, ignore=[".ninja_log"])
    for line in plain.text.splitlines():
        if "error:" in line or "warning:" in line:
            assert recorded.text.count(line) == plain.text.count(line)
    assert sources.force().text == ""
    sources.assert_tree(expected, ignore=[".ninja_log"])


def test_its_calls_are_deferred(sources: Project) -> None:
    said = sources.infer(*call("p.mk")).text
    assert "recorded 3 thunks" in said
    assert "for real" not in said
    assert "3 of 3 thunks were forced meanwhile, for 1 reader" in said


def test_its_words_come_before_who_started_it_goes_on(sources: Project) -> None:
    said = sources.infer("sh", "-c", "(make -f p.mk; echo behind >&2) && echo > ok").stderr
    assert said.index(b"unused variable") < said.index(b"behind")


def test_without_the_interposer_they_run_at_once(sources: Project) -> None:
    command = "sh", "-c", "set -e; make; echo > ok"
    expected, _ = sources.plain(*command, status=2)
    assert "for real" in sources.run(SCRIPTS / "gg-infer", "--no-interposer", *command, status=2).text
    sources.assert_tree(expected)


def test_a_make_that_is_killed_leaves_the_rest_for_a_force(sources: Project) -> None:
    sources.write("slow.mk", "all:\n\tgcc -c good.c\n\t@echo > started; sleep 60\n")
    build = sources.start(
        SCRIPTS / "gg-infer",
        *python("made = s.Popen(['make', '-f', 'slow.mk'])", "open('pid', 'w').write(str(made.pid))", "made.wait()"),
    )
    while not sources.path("started").exists():
        time.sleep(0.02)
    os.kill(int(sources.path("pid").read_text()), signal.SIGTERM)
    build.communicate(timeout=sources.seconds)
    assert sources.placeholders() == ["good.o"]
    sources.force()
    assert not sources.placeholders()
