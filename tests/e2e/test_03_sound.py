"""Never a stale or wrong result: each of these gives a wrong file without the care that it tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest

from tests.e2e.project import SCRIPTS, SECONDS, Project


def test_header_that_appears_earlier_on_the_search_path(project: Project) -> None:
    project.write("second/v.h", "#define V 2\n")
    project.path("first").mkdir()
    project.write("main.c", "#include <v.h>\nint main(void) { return V; }\n")
    project.write("Makefile", "prog: main.c FORCE\n\tgcc -Ifirst -Isecond -o prog main.c\nFORCE:\n")
    project.build()
    project.run("./prog", status=2)
    project.write("first/v.h", "#define V 1\n")
    project.build()
    project.run("./prog", status=1)
    project.path("first/v.h").unlink()
    project.build()
    project.run("./prog", status=2)


def test_header_that_appears_between_infer_and_force(project: Project) -> None:
    """It was not there for the call, so it is not for its thunk; the next recording sees it."""
    project.write("second/v.h", "#define V 2\n")
    project.path("first").mkdir()
    project.write("main.c", "#include <v.h>\nint main(void) { return V; }\n")
    project.write("Makefile", "prog: main.c\n\tgcc -Ifirst -Isecond -o prog main.c\n")
    project.infer()
    project.write("first/v.h", "#define V 1\n")
    project.forced()
    project.run("./prog", status=2)
    for value in (1, 2, 1, 2):
        if value == 1:
            project.write("first/v.h", "#define V 1\n")
        else:
            project.path("first/v.h").unlink()
        project.path("prog").unlink()
        project.build()
        project.run("./prog", status=value)


@pytest.mark.parametrize("path", ["first/v.h", "first/sys/v.h"])
@pytest.mark.parametrize("beside", [False, True])
def test_a_call_that_fails_without_a_header_that_appears_fails(project: Project, path: str, beside: bool) -> None:
    """It fails for make, since the header came later, whatever else may have been in that directory."""
    name = path.removeprefix("first/")
    project.write(f"second/{name}", "#define V 2\n")
    project.path("first/sys").mkdir(parents=True)
    if beside:
        project.write("first/other.h", "")
    project.write("main.c", f"#include <{name}>\n#if V == 2\n#error two\n#endif\nint main(void) {{ return V; }}\n")
    project.write("Makefile", "prog: main.c\n\tgcc -Ifirst -Isecond -o prog main.c\n")
    project.infer()
    project.write(path, "#define V 1\n")
    assert b"#error two" in project.forced(status=1).result.stdout
    assert not project.path("prog").exists()


def test_library_that_appears_earlier_on_the_search_path(project: Project) -> None:
    for name, value in (("first", 1), ("second", 2)):
        project.write(f"{name}.c", f"int v(void) {{ return {value}; }}\n")
        project.path(name).mkdir()
    project.write("main.c", "int v(void); int main(void) { return v(); }\n")
    project.write(
        "Makefile",
        "prog: main.c second/libv.a FORCE\n\tgcc -o $@ main.c -Lfirst -Lsecond -lv\n"
        "%/libv.a: %.c\n\tgcc -c -o $*.o $<\n\tar rcs $@ $*.o\nFORCE:\n",
    )
    project.build()
    project.run("./prog", status=2)
    project.infer("make", "first/libv.a", "prog")
    project.forced()
    project.run("./prog", status=1)


def test_has_include_of_what_nothing_includes(project: Project) -> None:
    project.write(
        "main.c",
        '#if __has_include("optional.h")\n#define V 1\n#else\n#define V 2\n#endif\nint main(void) { return V; }\n',
    )
    project.write("Makefile", "prog: main.c FORCE\n\tgcc -o prog main.c\nFORCE:\n")
    project.same_as_plain(make=False)
    project.run("./prog", status=2)
    project.write("optional.h", "")
    project.build()
    project.run("./prog", status=1)
    project.path("optional.h").unlink()
    project.build()
    project.run("./prog", status=2)


def test_fall_through_comments_are_seen(project: Project) -> None:
    """A compile of preprocessed text would lose the comment and fail."""
    project.write(
        "main.c",
        "int main(int n, char **v) {\n  switch (n) {\n  case 1:\n    v = 0;\n    /* fall through */\n"
        "  case 2:\n    return v == 0;\n  }\n  return 3;\n}\n",
    )
    project.write("Makefile", "prog: main.c\n\tgcc -Wextra -Werror -o prog main.c\n")
    project.same_as_plain()


def test_file_macro_in_all_spellings(project: Project) -> None:
    project.write("inc/where.h", "static const char *header = __FILE__;\n")
    project.write(
        "src/main.c",
        '#include <stdio.h>\n#include "../inc/where.h"\n'
        'int main(void) { printf("%s %s %s\\n", header, __FILE__, __BASE_FILE__); }\n',
    )
    project.write(
        "Makefile",
        "all: a b c\na: src/main.c\n\tgcc -g -o a src/main.c\nb: src/main.c\n\tgcc -o b $(CURDIR)/src/main.c\n"
        "c: src/main.c\n\tcd inc && gcc -I. -o ../c ../src/../src/main.c\n",
    )
    project.same_as_plain()
    assert project.run("./c").stdout == b"../src/../src/../inc/where.h ../src/../src/main.c ../src/../src/main.c\n"


def test_date_and_time_are_those_of_the_call(project: Project) -> None:
    project.write("main.c", '#include <stdio.h>\nint main(void) { puts(__DATE__ " " __TIME__); }\n')
    project.write("Makefile", "prog: main.c FORCE\n\tgcc -o prog main.c\nFORCE:\n")
    times = []
    for _ in range(2):
        before = int(time.time())
        project.build()
        after = int(time.time())
        possible = [time.strftime("%b %e %Y %H:%M:%S\n", time.localtime(t)).encode() for t in range(before, after + 1)]
        times.append(project.run("./prog").stdout)
        assert times[-1] in possible
        time.sleep(max(0.0, after + 1 - time.time()))
    assert times[0] != times[1]
    explained = project.gg("explain")
    assert b"__DATE__ or __TIME__" in explained.stdout


def test_date_under_source_date_epoch_is_a_thunk(project: Project) -> None:
    project.write("main.c", '#include <stdio.h>\nint main(void) { puts(__DATE__ " " __TIME__); }\n')
    project.write("Makefile", "export SOURCE_DATE_EPOCH = 86400\nprog: main.c\n\tgcc -o prog main.c\n")
    project.same_as_plain()
    assert project.run("./prog").stdout == b"Jan  2 1970 00:00:00\n"


def test_timestamp_macro(project: Project) -> None:
    project.write("main.c", "#include <stdio.h>\nint main(void) { puts(__TIMESTAMP__); }\n")
    project.write("Makefile", "prog: main.c FORCE\n\tgcc -o prog main.c\nFORCE:\n")
    project.same_as_plain(make=False)
    first = project.run("./prog").stdout
    os.utime(project.path("main.c"), (86400, 86400))
    project.build()
    assert project.run("./prog").stdout != first


def test_clock_macro_in_a_header_only(project: Project) -> None:
    project.write("stamp.h", "#define STAMP __TIME__\n")
    project.write("main.c", '#include <stdio.h>\n#include "stamp.h"\nint main(void) { puts(STAMP); }\n')
    project.write("Makefile", "prog: main.c FORCE\n\tgcc -o prog main.c\nFORCE:\n")
    project.build()
    first = project.run("./prog").stdout
    time.sleep(1.0)
    project.build()
    assert project.run("./prog").stdout != first


@pytest.mark.parametrize("flags", ["-march=native -O2", "-march=native -mtune=native -g -frecord-gcc-switches"])
def test_march_native(project: Project, flags: str) -> None:
    """The processor that gives the meaning is this one, and the recorded flags are as they were written."""
    project.write("v.c", "void scale(float *x) { for (int i = 0; i < 64; i++) x[i] = x[i] * x[i + 1] + 2; }\n")
    project.write("Makefile", f"v.o: v.c\n\tgcc {flags} -ftree-vectorize -c v.c\n")
    project.same_as_plain()


def test_source_edited_after_infer(project: Project) -> None:
    """The bytes that were recorded are compiled, and make sees that the source is newer."""
    project.write("main.c", "int main(void) { return 1; }\n")
    project.write("v.h", "#define V 1\n")
    project.write("Makefile", "prog: main.c\n\tgcc -o prog main.c\n")
    project.infer()
    project.write("main.c", "int main(void) { return 2; }\n")
    project.forced()
    project.run("./prog", status=1)
    project.make("-q", status=1)
    project.make()
    project.run("./prog", status=2)


def test_source_removed_after_infer(project: Project) -> None:
    """Builds remove the sources that they generate: those bytes are kept."""
    project.write("v.h", "#define V 6\n")
    project.write("main.c", '#include "v.h"\nint main(void) { return V; }\n')
    project.infer("gcc", "-o", "prog", "main.c")
    project.path("main.c").unlink()
    project.path("v.h").unlink()
    project.forced()
    project.run("./prog", status=6)


def test_source_edited_in_mid_compile(project: Project) -> None:
    """A reduction is recorded for the bytes that were hashed, whatever happens to the file meanwhile."""
    project.write("main.c", "int main(void) { return 1; }\n")
    project.write("Makefile", "prog: main.c\n\tgcc -O0 -o prog main.c\n")
    project.infer()
    child = start_force(project)
    project.write("main.c", "int main(void) { return 2; }\n")
    out, err = child.communicate(timeout=SECONDS)
    assert child.returncode == 0, (out, err)
    project.run("./prog", status=1)
    project.build()
    project.run("./prog", status=2)
    project.write("main.c", "int main(void) { return 1; }\n")
    project.build()
    project.run("./prog", status=1)


def test_header_edited_and_put_back_in_mid_compile(project: Project) -> None:
    """The bytes afterwards are right again, and those that were read were not."""
    body = "".join(f"int f{i}(int x) {{ return x * {i} + (x >> 3); }}\n" for i in range(2500))
    project.write("main.c", body + '#include "v.h"\nint main(void) { return V; }\n')
    project.write("v.h", "#define V 1\n")
    project.write("Makefile", "prog: main.c\n\tgcc -O0 -o prog main.c\n")
    project.infer()
    time.sleep(0.1)
    child = start_force(project)
    project.write("v.h", "#define V 2\n")
    wait_for(project, "a*/tmp/*.o", child)
    project.write("v.h", "#define V 1\n")
    out, err = child.communicate(timeout=SECONDS)
    assert child.returncode == 0, (out, err)
    project.run("./prog", status=1)


def start_force(project: Project) -> subprocess.Popen[bytes]:
    """gg-force, as soon as it has begun with a thunk."""
    child = project.start(SCRIPTS / "gg-force", "--quiet")
    wait_for(project, "a*/map", child)
    return child


def wait_for(project: Project, pattern: str, child: subprocess.Popen[bytes]) -> None:
    """Until a file among the records' tmp/ matches, or the child has ended."""
    deadline = time.monotonic() + SECONDS
    while not list((project.records / "tmp").glob(pattern)) and child.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_compiler_replaced_in_place(project: Project) -> None:
    """A wrapper of the workspace stands for a compiler; when its bytes change, what it made is made anew."""
    real = subprocess.run(["sh", "-c", "command -v gcc"], capture_output=True, check=True, text=True).stdout.strip()
    project.write("bin/gcc", f'#!/bin/sh\nexec {real} -DV=1 "$@"\n', 0o755)
    project.write("main.c", "int main(void) { return V; }\n")
    project.write("Makefile", "prog: main.o\n\tgcc -o $@ main.o\nmain.o: main.c FORCE\n\tgcc -c main.c\nFORCE:\n")
    project.env["PATH"] = f"{project.path('bin')}:{project.env['PATH']}"
    project.build()
    project.run("./prog", status=1)
    project.write("bin/gcc", f'#!/bin/sh\nexec {real} -DV=2 "$@"\n', 0o755)
    project.build()
    project.run("./prog", status=2)


def test_driver_binary_replaced_in_place(project: Project) -> None:
    """A copy of the driver, then with another byte at its end and the same length and modification time."""
    real = os.path.realpath(shutil.which("gcc") or "")
    inside = os.path.dirname(project.run("gcc", "-print-prog-name=cc1").stdout.decode().strip())
    copy = project.path("bin/gcc")
    copy.parent.mkdir()
    shutil.copy2(real, copy)
    project.write("main.c", "int main(void) { return 0; }\n")
    project.write("Makefile", f"main.o: main.c FORCE\n\t{copy} -B{inside}/ -c main.c\nFORCE:\n")
    assert project.build().ran == ["main.o"]
    assert project.build().ran == []
    times = copy.stat()
    data = copy.read_bytes()
    copy.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(copy, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert project.build().ran == ["main.o"]


def test_edit_in_the_same_second_and_size(project: Project) -> None:
    """Digests are remembered by stat signature: an edit that leaves size and time alone is still seen."""
    project.write("main.c", "int main(void) { return 1; }\n")
    project.write("Makefile", "prog: main.c FORCE\n\tgcc -o prog main.c\nFORCE:\n")
    project.build()
    before = project.path("main.c").stat()
    with open(project.path("main.c"), "r+b") as file:
        file.seek(len("int main(void) { return "))
        file.write(b"2")
    os.utime(project.path("main.c"), ns=(before.st_atime_ns, before.st_mtime_ns))
    project.build()
    project.run("./prog", status=2)


@pytest.mark.parametrize("harm", ["truncated", "flipped", "removed", "empty"])
def test_damaged_result(project: Project, harm: str) -> None:
    """A forced object whose blob is damaged in the store is never put in place: it is made anew."""
    project.write("main.c", 'const char text[] = "some text to find";\nint main(void) { return 3; }\n')
    project.write("Makefile", "prog: main.o\n\tgcc -o $@ main.o\nmain.o: main.c\n\tgcc -c main.c\n")
    project.build()
    expected = project.tree()
    for made in ("main.o", "prog"):
        damage(project, project.path(made).read_bytes(), harm)
        project.path(made).unlink()
    project.build()
    assert project.tree() == expected


@pytest.mark.parametrize("harm", ["truncated", "flipped", "removed"])
def test_damaged_source(project: Project, harm: str) -> None:
    """A recorded source whose blob is damaged: the file itself is used while it is unchanged, else gg says so."""
    source = b"int main(void) { return 3; }\n"
    project.write("main.c", source)
    project.write("Makefile", "prog: main.c\n\tgcc -o prog main.c\n")
    project.infer()
    damage(project, source, harm)
    project.write("main.c", "int main(void) { return 4; }\n")
    failed = project.force(status=None)
    assert failed.status not in (0, 1)
    assert b"main.c" in failed.stderr
    assert not project.path("prog").exists()  # so make builds it again, and it is recorded anew
    project.write("main.c", source)
    project.infer()
    project.forced()
    project.run("./prog", status=3)


def damage(project: Project, content: bytes, harm: str) -> None:
    """Harm every file of the store that holds `content`."""
    found = [p for p in (project.store / "blobs").rglob("*") if p.is_file() and p.read_bytes() == content]
    assert found
    for path in found:
        mode = path.stat().st_mode
        path.chmod(0o644)
        match harm:
            case "truncated":
                path.write_bytes(content[: len(content) // 2])
            case "flipped":
                at = len(content) // 2
                path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
            case "empty":
                path.write_bytes(b"")
            case _:
                path.unlink()
                continue
        path.chmod(mode)
