"""The path map and the jail show a command the same and give the same bytes; what neither can do is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from gg.core.ids import SandboxPath
from gg.core.thunk import File
from gg.host import native_programs
from gg.host.trees import hash_file
from gg.run.jail import JailRefused
from gg.run.job import Isolation, Job
from tests.conformance.runner_suite import CASES, Bench, Case, Result

BY_NAME = {case.name: case for case in CASES}


def prepare(bench: Bench, case: Case) -> None:
    """Make what the case reads, in the path map."""
    for name in case.after:
        before = BY_NAME[name]
        prepare(bench, before)
        bench.put(bench.run(before, bench.learn(before), Isolation.PATHMAP))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_same_either_way(case: Case, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    prepare(bench, case)
    entries = bench.learn(case)
    mapped = bench.run(case, entries, Isolation.PATHMAP)
    assert mapped.reads is not None
    assert bench.run(case, entries, Isolation.NAMESPACE) == mapped
    assert bench.run(case, entries, Isolation.PATHMAP, kept=True) == mapped
    assert bench.run(case, entries, Isolation.NAMESPACE, kept=True) == mapped
    outputs = {os.fsencode(bench.project / name) for name in case.outputs}
    assert mapped.status != 0 or outputs <= mapped.written.keys()


@pytest.mark.parametrize("isolation", Isolation)
def test_what_plain_make_would_have_made(isolation: Isolation, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    case = BY_NAME["debug"]
    entries = bench.learn(case)
    made = bench.run(case, entries, isolation).written[os.fsencode(bench.project / "wide.o")]
    subprocess.run(case.argv, cwd=bench.project, check=True, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
    assert (bench.project / "wide.o").read_bytes() == made[0]


@pytest.mark.parametrize("isolation", Isolation)
def test_an_output_of_an_earlier_run_is_not_seen(isolation: Isolation, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    case = Case("look", ("sh", "-c", "test ! -e old; echo $? > old"), ["old"])
    entries = bench.learn(case)
    (bench.project / "old").write_text("placeholder\n")
    result = bench.run(case, entries, isolation)
    assert result.written == {os.fsencode(bench.project / "old"): (b"0\n", False)}
    assert (bench.project / "old").read_text() == "placeholder\n"


@pytest.mark.parametrize("isolation", Isolation)
def test_directories_of_an_earlier_run_are_not_seen(isolation: Isolation, tmp_path: Path) -> None:
    """In the same runner: what the command before has made is gone, empty directories and listings too."""
    bench = Bench(tmp_path)
    words = 'test -d made; echo $? >said; mkdir -p made/deep "$TMPDIR/made"; ls . >/dev/null; rm -rf made; mkdir -p made/deep'
    case = Case("makes", ("sh", "-c", words), ["said"])
    entries = bench.learn(case)
    with bench.runner() as runner:
        for _ in range(3):
            job = Job(thunk=bench.thunk(case, entries), place=lambda file: None, isolation=isolation)
            result = Result.of(runner.run(job))
            assert result.written[os.fsencode(bench.project / "said")] == (b"1\n", False)


@pytest.mark.parametrize("isolation", Isolation)
def test_an_undeclared_read_is_told(isolation: Isolation, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    case = Case("reads", ("sh", "-c", "cat part.h; cat nowhere.h"), [])
    hidden = os.fsencode(bench.project / "part.h")
    entries = [e for e in bench.learn(case) if e.path != hidden]
    with bench.runner() as runner:
        ran = runner.run(Job(thunk=bench.thunk(case, entries), place=lambda file: None, isolation=isolation))
    seen = ran.undeclared if isolation is Isolation.PATHMAP else ran.missing
    assert hidden in seen


@pytest.mark.parametrize("isolation", Isolation)
def test_a_static_program_runs_in_the_jail(isolation: Isolation, tmp_path: Path) -> None:
    """It reads what is declared, nothing else, and writes nothing to the real tree."""
    bench = Bench(tmp_path)
    (bench.project / "s.c").write_text(
        '#include <stdio.h>\nint main(void) { FILE *f = fopen("part.h", "r"), *o = fopen("out", "w");\n'
        'fprintf(o, "%d %d\\n", f != NULL, fopen("main.c", "r") != NULL); return 3; }\n'
    )
    subprocess.run(["gcc", "-static", "-o", "s", "s.c"], cwd=bench.project, check=True)
    paths = [os.fsencode(bench.project / name) for name in ("s", "part.h")]
    entries = [File(SandboxPath(p), hash_file(p), os.access(p, os.X_OK)) for p in paths]
    result = bench.run(Case("static", ("./s",), ["out"]), entries, isolation)
    assert result == Result(3, b"", b"", {os.fsencode(bench.project / "out"): (b"1 0\n", False)}, frozenset(), None)
    assert not (bench.project / "out").exists()


def test_a_static_program_inside_a_script_runs_in_the_jail(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    (bench.project / "s.c").write_text('#include <stdio.h>\nint main(void) { return !fopen("out", "w"); }\n')
    subprocess.run(["gcc", "-static", "-o", "s", "s.c"], cwd=bench.project, check=True)
    case = Case("inside", ("sh", "-c", "./s && echo yes"), ["out"])
    result = bench.run(case, bench.learn(case), Isolation.PATHMAP)
    assert (result.status, result.stdout, result.stderr, result.reads) == (0, b"yes\n", b"", None)
    assert not (bench.project / "out").exists()


def test_without_namespaces_a_static_program_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A jail that says what gg-jail says where user namespaces are forbidden."""
    bench = Bench(tmp_path)
    refusing = tmp_path / "jail"
    refusing.write_text("#!/bin/sh\necho 'gg-jail: namespaces are refused here: no' >&2\nexit 124\n")
    refusing.chmod(0o755)
    monkeypatch.setattr("gg.host.native_programs.jail", lambda: refusing)
    (bench.project / "s.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-static", "-o", "s", "s.c"], cwd=bench.project, check=True)
    with pytest.raises(JailRefused, match="namespaces are refused"):
        bench.run(Case("static", ("./s",)), [], Isolation.PATHMAP)


def test_nothing_counts_that_ran_without_the_path_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """gg was replaced while a command ran: the loader goes on without the library, and the command sees all that there is."""
    bench = Bench(tmp_path)
    (bench.project / "seen").write_text("undeclared\n")
    good = Case("good", ("sh", "-c", "cat seen > made"), ["made"])
    bad = Case("bad", ("sh", "-c", "cat seen; exit 3"), [])
    learnt = [(case, bench.learn(case)) for case in (good, bad)]
    monkeypatch.setattr("gg.host.native_programs.pathmap_library", lambda: str(tmp_path / "gone.so"))
    for case, entries in learnt:
        with pytest.raises(OSError, match="without the path map"):
            bench.run(case, entries, Isolation.PATHMAP)


def test_nothing_counts_whose_later_programs_ran_without_the_path_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gg was replaced between a driver's start and its compiler's."""
    bench = Bench(tmp_path)
    (bench.project / "seen").write_text("undeclared\n")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as shown:
        library = shutil.copy(native_programs.pathmap_library(), shown)
        case = Case("later", ("sh", "-c", f"rm -f {library}; cat seen > made"), ["made"])
        entries = bench.learn(case)
        shutil.copy(native_programs.pathmap_library(), shown)
        monkeypatch.setattr("gg.host.native_programs.pathmap_library", lambda: library)
        with pytest.raises(OSError, match="without the path map"):
            bench.run(case, entries, Isolation.PATHMAP)
