"""Whose failure sends a shell or a make another way: their texts, read as far as that takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gg.record.hearers import shelltext
from gg.record.hearers.invoked import options
from gg.record.hearers.makefile import Makefiles
from gg.record.hearers.shelleffects import ALL, BY_HAND
from gg.record.hearers.shelltext import may_be
from gg.record.hearers.shelltokens import ANY


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("gcc -Werror a.c -o p || gcc a.c -o p", ["gcc -Werror a.c -o p"]),
        ("gcc a.c 2>/dev/null || gcc b.c", ["gcc a.c"]),
        ("gcc -c a.c || exit 1; gcc b.c", []),
        ("gcc a.c || { echo no; exit 1; }", []),
        ("gcc a.c || { echo no; }", ["gcc a.c"]),
        ("gcc a.c || (echo no; false)", []),
        ("if gcc -c x.c; then echo y; fi", ["gcc -c x.c"]),
        ("if gcc -MT x; then mv a b; else rm -f q; exit 1; fi", []),
        ("if test -f x; then gcc -c a.c; fi", ["test -f x"]),
        ("! gcc a.c", ["gcc a.c"]),
        ("cd x && gcc a.c || true", ["cd x", "gcc a.c"]),
        ("(cd x; gcc a.c) || :", ["cd x", "gcc a.c"]),
        ("while gcc *.c; do foo; done; cc y.c", ["gcc ?.c"]),
        ("f() { gcc $1; }\nf a.c || f b.c\n", ["?"]),
        ('"$CC" -c "$f.c" || echo "$f failed" >> log', ["? -c ?.c"]),
        ("for i in a b; do gcc $i.c || die no; done", []),
        ("cat <<EOF\ngcc || ld\nEOF\ngcc x || :", ["gcc x"]),
        ("gcc a.c; gcc b.c && gcc c.c", []),
        ("for d in a b; do (CDPATH=x && cd $d && make $t) || eval $failcom; done", []),
        (
            'for d in a; do (cd $d && make all) || case "$f" in *=*) exit 1;; *k*) fail=yes;; *) exit 1;; esac; done && test -z x',
            [],
        ),
        ("for d in a b; do (cd $d; make) || fail=yes; done; exit $fail", []),
        ("make -C sub || status=$?; echo", []),
        ("case $x in *k*) gcc a.c;; a|b) gcc b.c || gcc c.c;; *) gcc d.c; esac; gcc e.c || :", ["gcc b.c", "gcc e.c"]),
        (
            "if case $x in ?) ;; *) echo no; exit 1;; esac; test $y = yes; then gcc a.c; fi",
            ["echo no", "exit 1", "test ? = yes"],
        ),
        ("make -C sub || have=no; echo", ["make -C sub"]),
        ("make all || make some", ["make all"]),
        ("gcc -c opt.c || fail=1", ["gcc -c opt.c"]),
        ("gcc -c opt.c || eval $no", ["gcc -c opt.c"]),
        ("echo 'if gcc || ld' # if gcc || ld", []),
        ("gcc a && touch yes; ls", ["gcc a"]),
        ("gcc a && CFLAGS=-Da; ls", ["gcc a"]),
        ("gcc a && { mv a b; gcc c; }; ls", []),
        ("gcc a && echo done", []),
        ("for h in a b; do gcc $h && n=1; done", ["gcc ?"]),
        ("(cd a && gcc a) && touch yes; ls", ["cd a", "gcc a"]),
        ("gcc a & p=$!; if wait $p; then ls; fi", ["wait ?", "gcc a"]),
        ("gcc a & wait; ls", []),
        ("trap 'echo $LINENO' ERR; gcc a", ["?"]),
        ("trap 'rm -f x' EXIT; gcc a", []),
        (". ./lib; try a || ls", ["?"]),
        ("try a || ls", ["try a"]),
    ],
)
def test_what_a_shell_tests(text: str, commands: list[str]) -> None:
    assert [b" ".join(c).replace(ANY, b"?").decode() for c in shelltext.read(text.encode()).tested] == commands


def test_a_call_that_may_be_a_command() -> None:
    argv = (b"/usr/bin/gcc", b"-c", b"a.c", b"-o", b"a.o")
    assert may_be((b"gcc", b"-c", ANY + b".c"), argv)
    assert may_be((ANY,), argv)
    assert not may_be((b"gcc", b"-c", b"b.c"), argv)
    assert not may_be((b"ld", ANY), argv)


@pytest.mark.parametrize(
    ("text", "ignored", "kept"),
    [
        ("a:\n\t-gcc -c x.c # why it may fail\n\tgcc -c y.c\n", "gcc -c x.c", "gcc -c y.c"),
        ("a:\n\t-gcc -c x.c # it's one\n\tgcc -c y.c\n", "gcc -c x.c # it's one", "gcc -c y.c"),
        ("a:\n\t-@ $(if $(STRIP), $(STRIP) -x $@) # less\nSTRIP = strip\n", "strip -x a", "gcc -c y.c"),
        ("a:\n\t-$(if $(V),,gcc -c $@.c)\n", "gcc -c a.c", "gcc -S y.c"),
        ("Q = @\na:\n\t-$(Q)gcc -c x.c\n", "gcc -c x.c", "gcc -c y.c"),
        ("a:\n\t-$(if $(V),,@)gcc -c x.c\n", "gcc -c x.c", "gcc -c y.c"),
        ("a:\n\t-$(if $(V),gcc,cc) -c x.c\n", "cc -c x.c", "gcc -c y.c"),
        ("all:\n\t-gcc -c opt.c\n\tgcc -c a.c\n", "gcc -c opt.c", "gcc -c a.c"),
        ("all:\n\t-$(CC) $(CFLAGS) -c $<\n", "cc -O2 -c x.c", "gcc -c x.c"),
        ("CC = clang -m32\nall: ; @-$(CC) -c $<\n", "clang -m32 -c x.c", "clang -c x.c"),
        ("clean:\n\t-rm -f *.o\n\t-$(RM) $(OBJS)\n", "", "gcc -c x.c"),
        ("all:\n\t-@cd sub && gcc -c \\\n\t  'a b.c'\n", "cd sub && gcc -c a b.c", "gcc -c x.c"),
        (".IGNORE:\nall:\n\tgcc -c x.c\n", "gcc -c x.c", ""),
        ("include more.mk\n", "gcc -c more.c", "gcc -c x.c"),
        ("all:\n\t-./try.sh one\n", "./try.sh one", "gcc -c x.c"),
        ("stamp: x\n\tgcc -c x.c\n\ttouch $@\n", "gcc -c x.c", "touch stamp"),
        ("stamp: x\n\tgcc -c x.c # quietly\n\ttouch $@\n", "gcc -c x.c", "touch stamp"),
        ("x.lib:\n\techo > x.lib\n\t@gcc -c x.c\n", "gcc -c x.c", "gcc -c y.c"),
        ("stamp:\n\t$(MAKE) -C x\n\ttouch $@\n", "", "make -C x"),
        ("stamp: x\n\tgcc -c x.c && touch $@\n", "gcc -c x.c && touch stamp", "touch stamp"),
        ("$(S): x\n\t$(CC) -c x.c\n\ttouch $(S)\n", "cc -c x.c", "touch stamp"),
        ("s: x\n\tgcc -c x.c\n\tcp x.c s\n", "gcc -c x.c", "cp x.c s"),
        ("s: x\n\tgcc -c x.c\n\tcp x.o s\n", "", "gcc -c x.c"),
        ("s.t: x\n\tgcc -c x.c -o y.o\n\ttar cf $@ x.c\n", "gcc -c x.c -o y.o", "tar cf s.t x.c"),
        ("d: x\n\tgcc -c x.c\n\tmkdir -p d\n", "gcc -c x.c", "mkdir -p d"),
        ("p: x\n\tgcc -c x.c\n\tgcc x.o -o p\n\tstrip p\n\tls -l p\n", "", "gcc -c x.c"),
        ("p: x\n\tgcc -c x.c\n\t./pack x.o p\n", "", "gcc -c x.c"),
        ("define R\ngcc -c x.c\ntouch $@\nendef\ns: x\n\t$(R)\n", "gcc -c x.c", "touch s"),
        ("R = gcc -c $(1) && touch $(2)\ns: x\n\t$(call R,x.c,$@)\n", "gcc -c x.c && touch s", "touch s"),
        (".RECIPEPREFIX = >\ns: x\n> gcc -c x.c\n> touch s\n", "gcc -c x.c", "touch s"),
        (".ONESHELL:\ns: x\n\tgcc -c x.c\n\ttouch s\n", "gcc -c x.c\ntouch s", "touch s"),
        ("b/s: x\n\tcd b && gcc -c ../x.c && touch s\n", "cd b && gcc -c ../x.c && touch s", "touch s"),
        ("s: x; gcc -c x.c && touch s\n", "gcc -c x.c && touch s", "gcc -c x.c"),
        (
            "x.o: x.c\n\tset -e; gcc -c x.c -o $@; fixdep $@.d > .$@.cmd\n",
            "",
            "set -e; gcc -c x.c -o x.o; fixdep x.o.d > .x.o.cmd",
        ),
        ("p: x.o\n\tgcc -c y.c\n\tgcc x.o y.o -o $@\n\techo made $@\n", "", "gcc -c y.c"),
        ("x.o: x.c\n\tgcc -c -o $@ x.c\n\techo > $@.done\n", "", "gcc -c -o x.o x.c"),
    ],
)
def test_what_a_make_ignores(text: str, ignored: str, kept: str, tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(text)
    (tmp_path / "more.mk").write_text("x:\n\t-gcc -c more.c\n")
    found = Makefiles().of([b"make"], bytes(tmp_path)).ignored

    def matches(line: str) -> bool:
        return any(re.fullmatch(pattern, line.encode()) for pattern in found)

    assert matches(ignored) or not ignored
    assert not matches(kept) or not kept


@pytest.mark.parametrize(
    ("text", "tested", "dropped"),
    [
        ("gcc a; gcc b", [], ["gcc a"]),
        ("gcc a\ngcc b\n", [], ["gcc a"]),
        ("set -e; gcc a; gcc b", [], []),
        ("set -eu\ngcc a\ngcc b", [], []),
        ("(gcc a; true)", [], ["gcc a"]),
        ("gcc a; exit $?", [], []),
        ("gcc a; exit", [], []),
        ("gcc a; exit 0", [], ["gcc a"]),
        ("gcc a; rc=$?; rm -f x; exit $rc", [], []),
        ("gcc a; rc=$?; test $rc = 0 || gcc b", ["gcc a", "test ? = 0"], ["gcc a"]),
        ("gcc a\nif test $? -ne 0; then gcc b; fi", ["gcc a", "test ? -ne 0"], ["gcc a"]),
        ("gcc a; case $? in 0) ;; *) gcc b;; esac", ["gcc a"], ["gcc a"]),
        ("gcc a && gcc b; ld", [], ["gcc a", "gcc b"]),
        ("gcc a | cat", [], ["gcc a"]),
        ("set -o pipefail; gcc a | cat", [], ["set -o pipefail"]),
        ("gcc a | tee log; exit ${PIPESTATUS[0]}", [], []),
        ("gcc a & wait $!", [], []),
        ("gcc a & wait", [], ["gcc a"]),
        ("(cd one; gcc a); cd two; gcc a", [], ["cd one", "gcc a", "cd two"]),
        ("for i in 1 2; do gcc $i; done; ld", [], ["gcc ?"]),
        ("for i in 1 2; do gcc $i; done", [], []),  # each counts, though in a shell the last alone does
        ("for i in 1 2; do gcc $i || exit 1; done", [], []),
        ("set -e; for i in 1 2; do gcc $i; done", [], []),
        ("for d in a b; do make -C $d; done", [], []),
        ("if test -f x; then gcc a; else gcc b; fi", ["test -f x"], []),
        ("if test -f x; then gcc a; fi; ld", ["test -f x"], ["gcc a"]),
    ],
)
def test_whose_status_a_shell_drops(text: str, tested: list[str], dropped: list[str]) -> None:
    read = shelltext.read(text.encode())
    assert [b" ".join(c).replace(ANY, b"?").decode() for c in read.tested] == tested
    assert [b" ".join(c).replace(ANY, b"?").decode() for c in read.dropped] == dropped


def test_the_same_words_twice() -> None:
    read = shelltext.read(b"(cd one; gcc a); cd two; gcc a; ")
    assert not read.drops((b"gcc", b"a"))
    assert read.drops((b"cd", b"one"))


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("gcc a", False),
        ("gcc a && mv b c", False),
        ("gcc -Iif a &&\\\nmv b c\n", False),
        ("gcc a > log 2>&1 && ld", False),
        ("gcc a; ld", True),
        ("gcc a\nld", True),
        ("gcc a & ld", True),
        ("gcc a | ld", True),
        ("! gcc a", True),
        ("if gcc a\nthen ld\nfi", True),
    ],
)
def test_which_texts_are_read_at_all(text: str, has: bool) -> None:
    """A recipe that is one command, or a chain, costs a look and no more: there is one for each compile."""
    assert shelltext._has_choices(text.encode()) is has


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("sh -c text name", ("text", "", False, False)),
        ("sh -ec text", ("text", "", True, False)),
        ("bash -c -e text", ("text", "", True, False)),
        ("bash -euo pipefail -c text", ("text", "", True, True)),
        ("bash -o errexit file word", (None, "file", True, False)),
        ("bash --rcfile f +x -- file", (None, "file", False, False)),
        ("bash -O extglob file", (None, "file", False, False)),
        ("sh - file", (None, "file", False, False)),
        ("sh -s word", (None, "", False, False)),
        ("sh", (None, "", False, False)),
        ("busybox sh file", (None, "file", False, False)),
    ],
)
def test_the_arguments_of_a_shell(words: str, expected: tuple[str | None, str, bool, bool]) -> None:
    given, script, ends, pipefail = options(words.encode().split())
    assert (given.decode() if given is not None else None, script.decode(), ends, pipefail) == expected


@pytest.mark.parametrize(
    ("text", "call", "tested"),
    [
        ("gcc -c a.c -o a.o; [ -f a.o ] || ls", "gcc -c a.c -o a.o", True),
        ("gcc -c a.c; test -s $d/a.o && ls", "gcc -c a.c", True),
        ("gcc a.c; ls a.out || ls", "gcc a.c", True),
        ("gcc -c a.c; test -f b.o && ls", "gcc -c a.c", False),
        ("gcc -c a.c; test -d a.o && ls", "gcc -c a.c", False),
        ("set -e; gcc -c a.c; test -f a.o && ls", "gcc -c a.c", False),
    ],
)
def test_whose_output_a_shell_looks_for(text: str, call: str, tested: bool) -> None:
    assert shelltext.read(text.encode()).tests(call.encode().split()) is tested


@pytest.mark.parametrize(
    ("text", "at_once"),
    [
        ("set -e; gcc -c a.c; echo x > f", ["gcc -c a.c"]),
        ("set -e\ngcc -c a.c\ngcc a.o -o p\necho done", []),
        ("set -e; gcc -c a.c; gcc a.o -o p; install -m755 p /usr/bin; ls", []),
        ("set -e; gcc -c a.c; cp other f", ["gcc -c a.c"]),
        ("set -e; gcc a.c -o t; ./t > f; gcc b.c", ["gcc a.c -o t"]),
        ("set -e; echo x > a.h; gcc a.c", []),
        ("set -e; for f in a b; do echo $f > log; gcc -c $f.c; done", ["gcc -c ?.c", "for f in a b", "echo ?"]),
        ("set -e; f() { gcc -c $1; }; f a.c; f b.c; touch f", ["gcc -c ?"]),
        ("set -e; ls *.c | xargs -n1 gcc -c; touch f", ["ls ?.c", "xargs -n1 gcc -c"]),
        ("(set -e; gcc -c a.c; sed -i s/a/b/ f)", ["gcc -c a.c"]),
        ("set -e; make; touch f", ["make"]),
        ("gcc -c a.c || exit 1; echo x > f", ["gcc -c a.c"]),
        ("gcc -c a.c && echo x > f", ["gcc -c a.c"]),
        ("gcc -c a.c && > f", ["gcc -c a.c"]),
        ("gcc -c a.c && { gcc -c b.c; touch f; }", ["gcc -c a.c"]),
        ("gcc -c a.c && touch a.o", []),
        ("gcc -c a.c; echo x > f", []),
        ("make && touch f", ["make"]),
    ],
)
def test_what_comes_before_something_that_lasts(text: str, at_once: list[str]) -> None:
    """A shell would not have come so far, had the command failed. Which shells a make starts is its makefile's business."""
    tested = shelltext.read(text.encode(), lasting=ALL).tested
    assert {b" ".join(c).replace(ANY, b"?").decode() for c in tested} - {"set -e"} == set(at_once)
    assert not shelltext.read(text.encode()).tested


def test_what_a_command_of_ninja_makes_by_hand() -> None:
    assert shelltext.read(b"gcc -c a.c -o a.o && touch stamp", lasting=BY_HAND).tested
    assert not shelltext.read(b"gcc -c a.c -o a.o && ./post a.o", lasting=BY_HAND).tested
