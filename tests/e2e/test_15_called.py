"""A process that executes another program in its place is known to whoever started it by its own words, and heeded by those."""

from __future__ import annotations

import pytest

from tests.e2e.project import Project

FILES = {
    "good.c": "int good(void) { return 1; }\n",
    "opt.c": "int x = nosuch;\n",
    "cc": '#!/bin/sh\nexec gcc "$@"\n',
    "more": '#!/usr/bin/env bash\nexec ./cc -O1 "$@"\n',
    "build": "#!/bin/sh\nexec make -s -f build.mk\n",
    "build.mk": "all: good.o opt.o\n%.o: %.c\n\tgcc -c $<\n",
    "later": "#!/bin/sh\ngcc -c good.c -o first.o\nexec make -s -f plainly.mk\n",
    "plainly.mk": "all:\n\t-gcc -c opt.c\n\tgcc -c good.c\n",
    "ignored.mk": "all:\n\t-./cc -c opt.c\n\tgcc -c good.c\n",
    "bash.mk": "SHELL = /bin/bash\nall:\n\t-cd . && gcc -c opt.c\n\tgcc -c good.c\n",
    "stamp.mk": "stamp:\n\t./more -c opt.c\n\ttouch stamp\n",
    "bash-stamp.mk": "SHELL = /bin/bash\nstamp:\n\tcd . && gcc -c opt.c\n\ttouch stamp\n",
}
HEEDED = {
    "a script": "./cc -c opt.c || echo > failed",
    "scripts": "if ./more -c opt.c; then echo > ok; else echo > failed; fi",
    "without its words": "./build || echo > failed",
    "set -e": "set -e; ./cc -c opt.c; echo > ok",
    "a launcher": "nohup gcc -c opt.c || echo > failed",
    "launchers": "env nice setsid -w ./cc -c opt.c || echo > failed",
    "bash": "bash -c 'cd .; gcc -c opt.c' || echo > failed",
    "a subshell": "(exec ./cc -c opt.c) || echo > failed",
    "a make that was a shell": "./later",
    "ignored by make": "make -s -f ignored.mk",
    "ignored by make, with bash": "make -s -f bash.mk",
}


@pytest.fixture
def sources(project: Project) -> Project:
    project.acts = True
    for name, text in FILES.items():
        project.write(name, text, 0o755 if text.startswith("#!") else None)
    return project


@pytest.mark.parametrize("how", HEEDED)
def test_whoever_acts_is_told_the_truth(sources: Project, how: str) -> None:
    expected, plain = sources.plain("sh", "-c", HEEDED[how], status=None)
    sources.infer("sh", "-c", HEEDED[how], status=plain.status)
    sources.force()
    sources.assert_tree(expected)


@pytest.mark.parametrize("how", ["stamp.mk", "bash-stamp.mk"])
def test_what_is_made_by_hand_behind_it_is_undone(sources: Project, how: str) -> None:
    expected, _ = sources.plain("make", "-f", how, status=2)
    sources.infer("make", "-f", how, status=None)
    sources.force(status=None)
    sources.assert_tree(expected)


def test_one_that_nobody_heeds_is_deferred(sources: Project) -> None:
    sources.same_as_plain("sh", "-c", "./cc -c good.c; bash -c 'cd .; gcc -O2 -c good.c -o o'", make=False, deferred=2)
