"""The measuring tools tell the truth: what a tree holds, what a stand-in notes and creates, what a recipe says."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks import standin
from benchmarks.packages import recipe, report, sources, summary, tree
from benchmarks.packages.share import Share
from benchmarks.packages.stages import Result
from benchmarks.timing import CommandFailed, run
from gg.core.codec import decode_thunk
from gg.core.ids import BlobId
from gg.core.reduction import decode_reduction
from gg.core.thunk import Made
from gg.run.expand import Groups
from gg.store.base import Kind
from gg.store.directory import DirectoryStore
from gg.wire.reply import Succeeded, asked, decode_outputs, decode_reply
from gg.wire.request import BucketLocation, Limits, Request, Task, encode_request

SOURCE = "int main(void) { return 0; }\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of each kind."""
    where = tmp_path_factory.mktemp("made")
    (where / "main.c").write_text(SOURCE)
    for command in ("gcc -c main.c", "ar rcs lib.a main.o", "gcc main.o -o prog", "gcc -shared main.c -fPIC -o lib.so"):
        subprocess.run(command.split(), cwd=where, check=True)
    subprocess.run(["gcc", "-static", "main.o", "-o", "static"], cwd=where, check=True)
    (where / "link").symlink_to("prog")
    return where


@pytest.fixture
def built(made: Path, tmp_path: Path) -> Path:
    """A copy of those files that a test may spoil."""
    return Path(shutil.copytree(made, tmp_path / "built", symlinks=True))


def test_kinds_are_told_by_content(built: Path) -> None:
    found = tree.count(tree.snapshot(built))
    assert found == {"archive": 1, "executable": 2, "link": 1, "object": 1, "other": 1, "shared": 1}


def test_equal_trees_do_not_differ(built: Path) -> None:
    assert not tree.compare(tree.snapshot(built), tree.snapshot(built))


def test_each_difference_is_seen(built: Path) -> None:
    before = tree.snapshot(built)
    (built / "main.o").write_bytes((built / "main.o").read_bytes()[:-1] + b"x")
    (built / "lib.a").chmod(0o755)
    (built / "prog").unlink()
    (built / "new").touch()
    (built / "link").unlink()
    (built / "link").symlink_to("static")
    differences = tree.compare(before, tree.snapshot(built))
    assert differences.lines() == ["missing: prog", "extra: new", "differs: link", "differs: main.o", "mode: lib.a"]
    assert not differences.without(differences.paths())


def test_a_rewrite_with_equal_bytes_is_a_change(built: Path) -> None:
    before = tree.snapshot(built)
    data = (built / "main.o").read_bytes()
    (built / "main.o").unlink()
    (built / "main.o").write_bytes(data)
    after = tree.snapshot(built)
    assert list(tree.changed(before, after)) == [b"main.o"]
    assert not tree.compare(before, after)


def test_a_placeholder_is_told_from_other_files(tmp_path: Path) -> None:
    from gg.core.placeholder import SIZE, PlaceholderWriter

    (tmp_path / "yes").write_bytes(PlaceholderWriter(b"/launcher").encode(bytes(32), 0))
    (tmp_path / "no").write_bytes(bytes(SIZE))
    assert summary.is_placeholder(tmp_path / "yes")
    assert not summary.is_placeholder(tmp_path / "no")


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return standin.build(tmp_path_factory.mktemp("standin"))


def _env(stand_ins: Path, **extra: str) -> dict[str, str]:
    return os.environ | {"PATH": f"{stand_ins}:{os.environ['PATH']}"} | extra


def test_calls_are_noted_and_made(stand_ins: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    (tmp_path / "a b.c").write_text(SOURCE)
    command = ["gcc", "a b.c", "-o", "prog"]
    subprocess.run(command, cwd=tmp_path, env=_env(stand_ins, GG_COMMAND_LOG=str(log)), check=True)
    assert [call.argv for call in standin.read(log)] == [(b"gcc", b"a b.c", b"-o", b"prog")]
    assert standin.read(log)[0].cwd == os.fsencode(tmp_path)
    assert tree.snapshot(tmp_path)[b"prog"].kind is tree.Kind.EXECUTABLE


def test_null_tools_only_create_outputs(stand_ins: Path, tmp_path: Path) -> None:
    env = _env(stand_ins, GG_NULL_TOOLS="1")
    (tmp_path / "a.c").write_text(SOURCE)
    for command in ("gcc -MD -MT x.o -c a.c -o a.o", "ar rcs lib.a a.o", "gcc a.o -o prog", "ranlib lib.a"):
        subprocess.run(command.split(), cwd=tmp_path, env=env, check=True)
    assert (tmp_path / "a.o").read_bytes() == b""
    assert (tmp_path / "a.d").read_text() == "x.o: a.c\n"
    assert (tmp_path / "lib.a").read_bytes() == b"!<arch>\n"
    assert subprocess.run([tmp_path / "prog"], check=False).returncode == 0


def test_null_tools_pass_questions_on(stand_ins: Path, tmp_path: Path) -> None:
    said = subprocess.run(
        ["gcc", "-dumpmachine"], env=_env(stand_ins, GG_NULL_TOOLS="1"), capture_output=True, check=True
    )
    assert said.stdout == subprocess.run(["gcc", "-dumpmachine"], capture_output=True, check=True).stdout


def test_all_recipes_are_well_formed() -> None:
    known = recipe.load()
    assert {"mosh", "zlib", "lua5.4", "hello", "ffmpeg", "curl", "capnproto", "wayland", "ninja-build"} <= known.keys()
    assert all(one.build and one.again and one.smoke and one.partial for one in known.values())


def test_a_recipe_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('[x]\nversion = "1"\nbuild = "make"\nsmoek = ["x"]\n')
    with pytest.raises(recipe.RecipeError, match="smoek"):
        recipe.load(tmp_path / "r.toml")


@pytest.mark.parametrize("member", ["x-1", "./x-1", "-C x-1 file"])
def test_unpacking_starts_clean(tmp_path: Path, member: str) -> None:
    (tmp_path / "x-1").mkdir()
    (tmp_path / "x-1" / "file").write_text("content")
    subprocess.run(["tar", "czf", "x_1.orig.tar.gz", *member.split()], cwd=tmp_path, check=True)
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "old").touch()
    sources.unpack(tmp_path / "x_1.orig.tar.gz", tmp_path / "into")
    assert os.listdir(tmp_path / "into") == ["file"]
    assert not (tmp_path / "into.unpacking").exists()


def test_tables_of_two_runs_are_merged(tmp_path: Path) -> None:
    def row(name: str, identical: int) -> Result:
        return Result(name, "1", identical=identical, shares={"compiles": Share(identical, 1)})

    earlier = tmp_path / "earlier.json"
    earlier.write_text(json.dumps(report.as_json({}, 2, [row("one", 1), row("two", 2)])))
    merged = report.merged(earlier, [row("two", 5), row("three", 3)])
    assert merged == [row("one", 1), row("two", 5), row("three", 3)]


def test_a_source_package_counts_with_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "download").mkdir()
    lines = [f" {'0' * 64} 7 {name}" for name in ("x_1.orig.tar.gz", "x_1-1.debian.tar.xz")]
    described = tmp_path / "download" / "x_1-1.dsc"
    described.write_text("\n".join(["Checksums-Sha256:", *lines, ""]))
    for name in ("x_1.orig.tar.gz", "x_1-1.debian.tar.xz"):
        assert sources.described(tmp_path / "download", "x") is None
        (tmp_path / "download" / name).touch()
    assert sources.fetch_debian(tmp_path, "x") == described


def test_a_failing_command_is_told(tmp_path: Path) -> None:
    assert run("exit 3", tmp_path).status == 3
    with pytest.raises(CommandFailed, match="said this"):
        run("echo said this; exit 3", tmp_path, output=tmp_path / "log", check=True)


DEB822 = """Types: deb
URIs: http://one.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/one.gpg

# a comment
Types: deb-src
URIs: http://source.example/debian
Suites: bookworm

Types: deb
URIs: http://two.example
Suites: stable
Components: main
"""

ONE_LINE = """# deb http://off.example/ubuntu bookworm main
deb http://three.example/ubuntu bookworm-security main universe # why
deb [arch=amd64 signed-by=/k.gpg] https://four.example/x bookworm main
deb-src http://five.example bookworm main
deb http://six.example trixie main
"""


def test_sources_come_from_the_systems_own_release(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (tmp_path / "sources.list.d" / "a.sources").write_text(DEB822)
    (tmp_path / "sources.list.d" / "b.list.save").write_text("deb http://seven.example bookworm main\n")
    assert sources.entries("bookworm", tmp_path) == (
        "http://three.example/ubuntu bookworm-security main universe",
        "[arch=amd64 signed-by=/k.gpg] https://four.example/x bookworm main",
        "[signed-by=/usr/share/keyrings/one.gpg] http://one.example/debian bookworm main contrib",
        "[signed-by=/usr/share/keyrings/one.gpg] http://one.example/debian bookworm-updates main contrib",
    )
    assert sources.entries("", tmp_path) == ()


def test_the_coordinators_worker_answers_as_ours_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its replies are put together by hand; the coordinator takes them for what they are."""
    from benchmarks.coordinator import worker, workload

    paths = workload.make(tmp_path / "tree", 3)
    workload.tell(tmp_path / "told", paths, 0.0)
    monkeypatch.setenv("GG_BENCH", str(tmp_path / "told"))
    for cached in (worker._told, worker._around):
        cached.cache_clear()
    with DirectoryStore(tmp_path / ".cache" / "gg" / "store") as store:
        groups = Groups(store)
        found = store.get([each.key for each in store.keys(Kind.THUNK)])
        made: set[bytes] = set()
        for data in found.values():
            thunk = decode_thunk(data)
            request = encode_request(Request((Task(data, ()),), (), BucketLocation(), Limits(1000)))
            answer = worker.answer(b'"' + base64.b64encode(request) + b'"')
            assert isinstance(answer, bytes)
            reply = decode_reply(base64.b64decode(answer[1:-1]), asked(request))
            (result,) = reply.results
            assert isinstance(result, Succeeded)
            universe = groups.universe(thunk)
            reduction = decode_reduction(result.reduction, universe)
            (output,) = decode_outputs(reply.objects)
            assert reduction.outputs == (Made(BlobId.of(output)),)
            assert reduction.reads == universe
            made.add(output)
    assert len(made) == 3
    for cached in (worker._told, worker._around):
        cached.cache_clear()
