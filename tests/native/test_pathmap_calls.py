"""The functions of the C library under the path map, against the same calls without it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from .compiled import Native, cc
from .maps import ASKED, MISSES, OBSERVE, READ, TERMINAL, Map, Record, declared, stored

PROGRAMS = Path(__file__).parent / "programs"


def tree(top: Path) -> Path:
    (top / "sub" / "deep").mkdir(parents=True)
    for name in ("a", "c", "e", "r", "gone", "deep", "long", "sub/b", "sub/deep/f"):
        (top / f"{name}.txt").write_text(f"this is {name}\n")
    (top / "twin.txt").write_text("this is a\n")
    (top / "empty").write_text("")
    (top / "run.sh").write_text("#!/bin/sh\necho run\n")
    (top / "run.sh").chmod(0o755)
    (top / "link.txt").symlink_to("a.txt")
    (top / "linked").symlink_to("sub")
    (top / "absolute").symlink_to(top / "sub" / "b.txt")
    (top / "loop").symlink_to("loop")
    (top / "dangling").symlink_to("nowhere")
    return top


def records_of(top: Path) -> list[Record]:
    records: list[Record] = []
    for path in sorted(top.rglob("*")):
        if path.is_symlink():
            records.append(("L", bytes(path), os.fsencode(os.readlink(path))))
        elif path.is_dir():
            records.append(("D", bytes(path), b""))
        else:
            records.append(("F", bytes(path), b""))
    return records


def python() -> list[Record]:
    """The interpreter's own files are not what is tested: all of them are let through."""
    places = {sys.prefix, sys.base_prefix, sys.exec_prefix, os.path.dirname(os.path.realpath(sys.executable))}
    return [
        ("P", os.fsencode(p), b"") for p in sorted({*places, "/usr", "/lib", "/lib64", "/etc", "/bin", str(PROGRAMS)})
    ]


def snapshot(top: Path) -> list[tuple[str, int, float, bytes]]:
    return [
        (str(p), p.lstat().st_mode, p.lstat().st_mtime, p.read_bytes() if p.is_file() else b"")
        for p in sorted(top.rglob("*"))
        if p.name not in ("loop",)
    ]


@pytest.mark.parametrize("where", ["in place", "stored", "absent"])
def test_the_same_answers(where: str, native: Native, tmp_path: Path) -> None:
    """Files in their place; files kept elsewhere; and a directory that is not on this host at all."""
    script = str(PROGRAMS / "file_calls.py")
    umask = os.umask(0o022)
    try:
        plain = subprocess.run([sys.executable, script], cwd=tree(tmp_path / "plain"), capture_output=True)
        top = tree(tmp_path / "map" / "top")
        records = records_of(top)
        if where != "in place":
            records = stored(records, tmp_path / "blobs")
        run = Map(tmp_path / "m", native.pathmap, [*records, *python()], flags=0)
        cwd = top
        before = snapshot(top)
        if where == "absent":
            top.rename(tmp_path / "moved")
            cwd = run.made(top)
            cwd.mkdir(parents=True)
        mapped = run.run(sys.executable, script, cwd=cwd, env={"PYTHONDONTWRITEBYTECODE": "1"})
    finally:
        os.umask(umask)
    assert plain.returncode == 0, plain.stderr
    assert mapped.returncode == 0, mapped.stderr
    assert plain.stdout.count(b"\n") > 100
    assert mapped.stdout.decode().splitlines() == plain.stdout.decode().splitlines()
    assert mapped.stderr == plain.stderr
    if where != "absent":
        assert snapshot(top) == before
    for blob in tmp_path.glob("blobs/*"):
        assert blob.stat().st_mode & 0o222 == 0
    assert not any(path.startswith(bytes(top)) for path in run.report("U"))


def sh(run: Map, script: str, cwd: Path) -> str:
    return run.run("sh", "-c", script, cwd=cwd).stdout.decode()


SYSTEM: list[Record] = [("P", p, b"") for p in (b"/usr", b"/lib", b"/lib64", b"/etc", b"/bin")]


def test_marks(native: Native, tmp_path: Path) -> None:
    top = tree(tmp_path / "top")
    run = Map(tmp_path / "m", native.pathmap, [*records_of(top), *SYSTEM])
    assert sh(run, "test -r c.txt; cat linked/b.txt; test -e absolute", top) == "this is sub/b\n"
    assert run.marked(READ) & {bytes(p) for p in top.rglob("*")} == {
        bytes(top / name) for name in ("linked", "sub/b.txt", "absolute")
    }
    assert bytes(top / "c.txt") in run.marked(ASKED)
    assert bytes(top / "a.txt") not in run.marked(READ | ASKED)
    assert not run.dirty


def test_reports(native: Native, tmp_path: Path) -> None:
    top = tree(tmp_path / "top")
    script = "cat a.txt; test -e c.txt; cat nothing; ls sub; test -d sub/deep; [ -e sub/none ]; cat link.txt"
    expected = {bytes(top / name) for name in ("a.txt", "c.txt", "sub", "link.txt")}
    misses = {bytes(top / name) for name in ("nothing", "sub/none")}
    seeing = Map(tmp_path / "m1", native.pathmap, SYSTEM, flags=OBSERVE | MISSES)
    assert sh(seeing, script, top) == "this is a\nb.txt\ndeep\nthis is a\n"
    assert seeing.report("U") == expected
    assert seeing.report("M") == misses
    strict = Map(tmp_path / "m2", native.pathmap, SYSTEM, flags=0)
    assert sh(strict, script, top) == "deep\n"  # directories are visible, files are not
    assert strict.report("U") == expected
    assert strict.report("M") == set()


@pytest.mark.parametrize("flags", [0, TERMINAL])
def test_standard_error_may_be_a_terminal(flags: int, native: Native, tmp_path: Path) -> None:
    run = Map(tmp_path / "m", native.pathmap, SYSTEM, flags=OBSERVE | flags)
    script = "for fd in 0 1 2 3; do if [ -t $fd ]; then echo $fd; fi; done"
    assert sh(run, script, tmp_path) == ("2\n" if flags else "")


def test_absent_means_absent(native: Native, tmp_path: Path) -> None:
    top = tree(tmp_path / "top")
    run = Map(tmp_path / "m", native.pathmap, [("N", bytes(top / "a.txt"), b""), *records_of(top), *SYSTEM])
    script = "cat a.txt; ls a.txt; [ -e a.txt ] || echo none; echo x > a.txt; cat a.txt"
    assert sh(run, script, top) == "none\nx\n"
    assert run.report("U") == set()
    assert (top / "a.txt").read_text() == "this is a\n"


def test_of_equal_paths_the_first_counts(native: Native, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("other\n")
    top = tree(tmp_path / "top")
    path = bytes(top / "a.txt")
    run = Map(tmp_path / "m", native.pathmap, [("F", path, bytes(other)), ("F", path, b""), ("N", path, b""), *SYSTEM])
    assert sh(run, "cat a.txt", top) == "other\n"


def test_scripts_start_through_the_map(native: Native, tmp_path: Path) -> None:
    """The script has its own name, and its interpreter is looked up like any program."""
    top = tmp_path / "top"
    top.mkdir()
    shutil.copy("/usr/bin/env", top / "env")
    script = top / "tool"
    script.write_text(f'#!{top}/env -S sh -u\necho "$0 $1"\n')
    script.chmod(0o755)
    records = stored(declared([script, top / "env"]), tmp_path / "blobs")
    shutil.rmtree(top)
    top.mkdir()
    run = Map(tmp_path / "m", native.pathmap, [*records, *SYSTEM])
    assert sh(run, "./tool a; PATH=.:$PATH; tool b; exec ./tool c", top) == "./tool a\n./tool b\n./tool c\n"
    assert {bytes(script), bytes(top / "env")} <= run.marked(READ)
    strict = Map(tmp_path / "m2", native.pathmap, [*(r for r in records if r[1] == bytes(script)), *SYSTEM], flags=0)
    shutil.copy("/usr/bin/env", top / "env")
    assert sh(strict, "./tool a", top) == ""
    assert strict.report("U") == {bytes(top / "env")}


def test_a_program_keeps_its_own_name(native: Native, tmp_path: Path) -> None:
    """Compilers find their parts from /proc/self/exe."""
    (tmp_path / "m.c").write_text(
        "#define _GNU_SOURCE\n#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\nint main(void) {"
        ' char b[4096] = ""; if (readlink("/proc/self/exe", b, 4095) < 0) return 1;'
        ' puts(b); puts(realpath("/proc/self/exe", NULL)); return 0; }\n'
    )
    program = tmp_path / "prog"
    cc("-o", program, tmp_path / "m.c")
    records = stored(declared([program]), tmp_path / "blobs")
    program.unlink()
    run = Map(tmp_path / "m", native.pathmap, [*records, *SYSTEM])
    assert sh(run, "./prog", tmp_path) == f"{program}\n{program}\n"


def test_nothing_escapes_through_a_new_environment(native: Native, tmp_path: Path) -> None:
    top = tree(tmp_path / "top")
    run = Map(tmp_path / "m", native.pathmap, [*records_of(top), *SYSTEM])
    sh(run, "env -i sh -c 'echo x > a.txt'; unset LD_PRELOAD GG_MAP; sh -c 'echo y > c.txt'", top)
    assert run.outputs() == {str(top / "a.txt"), str(top / "c.txt")}
    assert (top / "a.txt").read_text() == "this is a\n"


def test_many_threads_and_processes(native: Native, tmp_path: Path) -> None:
    """Each writes its own files and one that all share; nothing is lost and nothing is torn."""
    top = tree(tmp_path / "top")
    run = Map(tmp_path / "m", native.pathmap, [*records_of(top), *SYSTEM, *python()])
    script = tmp_path / "threads.py"
    script.write_text(
        "import sys, threading, os\n"
        "def work(n):\n"
        "    for i in range(50):\n"
        "        name = f'{sys.argv[1]}-{n}-{i}'\n"
        "        open(name, 'w').write(name)\n"
        "        assert open(name).read() == name\n"
        "        assert open('a.txt').read() == 'this is a\\n'\n"
        "        assert not os.path.exists(name + 'x')\n"
        "        if i % 2: os.unlink(name)\n"
        "        else: os.rename(name, name + '.done')\n"
        "ts = [threading.Thread(target=work, args=(n,)) for n in range(4)]\n"
        "[t.start() for t in ts]; [t.join() for t in ts]\n"
    )
    results: list[int] = []

    def process(name: str) -> None:
        done = run.run(sys.executable, script, name, cwd=top, env={"PYTHONDONTWRITEBYTECODE": "1"})
        results.append(done.returncode + len(done.stderr))

    threads = [threading.Thread(target=process, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [0, 0, 0]
    made = {path for path in run.outputs() if path.endswith(".done")}
    assert made == {f"{top}/{p}-{n}-{i}.done" for p in "xyz" for n in range(4) for i in range(0, 50, 2)}


def test_more_directories_than_records(native: Native, tmp_path: Path) -> None:
    deep = [b"/made/up" + b"".join(b"/%d-%d" % (i, j) for j in range(40)) + b"/f" for i in range(200)]
    data = tmp_path / "data"
    data.write_text("data\n")
    run = Map(tmp_path / "m", native.pathmap, [*(("F", p, bytes(data)) for p in deep), *SYSTEM])
    assert sh(run, f"cat {deep[0].decode()} {deep[199].decode()}; ls /made/up | wc -l", tmp_path).split() == [
        "data",
        "data",
        "200",
    ]


@pytest.mark.parametrize("cut", [0, 20, 100, 287, 300, 330])
def test_a_damaged_map_runs_nothing(cut: int, native: Native, tmp_path: Path) -> None:
    run = Map(tmp_path / "m", native.pathmap, SYSTEM)
    run.file.write_bytes(run.file.read_bytes()[:cut])
    done = run.run("sh", "-c", "echo ran", cwd=tmp_path)
    assert done.returncode == 125
    assert re.fullmatch(rb"gg: path map: [^\n]+\n", done.stderr)


def test_the_library_alone_changes_nothing(native: Native, tmp_path: Path) -> None:
    env = {"LD_PRELOAD": str(native.pathmap), "PATH": "/usr/bin:/bin"}
    script = "echo x > f; cat f; mkdir d; cd d; pwd; ls ..; exec sh -c 'cat ../f'"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, env=env, capture_output=True)
    assert done.stdout.decode().split() == ["x", f"{tmp_path}/d", "d", "f", "x"]
    assert done.stderr == b""


def test_it_misses_nothing_that_it_should_wrap(native: Native) -> None:
    """The functions by which tools touch paths, as the dynamic symbols of the library tell."""
    names = subprocess.run(
        ["nm", "-D", "--defined-only", native.pathmap], capture_output=True, text=True
    ).stdout.split()
    wanted = """open open64 openat openat64 creat creat64 __open_2 __open64_2 __openat_2 __openat64_2 fopen fopen64
    freopen freopen64 opendir scandir scandir64 scandirat mkstemp mkstemp64 mkostemp mkostemp64 mkstemps
    mkstemps64 mkostemps64 mkdtemp stat stat64 lstat lstat64 fstat fstat64 fstatat fstatat64 statx
    __xstat __xstat64 __lxstat __lxstat64 __fxstat __fxstat64 __fxstatat __fxstatat64 access faccessat
    euidaccess eaccess readlink readlinkat __readlink_chk __readlinkat_chk realpath __realpath_chk
    canonicalize_file_name getcwd __getcwd_chk get_current_dir_name chdir fchdir unlink unlinkat remove
    rename renameat renameat2 link linkat symlink symlinkat mkdir mkdirat rmdir chmod fchmodat fchmod
    chown lchown fchown fchownat truncate truncate64 utime utimes lutimes futimes futimesat utimensat
    futimens mknod mknodat mkfifo mkfifoat __xmknod __xmknodat execve execv execvp execvpe execl execlp
    execle execveat fexecve posix_spawn posix_spawnp posix_spawn_file_actions_addopen system popen
    dlopen"""
    assert set(wanted.split()) <= set(names)
