"""Failures are results, and every recorded call counts: what plain make would have said, done and left behind."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.e2e.project import SCRIPTS, Project, Result, by_make, is_placeholder

GIVE_X = "#ifndef X\n#error give -DX\n#endif\nint main(void) { return X; }\n"


def both(project: Project, status: int | None = 0) -> Result:
    """gg-infer make and, if that went well, gg-force; the status of the last, and the words of both."""
    recorded = project.infer("make", "-s", status=None)
    if recorded.status:
        assert status in (None, recorded.status), recorded.text
        return recorded
    forced = project.force(status=status)
    return Result(forced.status, recorded.stdout + forced.stdout, recorded.stderr + forced.stderr)


# The cure may be one that make cannot see


def test_other_flags_cure(project: Project) -> None:
    project.write("a.c", GIVE_X)
    project.write("Makefile", "a: a.o\n\tgcc -o a a.o\na.o: a.c\n\tgcc $(CPPFLAGS) -MMD -c a.c -o a.o\n-include a.d\n")
    project.infer()
    failed = project.force(status=1)
    assert failed.stderr.count(b"error: #error give -DX") == 1
    assert b"gg: a.o: failed with status 1: gcc -MMD -c a.c -o a.o\n" in failed.stderr
    assert sorted(path.name for path in project.root.iterdir()) == ["Makefile", "a.c"]
    again = project.force(status=1)
    assert again.stderr == failed.stderr, "it stands until the build is recorded again"
    project.infer("make", "CPPFLAGS=-DX=7")
    project.force()
    project.run("./a", status=7)
    assert project.force().text == ""


def test_a_header_that_is_installed_meanwhile_cures(project: Project, tmp_path: Path) -> None:
    include = tmp_path / "include"
    include.mkdir()
    project.write("a.c", "#include <late.h>\nint main(void) { return LATE; }\n")
    project.write("Makefile", f"a: a.o\n\tgcc -o a a.o\na.o: a.c\n\tgcc -I{include} -c a.c\n")
    both(project, status=None)
    assert not project.placeholders()
    (include / "late.h").write_text("#define LATE 3\n")
    os.utime(include / "late.h", (1, 1))
    both(project)
    project.run("./a", status=3)


def test_a_library_that_is_installed_meanwhile_cures(project: Project) -> None:
    """The link fails for want of a symbol; a library with it comes to an earlier place on its search."""
    project.write("main.c", "int f(void); int main(void) { return f(); }\n")
    project.write("old.c", "int g(void) { return 0; }\n")
    project.write("new.c", "int f(void) { return 5; }\n")
    project.run("sh", "-ec", "mkdir one two; gcc -c old.c new.c; ar rc two/libf.a old.o; rm *.o")
    project.write("Makefile", "p: main.c\n\tgcc main.c -Lone -Ltwo -lf -o p\n")
    project.infer()
    assert b"undefined reference to `f'" in project.force(status=1).stderr
    project.run("sh", "-ec", "gcc -c new.c; ar rc one/libf.a new.o; touch -d @1 one/libf.a; rm new.o")
    both(project)
    project.run("./p", status=5)


def test_a_mended_compiler_cures(project: Project, tmp_path: Path) -> None:
    bad = tmp_path / "bin"
    bad.mkdir()
    (bad / "x86_64-mycc-gcc").write_text('#!/bin/sh\ncase "$*" in *-c*) echo no >&2; exit 9;; esac\nexec gcc "$@"\n')
    (bad / "x86_64-mycc-gcc").chmod(0o755)
    project.env["PATH"] = f"{bad}:{project.env['PATH']}"
    project.write("a.c", "int x;\n")
    project.write("Makefile", "a.o: a.c\n\tx86_64-mycc-gcc -c a.c\n")
    project.infer(deferred=1)
    assert project.force(status=9).stderr.startswith(b"no\n")
    (bad / "x86_64-mycc-gcc").write_text('#!/bin/sh\nexec gcc "$@"\n')
    both(project)
    assert not is_placeholder(project.path("a.o"))


def test_what_is_taken_out_of_the_project_is_forgotten(project: Project) -> None:
    project.write("a.c", "int main(void) { return 0; }\n")
    project.write("bad.c", "int bad(void) { return wrong; }\n")
    project.write("Makefile", "a: a.o bad.o\n\tgcc -o $@ $^\n%.o: %.c\n\tgcc -c $< -o $@\n")
    project.infer()
    project.force(status=1)
    project.path("bad.c").unlink()
    project.write("Makefile", "a: a.o\n\tgcc -o $@ $^\n%.o: %.c\n\tgcc -c $< -o $@\n")
    both(project)
    assert project.force().text == ""
    project.run("./a")


def test_the_same_call_again_is_told_the_truth(project: Project) -> None:
    project.write("m.c", "int main(void) { int u; return 7; }\n")
    script = "gcc -Wall -Werror m.c -o p && echo strict > how || { gcc m.c -o p; echo lax > how; }"
    project.infer("sh", "-c", script)
    failed = project.force(status=None)
    if failed.status:
        project.infer("sh", "-c", script)
        project.force()
    assert project.path("how").read_text() == "lax\n"
    project.run("./p", status=7)


def test_what_stood_there_before_is_treated_as_the_tool_does(project: Project) -> None:
    """gcc -c removes an object that it fails to make again, and a link what it fails to link; strip leaves a file as it was."""
    project.write("a.c", "int main(void) { return 0; }\n")
    project.write("Makefile", "all: a.o p\na.o: a.c\n\tgcc -c a.c\np: a.c\n\tgcc a.c -o p\n")
    for text in ("int main(void) { return wrong; }\n", "int f(void); int main(void) { return f(); }\n"):
        project.write("a.c", "int main(void) { return 0; }\n")
        project.run("touch", "-d", "@1", "a.c")
        project.make("-B")
        project.write("a.c", text)
        _, plain = project.plain("make", "-k", status=2)
        project.infer("make", "-k")
        forced = project.force("--keep-going", status=1)
        assert forced.stderr.count(b"error: ") == plain.stderr.count(b"error: ")
        assert not project.placeholders()
        project.plain("make", "-k", status=2)  # as if plain make had failed
        project.infer("make", "-k", status=2)


def test_the_same_failing_source_in_two_directories(project: Project) -> None:
    for name in ("one", "two"):
        project.write(f"{name}/a.c", "int f(void) { return wrong; }\n")
    project.write("Makefile", "all:\n\t-cd one && gcc -c a.c\n\t-cd two && gcc -c a.c\n")
    project.infer("sh", "-c", "(cd one; gcc -c a.c); cd two; gcc -c a.c")
    failed = project.force("--keep-going", status=1)
    assert failed.stderr.count(b"wrong") == project.run("gcc", "-c", "one/a.c", status=1).stderr.count(b"wrong") * 2
    assert b"cd one && gcc -c a.c\n" in failed.stderr
    assert b"cd two && gcc -c a.c\n" in failed.stderr
    assert not project.placeholders()


def test_a_failure_and_then_a_touch(project: Project) -> None:
    project.write("a.c", GIVE_X)
    project.write("Makefile", "a.o: a.c\n\tgcc -c a.c\n")
    project.infer()
    first = project.force(status=1)
    project.run("touch", "a.c")
    again = project.infer(status=2)
    assert again.stderr.count(b"#error give -DX") == first.stderr.count(b"#error give -DX")
    assert project.force().text == ""
    assert not project.path("a.o").exists()


# Every recorded call counts


def test_outputs_that_are_removed_at_once(project: Project) -> None:
    project.write("good.h", "int good;\n")
    project.write("bad.h", "missing_type bad;\n")
    check = "set -e; for h in bad.h good.h; do gcc -x c -c $h -o check.o; rm check.o; done"
    project.infer("sh", "-c", check, status=None)
    failed = project.force(status=None)
    assert failed.status == 1
    assert failed.stderr.count(b"unknown type name") == 1
    project.infer("sh", "-c", check, status=1)
    assert project.force().text == ""


def test_outputs_that_are_written_over(project: Project) -> None:
    project.write("a.c", "int a(void) { int one; return 0; }\n")
    project.write("b.c", "int b(void) { int two; return 0; }\n")
    script = ("sh", "-ec", "for f in a b a; do gcc -Wall -c $f.c -o x.o; done")
    expected, plain = project.plain(*script)
    project.infer(*script)
    assert project.force().stderr == plain.stderr
    project.assert_tree(expected)
    assert project.force().stderr == b""


def test_warnings_of_an_intermediate_file(project: Project) -> None:
    project.write("prog.c", "int main(void) { int unused; return 0; }\n")
    project.write("Makefile", "prog:\n%: %.o\n\tgcc $< -o $@\n%.o: %.c\n\tgcc -Wall -c $< -o $@\n")
    _, plain = project.plain("make", "-rs", "prog")
    project.infer("make", "-rs", "prog")
    assert project.force().stderr == plain.stderr
    assert project.force().stderr == b""


def test_warnings_of_what_is_forced_while_recording(project: Project) -> None:
    """They appear where make's would, once, wherever the reader's own go."""
    project.write("f.c", "int f(void) { int unused; return 0; }\n")
    project.write("m.c", "int f(void); int main(void) { return f(); }\n")
    project.write(
        "Makefile", "check: gen\n\t./gen 2>/dev/null\ngen: m.o f.o\n\tgcc -o gen m.o f.o\n%.o: %.c\n\tgcc -Wall -c $<\n"
    )
    _, plain = project.plain("make", "-s", "check")
    recorded = project.run(SCRIPTS / "gg-infer", "--quiet", "make", "-s", "check")
    assert recorded.stderr == plain.stderr
    assert project.force().stderr == b""


def test_a_call_that_is_recorded_anew_is_told_of_once(project: Project) -> None:
    project.write("a.c", "int a(void) { int one; return 0; }\n")
    project.write("Makefile", "a.o: a.c\n\tgcc -Wall -c a.c\n")
    plain = project.run("gcc", "-Wall", "-c", "a.c")
    project.path("a.o").unlink()
    project.infer()
    project.run("touch", "a.c")
    project.infer()
    assert project.force().stderr == plain.stderr
    project.write("a.c", "int a(void) { return wrong; }\n")
    project.infer()
    project.write("a.c", "int a(void) { return 0; }\n")
    project.infer()
    assert project.force().stderr == b"", "the user mended it before it was forced"


def test_all_failures_of_a_build_are_listed(project: Project) -> None:
    for name in ("a", "b", "c"):
        project.write(f"{name}.c", f"int {name}(void) {{ return {'0' if name == 'b' else 'wrong'}; }}\n")
    project.write("Makefile", "all.a: a.o b.o c.o\n\tar rc $@ $^\n%.o: %.c\n\tgcc -c $<\n")
    project.infer()
    failed = project.run(SCRIPTS / "gg-force", "--keep-going", status=1)
    lines = failed.stderr.decode().splitlines()
    listed = ["gg: failed: a.o (status 1): gcc -c a.c", "gg: failed: c.o (status 1): gcc -c c.c"]
    assert sorted(lines[-3:-1]) == listed
    assert not project.placeholders()
    assert project.path("b.o").exists()


# While recording


@pytest.mark.parametrize("reader", ["nm a.o", "cp a.o b.o; nm b.o", "./prog", "gcc -o prog2 a.o"])
def test_a_reader_of_what_fails(reader: str, project: Project) -> None:
    """It finds no file, as after a plain build that went on; the words are said once."""
    project.write("a.c", "int main(void) { return wrong; }\n")
    script = f"gcc -c a.c; gcc -o prog a.o; {reader}; echo $? > status"
    recorded = project.infer("sh", "-c", script)
    shown = recorded.stderr + project.force(status=None).stderr
    assert shown.count(b"error: 'wrong' undeclared") == 1
    assert project.path("status").read_text() != "0\n" or "prog2" in reader


def test_a_built_generator_that_cannot_be_linked(project: Project) -> None:
    project.write("gen.c", "int gone(void); int main(void) { return gone(); }\n")
    project.write("Makefile", "out: gen\n\t./gen > out\ngen: gen.c\n\tgcc -o gen gen.c\n")
    recorded = project.infer(status=2)
    assert recorded.stderr.count(b"undefined reference") == 1
    assert b"/usr/bin/ld: /tmp/cc" in recorded.stderr
    project.write("gen.c", "int main(void) { return 0; }\n")
    project.path("out").unlink(missing_ok=True)
    project.same_as_plain()


def test_a_killed_force_tells_it_again(project: Project) -> None:
    """What a kill between failure and removal would leave: the failure known, the placeholder there."""
    project.write("a.c", GIVE_X)
    project.write("Makefile", "a.o: a.c\n\tgcc $(CPPFLAGS) -c a.c\n")
    project.infer()
    aside = shutil.copytree(project.root, project.root.with_name("copy"), symlinks=True)
    project.force(status=1)
    shutil.copy2(aside / "a.o", project.path("a.o"))
    assert is_placeholder(project.path("a.o"))
    assert project.force(status=1).stderr.count(b"error: #error") == 1
    assert not project.path("a.o").exists()
    project.infer("make", "CPPFLAGS=-DX=1")
    project.force()


# Between recording and forcing


def test_a_library_of_the_compiler_that_is_upgraded(project: Project) -> None:
    """Told at once, nothing is tried again, and recording again is the way out."""
    project.write("a.c", "int x;\n")
    project.write("Makefile", "b.a: a.o\n\tar rc b.a a.o\na.o: a.c\n\tgcc -c a.c\n")
    script = (
        f"PATH={SCRIPTS}:$PATH; gg-infer -q make -s; sleep 1\n"
        'L=$(readlink -f "$(ldd "$(gcc -print-prog-name=cc1)" | sed -n "s/.*mpfr.* => \\([^ ]*\\) .*/\\1/p")")\n'
        'cp "$L" ../new; printf "\\0" >> ../new; mount --bind ../new "$L"\n'
        "gg-force || echo $? $(ls)\n"
        "gg-infer -q make -s; gg-force -q\n"
    )
    result = project.run("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", script)
    assert result.stdout == b"75 Makefile a.c\n"
    lines = result.stderr.decode().splitlines()
    assert len(lines) == 2
    assert "mpfr" in lines[0]
    assert lines[0].endswith("run gg-infer again")
    assert not project.placeholders()


def test_a_compiler_that_goes_away(project: Project) -> None:
    project.write("a.c", "int x;\n")
    project.write("Makefile", "b.a: a.o\n\tar rc b.a a.o\na.o: a.c\n\tgcc -c a.c\n")
    script = (
        f"PATH={SCRIPTS}:$PATH; gg-infer -q make -s; sleep 1\n"
        'passes=$(dirname "$(gcc -print-prog-name=cc1)"); mount -t tmpfs none "$passes"\n'
        "gg-force -q || echo $? $(ls)\n"
        'umount "$passes"; gg-infer -q make -s; gg-force -q\n'
    )
    result = project.run("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", script)
    assert result.stdout == b"75 Makefile a.c\n"
    assert b"has changed or gone since this was recorded: run gg-infer again\n" in result.stderr
    assert result.stderr.count(b"\n") == 1
    assert not project.placeholders()


def test_a_compiler_of_ones_own_that_goes_away(project: Project, tmp_path: Path) -> None:
    """Its bytes were kept when it was recorded."""
    tools = tmp_path / "bin"
    tools.mkdir()
    shutil.copy2(os.path.realpath(shutil.which("gcc") or ""), tools / "x86_64-x-gcc")
    passes = os.path.dirname(project.run("gcc", "-print-prog-name=cc1").stdout.decode())
    project.env["PATH"] = f"{tools}:{project.env['PATH']}"
    project.write("a.c", "int x;\n")
    project.infer("x86_64-x-gcc", f"-B{passes}/", "-c", "a.c", deferred=1)
    (tools / "x86_64-x-gcc").unlink()
    project.force()
    assert not project.placeholders()


@pytest.mark.parametrize(
    "then", ["rm bin/cc", "ln -sf /usr/bin/clang bin/cc", "mv bin there", "rm bin/cc; cp $(which clang) bin/cc"]
)
def test_a_link_to_a_compiler_that_leads_elsewhere(project: Project, then: str) -> None:
    """What it led to when the call was made is what runs, whoever called it by which name."""
    project.write("a.c", "int x;\n")
    project.path("bin").mkdir()
    project.path("bin/cc").symlink_to(os.path.realpath(shutil.which("gcc") or ""))
    calls = "bin/cc -c a.c; $PWD/bin/cc -c a.c -o b.o; (PATH=$PWD/bin:$PATH; cc -g -c a.c -o c.o); cd bin; ./cc -c ../a.c -o ../d.o"
    project.same_as_plain(*by_make(project, f"({calls})", then), make=False, deferred=4)


def test_a_masquerade_that_goes_away(project: Project) -> None:
    project.write("a.c", "int x;\n")
    project.write("tools/ccache", '#!/bin/sh\nexec "$(basename "$0")" "$@"\n', 0o755)
    project.same_as_plain(*by_make(project, "ln -s tools/ccache gcc", "./gcc -c a.c", "rm gcc"), make=False, deferred=1)


# gg-infer --force: round by round


def rounds(project: Project, *command: str, status: int) -> Result:
    """gg-infer --force COMMAND ends as COMMAND does, with the same words and the same tree."""
    expected, plain = project.plain(*command, status=status)
    result = project.run(SCRIPTS / "gg-infer", "--quiet", "--force", *command, status=None)
    assert result.status == plain.status, result.text
    project.assert_tree(expected)
    assert not project.placeholders()
    for line in plain.stderr.splitlines():
        if b": error: " in line or b"undefined reference" in line:
            assert result.stderr.count(line) == 1, result.text
    return result


def test_a_fallback_in_a_makefile_is_taken(project: Project) -> None:
    project.write("m.c", "int main(void) { int u; return 7; }\n")
    project.write("opt.c", "int x = nosuch;\n")
    project.write(
        "Makefile", "p: m.c\n\t-gcc -c opt.c\n\tgcc -Wall -Werror m.c -o q || gcc m.c -o q\n\tgcc m.c `ls opt.o` -o p\n"
    )
    rounds(project, "make", "-s", status=0)
    project.run("./p", status=7)
    project.run("./q", status=7)


@pytest.mark.parametrize("options", [["-k"], ["-i"], []])
def test_a_failing_make_ends_as_plainly(options: list[str], project: Project) -> None:
    for i in range(4):
        project.write(f"u{i}.c", f"int u{i}(void) {{ return {'wrong' if i == 2 else i}; }}\n")
    project.write("Makefile", "all.a: u0.o u1.o u2.o u3.o\n\tar rc $@ $^\n%.o: %.c\n\tgcc -c $<\n")
    if options:
        rounds(project, "make", "-s", *options, status=0 if options == ["-i"] else 2)
    else:
        _, plain = project.plain("make", status=2)
        result = project.run(SCRIPTS / "gg-infer", "--quiet", "--force", "make", status=2)
        assert result.stderr.count(b"error: ") == plain.stderr.count(b"error: ")
        assert not project.placeholders()


def test_a_script_is_not_run_twice(project: Project) -> None:
    project.write("a.c", "int a(void) { return wrong; }\n")
    script = ("sh", "-c", "echo once >> count; gcc -c a.c")
    result = project.run(SCRIPTS / "gg-infer", "--force", *script, status=1)
    assert project.path("count").read_text() == "once\n"
    assert b"run the same again" in result.stderr
    again = project.run(SCRIPTS / "gg-infer", "--force", *script, status=1)
    assert again.stderr.count(b"error: 'wrong' undeclared") == 1


def test_ninja_is_told_as_well(project: Project) -> None:
    project.write("a.c", "int a(void) { return wrong; }\n")
    project.write("b.c", "int b(void) { return 0; }\n")
    project.write("build.ninja", "rule cc\n  command = gcc -c $in -o $out\nbuild a.o: cc a.c\nbuild b.o: cc b.c\n")
    _, plain = project.plain("ninja", "-k0", status=1)
    result = project.run(SCRIPTS / "gg-infer", "--quiet", "--force", "ninja", "-k0", status=1)
    assert (result.stdout + result.stderr).count(b"error: 'wrong'") == plain.stdout.count(b"error: 'wrong'")
    assert project.path("b.o").exists()
    assert not project.path("a.o").exists()


@pytest.mark.parametrize("rule", ["gcc", "ccache gcc"])  # ccache leaves the older object
@pytest.mark.parametrize("touched", ["p", "a.o", "a.c", "main.o"])
def test_ninja_after_a_touch(touched: str, rule: str, project: Project) -> None:
    """What ninja finds to do after a failure does not depend on its having believed that all went well."""
    project.env["CCACHE_DISABLE"] = "1"
    project.write("a.c", "int a;\n")
    project.write("main.c", "int main(void) { return 0; }\n")
    project.write(
        "build.ninja",
        f"rule cc\n  command = {rule} -c $in -o $out\n  restat = 1\nrule ld\n  command = gcc $in -o $out\nrule cp\n  command = cp"
        " $in $out\nbuild a.o: cc a.c\nbuild main.o: cc main.c\nbuild p: ld main.o a.o\nbuild q: cp p\n",
    )
    project.infer("ninja")
    project.force()
    for wrong in ("int a = b;\n", "int lost(void); int a(void) { return lost(); }\n"):
        project.write("a.c", "int a;\n")
        project.run("ninja")
        found = []
        project.write("a.c", wrong)
        project.run("cp", "-a", project.root, project.root.with_name("plain"))
        for recorded in (True, False):
            where = project.root if recorded else project.root.with_name("plain")
            if recorded:
                project.infer("ninja", "-k0")
                project.force("--keep-going", status=1)
            else:
                project.run("ninja", "-k0", cwd=where, status=1)
            project.run("touch", touched, cwd=where)
            said = project.run("ninja", "-n", cwd=where).text
            found.append(sorted(line.partition(" ")[2] for line in said.splitlines()))
        assert found[0] == found[1]
        shutil.rmtree(project.root.with_name("plain"))


def test_calls_that_nobody_wants_to_be_told_of(project: Project) -> None:
    """`gg clean --keep-records` forgets them; `gg gc` does not drop what they need."""
    project.write("a.c", "int a(void) { int unused; return 0; }\n")
    script = ("sh", "-ec", "gcc -Wall -c a.c; rm a.o")
    project.infer(*script)
    project.path("a.c").write_text("int a(void) { return 0; }\n")
    project.gg("gc", "--max-age", "0s")
    assert b"unused variable" in project.force().stderr
    project.infer("sh", "-ec", "gcc -Wall -DX -c a.c; rm a.o; gcc -c a.c")
    project.gg("clean", "--keep-records")
    assert project.force().text == ""


def test_words_that_a_script_has_dropped_stay_dropped(project: Project) -> None:
    """libtool compiles for a shared library, and once more for a static one with its output dropped."""
    project.write("a.c", "int a(void) { int unused; return 0; }\n")
    project.write("libtool", "gcc -Wall -fPIC -c $1 -o pic.o && gcc -Wall -c $1 -o a.o >/dev/null 2>&1\n")
    _, plain = project.plain("bash", "./libtool", "a.c")
    project.infer("bash", "./libtool", "a.c")
    assert project.placeholders() == ["a.o", "pic.o"]
    assert project.force().stderr == plain.stderr
    assert project.force().stderr == b""


ADDING = {  # to an output whose command fails
    "truncate": "truncate -s +8 a.o",
    "shell": "echo hi >> a.o",
    "dd": "dd if=/dev/zero of=a.o bs=8 count=1 conv=notrunc",
    "perl": 'perl -e \'open(F, ">>", "a.o") or die; print F 1\'',
    "static": "busybox sh -c 'echo hi >> a.o'",
}


def _fails_as_plainly(script: str, makefile: str, project: Project) -> None:
    """`makefile` compiles a source with an error, then runs `script`, which changes the object: the tree is as without gg."""
    project.write("a.c", "int x = y;\n")
    project.write("script", script)
    project.write("Makefile", makefile)
    expected, _ = project.plain("make", status=2)
    project.infer("make", status=2)
    project.force(status=1)
    project.assert_tree(expected)


@pytest.mark.parametrize("adds", ADDING.values(), ids=ADDING)
def test_who_adds_to_what_was_not_made_makes_nothing(adds: str, project: Project) -> None:
    """In a file of its own it would be taken for the object by the next make."""
    _fails_as_plainly(adds, "all: a.o\n\tcat a.o >p\na.o: a.c\n\tgcc -c a.c\n\tsh script\n", project)


@pytest.mark.parametrize("adds", [text for name, text in ADDING.items() if name != "static"])
def test_who_adds_later_to_what_was_not_made_makes_nothing(adds: str, project: Project) -> None:
    """A process before it has read the output, so it is known to fail, and gone."""
    _fails_as_plainly(adds, "all: a.o\na.o: a.c\n\tgcc -c a.c\n\t-nm a.o\n\tsh script\n", project)
    project.infer("make", status=2)


EDITING = {  # in its place an output that ccache leaves as it was when its command fails
    **ADDING,
    "patched": 'perl -e \'open(F, "+<", "a.o") or die; seek(F, 12, 0); print F "z"\'',
    "sed": "sed -i s/x/y/ a.o",
    "ruby": 'ruby -e \'File.open("a.o", "r+") { |f| f.write("z") }\'',
}


@pytest.mark.parametrize("edits", EDITING.values(), ids=EDITING)
def test_who_edits_what_was_not_made_anew_leaves_the_older_file(edits: str, project: Project) -> None:
    """Else the older file would be newer than its source, and the next make would do nothing."""
    makefile = "all: a.o\n\tcat a.o >p\na.o: a.c\n\tccache gcc -c a.c -o a.o\n\tsh -e script\n"
    project.env["CCACHE_DISABLE"] = "1"
    project.write("a.c", "int x;\n")
    project.write("script", edits)
    project.write("Makefile", makefile)
    project.infer("make")
    project.force()
    _fails_as_plainly(edits, makefile, project)
    project.infer("make", status=2)
    project.make("-q", status=1)


def test_who_adds_where_the_failure_is_dropped_makes_the_file(project: Project) -> None:
    project.write("a.c", "int x = y;\n")
    project.write("add", "echo hi >>a.o\n")
    project.write("Makefile", "all: a.o\n\tcat a.o >p\na.o: a.c\n\tgcc -c a.c; sh add\n")
    expected, _ = project.plain("make")
    project.infer("make")
    project.force()
    project.assert_tree(expected)


def test_what_runs_for_real_on_what_was_not_made(project: Project) -> None:
    """Its input is made for it, and fails: plainly nobody would have come so far, and the tool says nothing of it."""
    project.write("x.c", "int x(void) { broken }\n")
    project.write("Makefile", "x.o: x.c\n\tgcc -c -o part.o $<\n\tgcc -r -o $@ part.o\n")
    os.symlink("elsewhere.o", project.path("x.o"))
    recorded = project.infer("make", status=None)
    assert recorded.status
    assert b"broken" in recorded.stderr
    assert b"gcc is not run: the command that was to make" in recorded.stderr
    assert b"No such file" not in recorded.stderr
    assert b"cannot find" not in recorded.stderr
