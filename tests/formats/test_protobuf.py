"""gg's messages of the Remote Execution API: the bytes are those of Protocol Buffers' own runtime and the API's descriptions."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gg.engines.reapi import messages as m
from gg.errors import FormatError
from gg.formats.protobuf import Field


@pytest.fixture(scope="module")
def theirs() -> dict[str, Any]:
    """The generated classes that BuildStream brings, by name; of its package nothing else is loaded."""
    spec = importlib.util.find_spec("buildstream")
    assert spec is not None
    package = ModuleType("buildstream")
    package.__path__ = list(spec.submodule_search_locations or ())
    kept = sys.modules.get("buildstream")
    sys.modules["buildstream"] = package
    try:
        names = (
            "build.bazel.remote.execution.v2.remote_execution_pb2",
            "google.bytestream.bytestream_pb2",
            "google.longrunning.operations_pb2",
            "google.rpc.status_pb2",
        )
        found: dict[str, Any] = {}
        for name in names:
            module = importlib.import_module(f"buildstream._protos.{name}")
            for kind, descriptor in module.DESCRIPTOR.message_types_by_name.items():
                found[kind] = getattr(module, kind)
                for inner in descriptor.nested_types:
                    found[f"{kind}.{inner.name}"] = getattr(found[kind], inner.name)
        return found
    finally:
        sys.modules.pop("buildstream")
        if kept is not None:
            sys.modules["buildstream"] = kept


NAMES = {
    m.ActionMessage: "Action",
    m.CommandMessage: "Command",
    m.Property: "Platform.Property",
    m.DirectoryMessage: "Directory",
    m.BlobToUpdate: "BatchUpdateBlobsRequest.Request",
    m.UpdatedBlob: "BatchUpdateBlobsResponse.Response",
    m.BlobRead: "BatchReadBlobsResponse.Response",
}
ELSEWHERE = {m.Anything, m.SemVer, m.Violation, m.PreconditionFailure}  # described in files that it does not bring
RAW = {m.Tree}  # its directories are kept as bytes


@pytest.mark.parametrize("kind", [k for k in m.TABLES if k not in ELSEWHERE], ids=lambda kind: kind.__name__)
def test_fields_are_those_of_the_api(kind: type, theirs: dict[str, Any]) -> None:
    descriptor = theirs[NAMES.get(kind, kind.__name__)].DESCRIPTOR
    by_number = {field.number: field for field in descriptor.fields}
    for name, field in zip(kind._fields, m.TABLES[kind], strict=True):  # type: ignore[attr-defined]
        their = by_number[field.number]
        assert their.name == name
        assert their.is_repeated == field.many
        if field.kind in (int, str):
            assert (their.type in (3, 5, 8, 14)) if field.kind is int else (their.type == 9)
        elif kind not in RAW:
            assert (their.type == 12) if field.kind is bytes else (their.type == 11)


def test_the_same_bytes(theirs: dict[str, Any]) -> None:
    ours = m.DirectoryMessage(
        (m.FileNode("a", m.Digest("ab" * 32, 300), True), m.FileNode("ü", m.Digest("cd" * 32, 0))),
        (m.DirectoryNode("d", m.Digest("ef" * 32, 1 << 40)),),
        (m.SymlinkNode("l", "../x"),),
    )
    made = theirs["Directory"]()
    made.files.add(name="a", is_executable=True).digest.MergeFrom(theirs["Digest"](hash="ab" * 32, size_bytes=300))
    made.files.add(name="ü").digest.MergeFrom(theirs["Digest"](hash="cd" * 32))
    made.directories.add(name="d").digest.MergeFrom(theirs["Digest"](hash="ef" * 32, size_bytes=1 << 40))
    made.symlinks.add(name="l", target="../x")
    assert m.encode(ours) == made.SerializeToString(deterministic=True)
    assert m.decode(m.DirectoryMessage, made.SerializeToString()) == ours


def test_numbers_in_one_field_and_in_many(theirs: dict[str, Any]) -> None:
    """Repeated numbers come packed; unknown fields, nested ones and negative numbers are read over and read."""
    told = theirs["ServerCapabilities"]()
    told.cache_capabilities.digest_functions.extend([1, 9])
    told.cache_capabilities.symlink_absolute_path_strategy = 2
    told.cache_capabilities.max_batch_total_size_bytes = -1
    told.execution_capabilities.exec_enabled = True
    told.low_api_version.major = 2
    found = m.decode(m.ServerCapabilities, told.SerializeToString())
    assert found.cache_capabilities == m.CacheCapabilities((1, 9), -1)
    assert found.execution_capabilities == m.ExecutionCapabilities(0, True)
    assert found.low_api_version == m.SemVer(2)
    request = m.BatchReadBlobsRequest("i", (), (0, 1))
    assert list(theirs["BatchReadBlobsRequest"].FromString(m.encode(request)).acceptable_compressors) == [0, 1]


digests = st.builds(m.Digest, st.text(), st.integers(-(1 << 63), (1 << 63) - 1))
results = st.builds(
    m.ActionResult,
    st.lists(st.builds(m.OutputFile, st.text(), digests, st.booleans(), st.binary())).map(tuple),
    st.just(()),
    st.integers(-5, 300),
    st.binary(),
    st.none() | digests,
    st.binary(),
    st.none() | digests,
)


@given(results)
def test_there_and_back(result: m.ActionResult) -> None:
    assert m.decode(m.ActionResult, m.encode(result)) == result


@given(st.binary())
def test_what_is_none_is_one_error(data: bytes) -> None:
    for kind in (m.Operation, m.ActionResult, m.ServerCapabilities, m.Tree):
        try:
            m.decode(kind, data)
        except FormatError:
            pass


def test_what_is_cut_short() -> None:
    whole = m.encode(m.Operation("name", m.Anything("type", b"value"), True))
    assert m.decode(m.Operation, whole).name == "name"
    for end in (1, 3, len(whole) - 3):
        with pytest.raises(FormatError):
            m.decode(m.Operation, whole[:end])


def test_nested_without_end() -> None:
    from gg.formats.protobuf import decode

    class Deep(tuple):  # type: ignore[type-arg]
        _fields = ("inner",)
        _make = classmethod(lambda cls, values: cls(values))

    data = b""
    for _ in range(100):
        data = (
            b"\x0a" + (bytes([len(data)]) if len(data) < 128 else bytes([len(data) & 127 | 128, len(data) >> 7])) + data
        )
    with pytest.raises(FormatError):
        decode(Deep, data, {Deep: (Field(1, Deep),)})
