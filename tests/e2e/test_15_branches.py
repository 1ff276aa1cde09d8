"""Who goes another way when a call fails is told the truth at once; all other calls wait."""

from __future__ import annotations

import pytest

from tests.e2e.project import SCRIPTS, Project

SOURCES = {
    "m.c": "int main(void) { int u; return 7; }\n",
    "opt.c": "int x = nosuch;\n",
    "good.c": "int good(void) { return 1; }\n",
}


@pytest.fixture(autouse=True)
def acting(project: Project) -> None:
    project.acts = True


def sources(project: Project) -> None:
    for name, text in SOURCES.items():
        project.write(name, text)


@pytest.mark.parametrize(
    "script",
    [
        "gcc -Wall -Werror m.c -o p || gcc m.c -o p",
        "gcc m.c -lnosuch -o p || gcc m.c -o p",
        "if gcc -c opt.c; then gcc -DOPT m.c opt.o -o p; else gcc m.c -o p; fi",
        "gcc -c opt.c && echo yes > has || echo no > has; gcc m.c -o p",
        "if ! gcc -Wall -Werror -c m.c; then gcc -c m.c; fi; gcc m.o -o p",
        "CC=gcc; $CC -Wall -Werror m.c -o p || $CC m.c -o p",
        "try() { gcc -c $1.c; }; try opt || try m; gcc m.o -o p",
        "echo 'int f(void); int main(void) { return f(); }' > t.c; gcc t.c -o t || gcc m.c -o p",
        'python3 -c \'import subprocess as s; s.call(["gcc", "-c", "opt.c"]) and s.call(["gcc", "m.c", "-o", "p"])\'',
        'python3 -c \'import os; os.system("gcc -c opt.c") and os.system("gcc m.c -o p")\'',
        "gcc -Wall -Werror m.c -o p; if [ $? -ne 0 ]; then gcc m.c -o p; fi",
        "gcc -Wall -Werror m.c -o p; rc=$?; test $rc = 0 || gcc m.c -o p",
        "(gcc -Wall -Werror m.c -o p); case $? in 0) ;; *) gcc m.c -o p;; esac",
        "make -f odd.mk",
        "make -i -f even.mk",
        "make -f deep.mk",
        "sh ./script",
        # how a shell comes by its text
        "mkdir d; cp *.c d; printf 'cd d; gcc -c opt.c || gcc ../m.c -o ../p' > s; sh s",
        "echo 'gcc -c opt.c || gcc m.c -o p' | sh",
        "bash -euo pipefail -c 'gcc -c $1.c || gcc m.c -o p' _ opt",
        "bash -c 'f() { gcc -c $1.c || gcc m.c -o p; }; export -f f; echo opt | xargs -I{} bash -c \"f {}\"'",
        "echo 'try() { gcc -c opt.c; }' > lib; echo '. ./lib; try || gcc m.c -o p' > s; sh s",
        "printf '#!/bin/sh\ngcc -c opt.c\n' > s; chmod +x s; ./s || gcc m.c -o p",
        "make -f script.mk",
        # what a shell goes by
        'for f in m opt; do gcc -c $f.c && all="$all $f.o"; done; gcc $all -o p',
        "gcc -c opt.c & a=$!; gcc -c m.c & wait $a || gcc m.c -o p",
        "gcc -c opt.c; ls opt.o || gcc m.c -o p",
        # programs
        """awk 'BEGIN { if (system("gcc -c opt.c")) system("gcc m.c -o p") }'""",
        "find . -name '[mo]*.c' -exec gcc -c {} ';' -exec cp {} {}.good ';'; gcc m.c -o p",
        "gcc own.c -o own; ./own; rm own",
    ],
)
def test_a_build_that_can_do_without(script: str, project: Project) -> None:
    sources(project)
    project.write("odd.mk", "p: m.c\n\t-gcc -c opt.c\n\tgcc m.c $$(ls opt.o 2>/dev/null) -o p\n")
    project.write("even.mk", "p: m.c\n\tgcc -c opt.c\n\tgcc m.c $$(ls opt.o 2>/dev/null) -o p\n")
    project.write("deep.mk", "p: m.c\n\t-$(MAKE) -f inner.mk\n\tgcc m.c $$(ls opt.o 2>/dev/null) -o p\n")
    project.write("inner.mk", "opt.o: opt.c\n\tgcc -c opt.c\n")
    project.write("script.mk", "p: m.c\n\t-./opt.sh\n\tgcc m.c $$(ls opt.o 2>/dev/null) -o p\n")
    project.write("opt.sh", "#!/bin/sh\ngcc -c opt.c\n").chmod(0o755)
    project.write(
        "own.c",
        '#include <stdlib.h>\nint main(void) { return system("gcc -c opt.c") ? system("gcc m.c -o p") : 0; }\n',
    )
    project.write(
        "script",
        "#!/bin/sh\nfor f in opt m; do\n  gcc -Wall -Werror -c $f.c || gcc -c $f.c || echo no $f\ndone\ngcc m.o -o p\n",
    )
    expected, _ = project.plain("sh", "-c", script)
    project.infer("sh", "-c", script)
    project.force()
    project.assert_tree(expected)
    project.run("./p", status=7)


@pytest.mark.parametrize(
    "script",
    [
        "gcc -c good.c || exit 1",
        "set -e; for f in good m; do gcc -c $f.c; done",
        "gcc -c good.c || { echo failed; exit 1; }",
        "if gcc -c good.c; then mv good.o g.o; else rm -f good.o; exit 1; fi",
        "make -f plain.mk",
        "if test -f good.c; then gcc -c good.c; fi",
        "printf 'set -e; cd .; gcc -c good.c; true' > s; sh s",
    ],
)
def test_what_only_ends_a_build_waits(script: str, project: Project) -> None:
    sources(project)
    project.write(
        "plain.mk", "CFLAGS = -O1\nall: good.o\n\t-rm -f nothing\n\t-$(RM) nothing\n%.o: %.c\n\t$(CC) $(CFLAGS) -c $<\n"
    )
    project.infer("sh", "-c", script)
    assert project.placeholders()
    project.force()


@pytest.mark.parametrize(
    "script",
    [
        "gcc -c opt.c; gcc -c good.c",
        "(gcc -c opt.c; true) && gcc -c good.c",
        "for f in opt good; do gcc -c $f.c; done; gcc -c good.c -o g.o",
        "gcc -c opt.c | cat; gcc -c good.c",
        "gcc -c opt.c & wait; gcc -c good.c",
        "make -f semicolon.mk",
    ],
)
def test_a_failure_that_its_shell_drops_fails_nothing(script: str, project: Project) -> None:
    sources(project)
    project.write("semicolon.mk", "all: opt.o good.o\n%.o: %.c\n\tgcc -c $<; true\n")
    expected, plain = project.plain("sh", "-c", script)
    recorded = project.infer("sh", "-c", script)
    forced = project.force()
    project.assert_tree(expected)
    assert "nosuch" in plain.text
    assert "nosuch" in recorded.text + forced.text


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("gcc -c good.c; ar rcsN 1 x.a good.o; gcc -c good.c -o h.o", "meaningful"),
        ("gcc -c good.c; ar rcs x.a good.o; ar rcsN 1 x.a good.o; wc -c x.a; gcc -c good.c -o h.o", "meaningful"),
        ("gcc -c uses.c; strip -N good uses.o; gcc -c good.c", "relocation"),
    ],
)
def test_a_failed_edit_that_its_shell_drops_fails_nothing(script: str, says: str, project: Project) -> None:
    sources(project)
    project.write("uses.c", "int good(void);\nint uses(void) { return good(); }\n")
    expected, plain = project.plain("sh", "-c", script)
    recorded = project.infer("sh", "-c", script)
    forced = project.force()
    project.assert_tree(expected)
    assert says in plain.text
    assert says in recorded.text + forced.text
    assert says not in project.force().text


@pytest.mark.parametrize(
    "script", ["gcc -c opt.c; gcc opt.o m.c -o p", "for f in opt m; do gcc -c $f.c; done; gcc opt.o m.o"]
)
def test_a_failure_that_is_dropped_fails_what_needs_it(script: str, project: Project) -> None:
    sources(project)
    project.plain("sh", "-c", script, status=None)
    project.infer("sh", "-c", script, status=None)
    project.force(status=1)


STAMPS = """all: stamp list
stamp: opt.c
\tgcc -Iinclude -c opt.c -o opt.o
\ttouch $@
list: m.c
\techo begin > list
\tfor f in m opt; do gcc -Iinclude -c $$f.c || exit 1; done
\techo end >> list
"""


def test_what_is_made_by_hand_behind_it(project: Project) -> None:
    """A stamp would say for ever that a command has gone well."""
    project.write("m.c", SOURCES["m.c"])
    project.write("opt.c", "#include <late.h>\n")
    project.write("Makefile", STAMPS)
    for _ in range(2):
        assert "late.h" in project.infer("make", "-k", status=2).text
        project.force()
        assert not project.path("stamp").exists()
        assert project.path("list").read_text() == "begin\n"
        project.path("list").unlink()
    project.write("include/late.h", "int late;\n")
    project.infer("make")
    project.force()
    assert not project.placeholders()
    assert project.path("opt.o").exists()


def test_a_stamp_behind_another_make_goes_with_the_failure(project: Project) -> None:
    """So make comes back to it, and is told."""
    sources(project)
    project.write("Makefile", "stamp:\n\t$(MAKE) -f inner.mk\n\ttouch stamp\n")
    project.write("inner.mk", "opt.o: opt.c\n\tgcc -c opt.c\n")
    expected, _ = project.plain("make", "-s", status=2)
    failed = project.run(SCRIPTS / "gg-infer", "--force", "make", "-s", status=2)
    assert failed.text.count("error: ") == 1
    project.assert_tree(expected)


MADE_OF_NOTHING = """all: p q
opt.i: opt.c
\tgcc -E opt.c -o opt.i
opt.o: opt.i
\tgcc -c opt.i -o opt.o
\tprintf 'some more' >> opt.o
p: opt.o m.c
\tgcc m.c opt.o -o p
q: q.c
\tgcc -E q.c -o q.i && gcc -c q.i -o q.o && wc -c < q.o > q
"""


@pytest.mark.parametrize("flags", [(), ("--no-interposer",)])
def test_what_a_failed_command_would_have_made_is_not_asked_for(project: Project, flags: tuple[str, ...]) -> None:
    """A program reads what could not be made, while the build is recorded. What make then goes on with says nothing of that."""
    sources(project)
    project.write("q.c", '#include "nowhere.h"\n')
    project.write("Makefile", MADE_OF_NOTHING)
    _, plain = project.plain("make", "-k", status=2)
    recorded = project.run(SCRIPTS / "gg-infer", *flags, "make", "-k", status=None)
    forced = project.force("--keep-going", status=None)
    assert recorded.status or forced.status
    errors = [line for line in plain.text.splitlines() if "error" in line and not line.startswith("make")]
    said = recorded.text + forced.text
    assert {line for line in said.splitlines() if "error" in line and not line.startswith(("make", "gg"))} == set(
        errors
    )
    assert not project.path("p").exists()
    assert not project.path("q").exists()


def test_a_failure_that_a_reader_has_found_stands(project: Project) -> None:
    sources(project)
    project.write(
        "Makefile", "all: p size\np: opt.c\n\tgcc opt.c -o p\nsize: p\n\tif cmp -s p m.c; then :; fi; touch size\n"
    )
    project.infer("make", "-k")
    assert "nosuch" in project.force(status=1).text
    project.force(status=1)
    assert project.infer("make", status=2).text.count("nosuch") >= 1
    project.force()


@pytest.mark.parametrize(
    "script",
    [
        "set -e; gcc opt.c -c; echo x > reached",
        "set -e\nfor f in good opt m; do gcc -c $f.c; echo $f >> reached; done",
        "gcc -c opt.c && mkdir -p d && cp m.c d/reached.c",
        "gcc -c opt.c || exit 3\necho x > reached",
        "printf 'set -e\\ngcc -c opt.c\\nsed -i s/7/8/ m.c\\n' > s; sh s",
        "make -s -f stamp.mk; make -s -f stamp.mk",
        "make -s -f deep.mk; make -s -f deep.mk",
    ],
)
def test_what_a_failure_keeps_from_being_done(script: str, project: Project) -> None:
    """Files that last are made behind a command that fails: not even the first recording may come so far."""
    sources(project)
    project.write("stamp.mk", "stamp: opt.c\n\tgcc -c opt.c && touch stamp\n")
    project.write("deep.mk", "all: d/stamp\nd/stamp: opt.c ; mkdir -p d && cd d && gcc -c ../opt.c && touch stamp\n")
    expected, plainly = project.plain("sh", "-c", script, status=None)
    recorded = project.infer("sh", "-c", script, status=plainly.status)
    project.force()
    project.assert_tree(expected)
    assert recorded.text.count("nosuch") == plainly.text.count("nosuch")


@pytest.mark.parametrize(
    "makefile",
    [
        "stamp:\n\t$(MAKE) -C sub && touch stamp\n",
        "S = .stamp_built\nall: $(S)\n$(S): sub/opt.c\n\t+$(MAKE) -C sub all\n\t@touch $@\n",
        "stamp: ; for d in sub; do $(MAKE) -C $$d || exit 1; done; date > $@\n",
        "all: d/stamp\nd/stamp:\n\tmkdir -p d\n\tcd sub && $(MAKE)\n\ttouch $@\n",
        "stamp:\n\t./deep.sh\n\techo done > $@\n",
    ],
)
@pytest.mark.parametrize("reads", [False, True])
def test_a_target_that_is_made_by_hand_behind_another_make(makefile: str, reads: bool, project: Project) -> None:
    """The other make is not told at once; its failure takes the target away, so the next round ends as plain make does."""
    project.write("sub/opt.c", SOURCES["opt.c"])
    project.write("sub/Makefile", "all: opt.o other\nopt.o: opt.c\n\tgcc -c opt.c\nother:\n" + "\t-nm opt.o\n" * reads)
    project.write("deep.sh", "#!/bin/sh\nmake -C sub\n", 0o755)
    project.write("Makefile", makefile)
    expected, _ = project.plain("make", status=2)
    project.infer("make", status=None)
    project.force(status=None)
    project.assert_tree(expected)
    assert "nosuch" in project.infer("make", status=2).text
    project.force()
    project.assert_tree(expected)
    project.write("sub/opt.c", "int x;\n")
    project.build()
    project.make("-q")


@pytest.mark.parametrize(
    "makefile",
    [
        "report: opt.o\n\techo ok > report\n",
        "O = $(patsubst %.c,%.o,opt.c)\nall: sum\nsum: report\n\tcp report $@\nreport: $(O)\n\techo ok > $@\nopt.o: opt.c\n",
        "S = opt.c m.c\nO = $(S:.c=.o)\nstamp: p good.o\n\t@touch $@\np: $(O)\n\t$(CC) $(O) -o p\n",
        "all: one two\none: opt.o\n\ttouch one\ntwo: m.o\n\ttouch two\n",
        "s: d/opt.o\n\ttouch s\nd/opt.o:\n\tmkdir -p d\n\tcd d && gcc -c ../opt.c\n",
        "s: sub\n\ttouch s\nsub:\n\t$(MAKE) -f Makefile opt.o\n",
        "s: x\n\ttouch s\nx:\n\tgcc -c opt.c\n",
    ],
)
def test_a_target_that_is_made_by_hand_of_what_fails(makefile: str, project: Project) -> None:
    sources(project)
    project.write("Makefile", makefile)
    expected, _ = project.plain("make", "-k", status=2)
    project.infer("make", "-k", status=None)
    project.force("--keep-going", status=1)
    project.assert_tree(expected)
    assert "nosuch" in project.infer("make", status=2).text


def test_what_was_made_by_hand_before_is_there_again(project: Project) -> None:
    """The target of an earlier make, from when all was well."""
    project.write("x.c", "int x;\n")
    project.write("n", "first\n")
    project.write("in.mk", "x.o: x.c\n\tgcc -c x.c\n")
    project.write("Makefile", "s: x.c\n\t$(MAKE) -f in.mk && cat n > s\n")
    project.build()
    project.write("x.c", "int x = nosuch;\n")
    project.write("n", "second\n")
    for _ in range(2):
        project.infer("make", status=None)
        project.force(status=None)
        assert project.path("s").read_text() == "first\n"
    project.make(status=2)
