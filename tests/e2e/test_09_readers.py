"""Force on read, through the commands: whoever reads a placeholder during a build reads the real file."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sysconfig
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from tests.e2e.project import Project, by_make, is_placeholder

ANSWER = 'const char text[] = "a needle in an object";\nint answer(void) { return 42; }\n'
MAIN = '#include <stdio.h>\nint main(int n, char **v) { printf("%s ran with %d\\n", "hello", n); return v[0] == 0; }\n'


def script(project: Project, *lines: str) -> tuple[str, ...]:
    """A build of some shell commands, in one shell, each of which must succeed: a recipe, behind whose lines compiles wait."""
    return by_make(project, "; ".join(lines))


def forces(project: Project) -> int:
    """How many reads of placeholders the last gg-infer met."""
    told = json.loads(project.gg("status", "--json").stdout)
    return int(told["infer"]["forced_on_read"])


@pytest.fixture
def answer(project: Project) -> Project:
    project.write("a.c", ANSWER)
    return project


# Readers of every kind


@pytest.mark.parametrize(
    "read",
    [
        "nm a.o > out",
        "objcopy -O binary -j .text a.o out && cmp out out",
        "grep -c needle a.o > out",
        "echo 'if grep -q needle a.o; then echo found; else echo not; fi' > s; sh s > out",
        "perl -ne 'print \"yes\" if /needle/' a.o > out",
        "dd if=a.o of=out bs=64 count=9 2> /dev/null",
        "cp a.o b.o && cmp a.o b.o && cat b.o > out",
        "sha256sum < a.o > out",
        "tail -c 100 a.o > out",
        "gzip -nc a.o > out",
        'python3 -c \'print(len(open("a.o", "rb").read()))\' > out',
    ],
)
def test_a_fresh_object_is_read(read: str, answer: Project) -> None:
    answer.same_as_plain(*script(answer, "gcc -g -c a.c -o a.o", read), make=False)


def test_a_generated_tool_is_run(project: Project) -> None:
    project.write("gen.c", '#include <stdio.h>\nint main(void) { return puts("#define N 42") < 0; }\n')
    project.write("m.c", '#include "n.h"\nint main(void) { return N; }\n')
    build = script(project, "gcc -o gen gen.c", "./gen > n.h", "gcc -c m.c", "gcc -o m m.o")
    project.same_as_plain(*build, make=False)
    project.run("./m", status=42)


def test_python_loads_a_fresh_extension_module(project: Project) -> None:
    include = sysconfig.get_path("include")
    assert os.path.exists(os.path.join(include, "Python.h")), "Python's headers are needed: python3-dev"
    project.write(
        "fresh.c",
        "#include <Python.h>\n"
        'static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "fresh", 0, -1, 0, 0, 0, 0, 0};\n'
        "PyMODINIT_FUNC PyInit_fresh(void)\n"
        '{ PyObject *m = PyModule_Create(&module); PyModule_AddIntConstant(m, "answer", 42); return m; }\n',
    )
    build = f"gcc -shared -fPIC -I{include} fresh.c -o fresh.so"
    python = shutil.which("python3")
    use = f"{python} -B -c 'import sys; sys.path.insert(0, \".\"); import fresh; print(fresh.answer)' > out"
    project.same_as_plain(*script(project, build, use), make=False)
    assert project.path("out").read_bytes() == b"42\n"


@pytest.mark.parametrize(
    "start",
    [
        "LD_PRELOAD=./fresh.so ./prog",
        'LD_PRELOAD="$PWD/fresh.so" sh -c ./prog',
        "LD_PRELOAD=fresh.so LD_LIBRARY_PATH=. ./prog",
        "/lib64/ld-linux-x86-64.so.2 --preload ./fresh.so ./prog",
    ],
)
def test_a_fresh_library_is_preloaded(start: str, project: Project) -> None:
    if start.startswith("/lib64") and os.uname().machine != "x86_64":
        start = start.replace("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")
    project.write("fresh.c", "int getppid(void) { return 42; }\n")
    project.write("prog.c", '#include <stdio.h>\n#include <unistd.h>\nint main(void) { printf("%d", getppid()); }\n')
    build = script(project, "gcc -shared -fPIC fresh.c -o fresh.so", "gcc prog.c -o prog", f"{start} > out")
    project.same_as_plain(*build, make=False)
    assert project.path("out").read_bytes() == b"42"


def test_sixteen_readers_of_one_placeholder_have_one_force(answer: Project) -> None:
    readers = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do cat a.o > out$i & done; wait"
    build = script(answer, "gcc -O2 -c a.c", readers)
    expected, _ = answer.plain(*build)
    log = answer.root.with_name("log")
    infer = Path(sysconfig.get_path("scripts")) / "gg-infer"
    answer.run("strace", "-f", "-qq", "-e", "trace=execve", "-e", "signal=none", "-o", log, infer, *build)
    answer.assert_tree(expected)
    assert len(re.findall(r'execve\("[^"]*as", \["as".*= 0$', log.read_text(), re.MULTILINE)) == 1


def slow(project: Project) -> str:
    """A tool that takes its time; what it makes is a placeholder until then."""
    tool = project.write("slowly", '#!/bin/sh\nsleep 2\necho done > "$1"\n', 0o755)
    project.settings('[tool.slowly]\noperands = ["output"]\nprograms = ["/bin/sh", "sleep"]\n')
    return str(tool)


def test_a_reader_killed_while_it_waits(answer: Project) -> None:
    tool = slow(answer)
    wait = "cat slow & p=$!; sleep 0.7; kill -9 $p; wait $p || echo $? > status"
    start = time.monotonic()
    answer.infer(*by_make(answer, f"{tool} slow", "gcc -c a.c", wait, "nm a.o > syms", "cat slow > read"))
    assert time.monotonic() - start > 0.7
    assert answer.path("status").read_bytes() == b"137\n"
    assert answer.path("read").read_bytes() == answer.path("slow").read_bytes() == b"done\n"
    assert b"answer" in answer.path("syms").read_bytes()
    answer.force()
    assert answer.placeholders() == []


@pytest.mark.parametrize("read", ["nm bad.o", "cat bad.o", "busybox cat bad.o", "./bad"])
def test_a_compile_error_in_the_cone_is_the_readers(read: str, project: Project) -> None:
    project.write("bad.c", "int main(void) { return nothing; }\n")
    project.write("good.c", MAIN)
    project.write("Makefile", f"all:\n\tgcc -c good.c\n\tgcc -c bad.c\n\tgcc -o bad bad.o\n\t{read}\n\ttouch after\n")
    result = project.infer(status=2)
    assert result.stderr.count(b"bad.c:1:25: error: ") == 1
    assert b"Error" in result.stderr
    assert not project.path("after").exists()
    assert is_placeholder(project.path("good.o"))  # the rest stays deferred


@pytest.mark.parametrize(
    ("how", "start"),
    [
        *((how, f"{start} x") for how in ("", "--no-interposer") for start in ("./hello", "./link", "./link2")),
        *((how, "PATH=$PWD:$PATH; hello x") for how in ("", "--no-interposer")),
        ("", "env -i ./link2 x"),  # without interposer and environment, it waits for gg-infer to end
    ],
)
def test_a_placeholder_is_executed(how: str, start: str, project: Project) -> None:
    project.write("hello.c", MAIN)
    build = script(
        project, "mkdir -p dir", "gcc hello.c -o dir/hello", "ln -sf dir/hello link", "ln -sf link link2",
        "ln -f dir/hello hello", f"({start}) > out",
    )  # fmt: skip
    project.infer(*how.split(), *build)
    assert project.path("out").read_bytes() == b"hello ran with 2\n"


# Movers


@pytest.mark.parametrize(
    "move",
    [
        *("cp a.o b", "cp -a a.o b", "cp -p a.o d/b", "mv a.o b", "ln a.o b", "ln -s a.o b"),
        *("install -m 644 a.o b", "install -D -t d a.o", "touch a.o", "rsync -a a.o d/b", "chmod 600 a.o"),
        *("install -D -t d a.o; chmod -x d/a.o", "chmod 755 a.o", "cp a.o b; chmod 711 b"),
        *("busybox cp a.o b", "busybox mv a.o b", "cp -r d/../a.o d", "test -s a.o", "ls a.o > b"),
        *("find . -name a.o -newer a.c > b", "busybox test -s a.o", "busybox ls a.o > b"),
    ],
)
def test_movers_keep_placeholders(move: str, answer: Project) -> None:
    build = by_make(answer, "mkdir d", "gcc -c a.c -o a.o", move)
    expected, _ = answer.plain(*build)
    answer.infer(*build)
    assert forces(answer) == 0
    assert answer.placeholders()
    answer.force()
    answer.assert_tree(expected)


def test_install_strips_what_is_real(project: Project) -> None:
    project.write("hello.c", MAIN)
    project.same_as_plain(*script(project, "gcc -g hello.c -o hello", "install -s hello there", "rm hello"), make=False)
    project.run("./there")


# Archivers


@pytest.mark.parametrize(
    "pack",
    [
        *("tar cf pack.tar a.o", "tar cf - --exclude=pack.tar . > pack.tar", "bsdtar -cf pack.tar a.o"),
        *("busybox tar cf pack.tar a.o", "zip -q pack.zip a.o", "busybox sh -c 'tar cf pack.tar a.o'"),
        'python3 -c \'import tarfile; t = tarfile.open("pack.tar", "w"); t.add("a.o"); t.close()\'',
        'python3 -c \'import shutil; shutil.make_archive("../pack", "tar", ".")\' && mv ../pack.tar .',
        "python3 -m zipfile -c pack.zip a.o",
        'perl -MArchive::Tar -e \'Archive::Tar->create_archive("pack.tar", 0, "a.o") or die\'',
    ],
)
def test_archives_hold_real_files(pack: str, answer: Project) -> None:
    answer.infer(*script(answer, "gcc -c a.c -o a.o", pack))
    real = answer.path("a.o").read_bytes()
    assert real.startswith(b"\x7fELF")
    if "zip" in pack:
        assert zipfile.ZipFile(answer.path("pack.zip")).read("a.o") == real
        return
    with tarfile.open(fileobj=io.BytesIO(answer.path("pack.tar").read_bytes())) as archive:
        name = next(name for name in archive.getnames() if name.endswith("a.o"))
        member = archive.extractfile(name)
        assert member is not None
        assert member.read() == real


@pytest.mark.parametrize(
    "pack",
    [
        "echo a.o | cpio -o --quiet > pack.cpio; mkdir x; cd x; cpio -i --quiet < ../pack.cpio",
        "mkdir x; tar cf - a.o | tar xf - -C x",
        "cp /usr/bin/ar packer; ./packer crD lib.a a.o; mkdir x; cd x; ../packer x ../lib.a",
    ],
)
def test_what_is_packed_comes_out_whole(pack: str, answer: Project) -> None:
    answer.infer(*script(answer, "gcc -c a.c -o a.o", pack))
    assert answer.path("x/a.o").read_bytes() == answer.path("a.o").read_bytes()
    assert not is_placeholder(answer.path("a.o"))


def test_a_size_that_is_asked_for_is_the_real_one(answer: Project) -> None:
    sizes = ["stat -c %s a.o > s1", "du -b a.o > s2", "wc -c a.o > s3", "busybox stat -c %s a.o > s4"]
    answer.same_as_plain(*script(answer, "gcc -c a.c -o a.o", *sizes), make=False)


@pytest.mark.parametrize(
    "ask",
    [
        *("ls -l a.o | cut -d' ' -f5 > out", "ls --size -k > out", "vdir a.o | cut -d' ' -f5 > out", "ls -sS > out"),
        *(
            "find . -name a.o -size +1k > out",
            "find . -name a.o -printf '%p %10s\\n' > out",
            "find a.o -ls | wc -c > out",
        ),
        *("busybox ls -l a.o | wc -c > out", "busybox find . -name a.o -size +512c > out"),
    ],
)
def test_whoever_is_told_to_tell_sizes_tells_real_ones(ask: str, answer: Project) -> None:
    answer.same_as_plain(*script(answer, "gcc -g -c a.c -o a.o", ask), make=False)


def test_go_is_unharmed_and_what_it_makes_reads_real_files(answer: Project) -> None:
    """Go makes its system calls itself: what it builds, statically linked, and `go build`, which has gcc compile for it."""
    answer.write("go.mod", "module read\n")
    answer.write(
        "main.go",
        'package main\nimport ("fmt"; "os")\nfunc main() {\n s, _ := os.Stat("a.o")\n b, _ := os.ReadFile("a.o")\n'
        " fmt.Println(s.Size(), len(b), twice(21), string(b[1:4]))\n}\n",
    )
    answer.write("pure.go", "//go:build !cgo\npackage main\nfunc twice(n int) int { return n + n }\n")
    answer.write(
        "with.go",
        'package main\n// static int twice(int n) { return 2 * n; }\nimport "C"\n'
        "func twice(n int) int { return int(C.twice(C.int(n))) }\n",
    )
    go = "GOFLAGS=-mod=mod GOCACHE=$HOME/go go build"
    answer.infer(
        *script(
            answer,
            "gcc -g -c a.c -o a.o",
            f"CGO_ENABLED=0 {go} -o pure && ./pure > out1",
            "gcc -g -O2 -c a.c -o a.o",
            f"CGO_ENABLED=1 {go} -o with && ./with > out2",
        )
    )
    size = answer.path("a.o").stat().st_size
    assert answer.path("out1").read_text().split()[2:] == ["42", "ELF"]
    assert answer.path("out2").read_text().split() == [f"{size}", f"{size}", "42", "ELF"]


# Programs that nothing can be preloaded into


@pytest.mark.parametrize(
    "read",
    [
        *("busybox grep -c needle a.o > out", "busybox cat < a.o > out", "busybox sh -c 'cat a.o | wc -c' > out"),
        *("cp a.o b.o; busybox cmp a.o b.o; busybox od b.o > out", "cd d; busybox cat ../a.o > ../out"),
        *("busybox ash -c 'exec 3< a.o; cat <&3' > out", "env -i /bin/busybox cat a.o > out", "./static > out"),
        "./sh.sh > out",
    ],
)
def test_static_programs_read_real_files(read: str, answer: Project) -> None:
    read_all = 'char b[9999]; int main(void) { int f = open("a.o", 0); return write(1, b, read(f, b, 9999)) < 0; }'
    answer.write("static.c", f"#include <fcntl.h>\n#include <unistd.h>\n{read_all}\n")
    answer.write("sh.sh", "#!/bin/busybox sh\ncat a.o\n", 0o755)
    build = script(answer, "mkdir -p d", "gcc -c a.c -o a.o", "gcc -static static.c -o static", read)
    answer.same_as_plain(*build, make=False)


def test_a_static_program_may_be_the_build(answer: Project) -> None:
    answer.write("build.sh", "gcc -c a.c -o a.o\ngrep -c needle a.o > out\ngcc -c a.c -o b.o\n")
    answer.infer("busybox", "sh", "build.sh")
    assert answer.path("out").read_bytes() == b"1\n"
    assert is_placeholder(answer.path("b.o"))


def test_a_static_reader_killed_while_it_waits(project: Project) -> None:
    tool = slow(project)
    wait = "busybox cat slow & p=$!; sleep 0.7; kill -9 $p; wait $p || echo $? > status"
    project.infer(*by_make(project, f"{tool} slow", wait, "busybox cat slow > read"))
    assert project.path("status").read_bytes() == b"137\n"
    assert project.path("read").read_bytes() == b"done\n"


RINGS = """\
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The descriptor of a file that the kernel opens by a ring; where there are none, by open. */
static int by_ring(const char *path)
{
    struct io_uring_params p = {0};
    int ring = (int)CALL(SYS_io_uring_setup, 4, (long)&p);
    if (ring < 0)
        return open(path, O_RDONLY);
    size_t size = p.sq_off.array + p.sq_entries * 4 + p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    char *sq = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    char *cq = p.features & IORING_FEAT_SINGLE_MMAP
                   ? sq : mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
    struct io_uring_sqe *e =
        mmap(0, p.sq_entries * sizeof *e, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    memset(e, 0, sizeof *e);
    e->opcode = IORING_OP_OPENAT;
    e->fd = AT_FDCWD;
    e->addr = (unsigned long)path;
    __atomic_store_n((unsigned *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
    syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, 0, 0);
    return ((struct io_uring_cqe *)(cq + p.cq_off.cqes))->res;
}

int main(int argc, char **argv)
{
    return argc < 2 || printf("%ld\\n", (long)lseek(by_ring(argv[1]), 0, SEEK_END)) < 0;
}
"""
OWN_CALL = """\
static long own_call(long n, long a, long b)
{
#if defined(__x86_64__)
    __asm__ volatile("syscall" : "+a"(n) : "D"(a), "S"(b) : "rcx", "r11", "memory");
    return n;
#else
    return syscall(n, a, b);
#endif
}
#define CALL own_call
"""


@pytest.mark.parametrize("options", ["-DCALL=syscall", "-DCALL=syscall -static", "-include own_call.h"])
def test_what_the_kernel_opens_by_a_ring_is_real(options: str, answer: Project) -> None:
    answer.write("rings.c", RINGS)
    answer.write("own_call.h", f"#include <unistd.h>\n{OWN_CALL}")
    build = script(answer, f"gcc {options} rings.c -o rings", "gcc -c a.c -o a.o", "./rings a.o > out")
    answer.same_as_plain(*build, make=False)
