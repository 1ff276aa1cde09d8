"""The layer before any call: what is recorded for a tool, what is in the zip, what is too much; and the worker's side of it."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from gg.core.ids import BlobId, SandboxPath
from gg.core.thunk import File
from gg.deploy.layer import MOST_UNZIPPED, Layer, check_way, plan
from gg.deploy.samples import sample
from gg.deploy.toolchain import Object, ToolObjects, tools
from gg.errors import StoreError, UsageError
from gg.store.base import Key, Kind, blob_key
from gg.worker.disk_cache import Cache
from gg.worker.layer_objects import LayerObjects

_MB = 1_000_000


def _tool(name: str, **sizes: int) -> ToolObjects:
    return ToolObjects(name, {each: Object(size * _MB, b"/bin/x") for each, size in sizes.items()})


# What is recorded


def test_a_c_compiler_is_asked_for_c_and_a_cxx_compiler_for_cxx() -> None:
    for command in (("gcc",), ("/opt/x/bin/clang-14", "-m32"), ("aarch64-linux-gnu-gcc-12",)):
        asked = sample(command)
        assert list(asked.files) == ["sample.c"]
        assert asked.commands[0] == (*command, "-c", "sample.c", "-o", "sample.o")
        assert asked.commands[1][-3:] == ("-lm", "-o", "sample")
    assert list(sample(("g++",)).files) == ["sample.cc"]
    assert sample(("/usr/bin/ar",)).commands == (("/usr/bin/ar", "rcs", "made.a", "empty.o"),)


@pytest.mark.parametrize("name", ["make", "cpp", "gfortran", "nm", "python3"])
def test_what_never_runs_in_a_function_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"gg does not send '{name}' to functions"):
        sample((name,))


@pytest.mark.parametrize(
    ("given", "text"),
    [(" , ", "no compiler is named"), ("gcc-99.9", "no program 'gcc-99.9' on PATH"), ("gcc '", "is no command")],
)
def test_wrong_lists_are_told(given: str, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        tools(given)


def test_what_a_compiler_consists_of_is_what_its_thunks_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GG_KNOWN_AS", "/nowhere")  # the user's settings are not the sample's
    compiler, archiver = tools("gcc,ar")
    paths = {os.fsdecode(each.path) for each in compiler.objects.values()}
    assert {"cc1", "stdio.h", "libc.so.6", "crti.o"} <= {os.path.basename(path) for path in paths}
    assert not [path for path in paths if "sample" in path]
    assert all(each.size < 10 * _MB for each in archiver.objects.values()), "no plugins"
    assert [name for name in archiver.objects if name.endswith(".group")]
    again = tools("gcc")[0]
    assert Layer((), again.objects).digest == Layer((), compiler.objects).digest
    assert all((name.endswith(".x")) == each.executable for name, each in compiler.objects.items())


# What is in the layer


def test_the_zip_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    program, group = tmp_path / "program", b"a group"
    program.write_bytes(b"\x7fELF")
    names = BlobId.of(b"\x7fELF").digest.hex() + ".x", BlobId.of(group).digest.hex() + ".group"
    there = {names[0]: Object(4, os.fsencode(program), executable=True), names[1]: Object(len(group), b"", group)}
    layer, other = Layer(("t",), there), Layer(("u",), dict(reversed(there.items())))
    assert layer.zip() == other.zip()
    assert layer.digest == other.digest != Layer(("t",), {names[1]: there[names[1]]}).digest
    with zipfile.ZipFile(io.BytesIO(layer.zip())) as archive:
        modes = {info.filename: oct(info.external_attr >> 16) for info in archive.infolist()}
    assert modes == {f"gg/objects/{names[0]}": "0o100755", f"gg/objects/{names[1]}": "0o100644"}
    program.write_bytes(b"\x7fELG")
    with pytest.raises(StoreError, match="has changed meanwhile"):
        layer.zip()


def test_what_is_shared_counts_once_and_is_told() -> None:
    layer = plan([_tool("gcc", libc=2, cc1=30), _tool("g++", libc=2, cc1plus=33)], 10 * _MB)
    assert (layer.size, layer.told) == (65 * _MB, ("gcc 32.0 MB", "g++ +33.0 MB"))
    assert layer.description.startswith(f"{layer.mark}: gcc 32.0 MB")
    assert len(plan([_tool(f"tool-{n:03}", a=1) for n in range(99)], 0).description) == 256


def test_too_much_is_refused_with_what_to_leave_out() -> None:
    gcc, clang, lto = (
        _tool("gcc", libc=2, cc1=30),
        _tool("clang", libc=2, llvm=215),
        _tool("gcc -flto", libc=2, lto1=40),
    )
    plan([gcc, clang], MOST_UNZIPPED - 247 * _MB)
    with pytest.raises(
        UsageError, match=r"the layer has 287\.0 MB and the function 10\.0 MB, and Lambda takes 262\.1 MB"
    ) as e:
        plan([gcc, clang, lto], 10 * _MB)
    assert e.value.hint == "leave out gcc -flto, which brings 40.0 MB"
    with pytest.raises(UsageError) as e:
        plan([gcc, clang], MOST_UNZIPPED - 10 * _MB)
    assert e.value.hint == "leave out some: gcc brings 30.0 MB, clang brings 215.0 MB"


def test_a_large_zip_goes_by_a_bucket_in_the_same_region() -> None:
    check_way(50 << 20, "eu-west-1", "us-east-1")
    check_way(51 << 20, "us-east-1", "us-east-1")
    with pytest.raises(UsageError, match="the bucket is in us-east-1, not in eu-west-1"):
        check_way(51 << 20, "eu-west-1", "us-east-1")


# The worker's side


@pytest.fixture
def opt(tmp_path: Path) -> Path:
    """A layer as Lambda unpacks it: a program, a library that is damaged, a header, a group."""
    directory = tmp_path / "opt"
    directory.mkdir()
    for data, suffix, mode in ((b"prog", ".x", 0o555), (b"head", "", 0o444), (b"group", ".group", 0o444)):
        _place(directory, data, suffix, data, mode)
    _place(directory, b"library", "", b"librarY", 0o444)
    _place(directory, b"no program", ".x", b"no program", 0o444)
    return directory


def _place(directory: Path, of: bytes, suffix: str, data: bytes, mode: int) -> None:
    path = directory / (BlobId.of(of).digest.hex() + suffix)
    path.write_bytes(data)
    path.chmod(mode)


def _file(data: bytes, executable: bool = False) -> File:
    return File(SandboxPath(b"/x"), BlobId.of(data), executable)


def test_what_is_in_the_layer_is_used_where_it_stands(opt: Path, tmp_path: Path) -> None:
    cache = Cache(str(tmp_path / "objects"), 100, LayerObjects(str(opt)))
    assert cache.layered
    assert cache.ready(blob_key(BlobId.of(b"prog")), executable=True)
    assert cache.place(_file(b"prog", executable=True)).startswith(f"{opt}/")
    cache.put(blob_key(BlobId.of(b"head")), b"head")
    assert cache.get(blob_key(BlobId.of(b"head"))) == b"head"
    assert cache.get(Key(Kind.GROUP, BlobId.of(b"group").digest)) == b"group"
    cache.trim([], 100)
    assert cache.have(blob_key(BlobId.of(b"head")))
    assert (cache.size, os.listdir(tmp_path / "objects")) == (0, [])


def test_the_other_form_of_what_is_there_is_a_copy(opt: Path, tmp_path: Path) -> None:
    cache = Cache(str(tmp_path / "objects"), 100, LayerObjects(str(opt)))
    assert cache.ready(blob_key(BlobId.of(b"prog")), executable=False, both=True)
    assert cache.ready(blob_key(BlobId.of(b"head")), executable=True)
    assert os.access(cache.place(_file(b"head", executable=True)), os.X_OK)
    assert Path(cache.place(_file(b"prog"))).read_bytes() == b"prog"
    assert cache.place(_file(b"prog")).startswith(str(tmp_path / "objects"))
    assert cache.have(blob_key(BlobId.of(b"head"))), "the layer's own is there still"
    assert cache.size == 8


def test_damage_is_as_good_as_absence(opt: Path, tmp_path: Path) -> None:
    layer = LayerObjects(str(opt))
    cache = Cache(str(tmp_path / "objects"), 100, layer)
    library, program = blob_key(BlobId.of(b"library")), blob_key(BlobId.of(b"no program"))
    place = cache.place(_file(b"library"))
    assert place.startswith(str(tmp_path / "objects"))
    assert not cache.ready(library, executable=False)
    cache.put(library, b"library")
    assert Path(cache.place(_file(b"library"))).read_bytes() == b"library"
    assert cache.place(_file(b"library")) == place
    assert not cache.have(program, executable=True)
    assert layer.damaged == 2


def test_no_layer_is_no_trouble(tmp_path: Path) -> None:
    assert not Cache(str(tmp_path / "objects"), 100, LayerObjects(str(tmp_path / "none"))).layered
    assert LayerObjects("").find("x") is None
