"""What a cluster answers may be anything: it is one failure of the attempt, soon, and takes no more memory than it may."""

from __future__ import annotations

import itertools
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
import zstandard

from gg.core.thunk import Reduction
from gg.engines.engine import Failure
from gg.engines.reapi import cas
from gg.engines.reapi import messages as m
from gg.engines.reapi.action import TOLD, WRITTEN
from gg.engines.reapi.capabilities import Able
from gg.engines.reapi.cas import Cas, digest_of
from gg.engines.reapi.cluster import ClusterConfig
from gg.engines.reapi.cluster_errors import ClusterFault
from gg.engines.reapi.grpc_channel import Channel
from gg.errors import FormatError
from tests.conformance.engine_suite import Answers
from tests.servers.reapi_cluster import ReapiCluster
from tests.support.reapi_subject import ReapiSubject

MIB = 1 << 20
WORDS = b"0 0 1 1 1 0 /tmp\n"

T = TypeVar("T")


class HostileCluster(ReapiCluster):
    """Answers what it is told to. `result`: that of each action; it is known already."""

    stream: Iterator[m.ReadResponse]
    read: Sequence[m.BlobRead]
    missing: tuple[m.Digest, ...] = ()
    result: m.ActionResult | None = None

    def _read(self, request: m.ReadRequest, context: Any) -> Iterator[m.ReadResponse]:
        return self.stream

    def _batch_read(self, request: m.BatchReadBlobsRequest, context: Any) -> m.BatchReadBlobsResponse:
        return super()._batch_read(request, context) if self.result else m.BatchReadBlobsResponse(tuple(self.read))

    def _find_missing(self, request: m.FindMissingBlobsRequest, context: Any) -> m.FindMissingBlobsResponse:
        return m.FindMissingBlobsResponse(self.missing)

    def _known(self, request: m.GetActionResultRequest, context: Any) -> m.ActionResult:
        return self.result or super()._known(request, context)

    def keep(self, data: bytes) -> m.Digest:
        digest = digest_of(data)
        self.blobs[digest.hash] = data
        return digest


@pytest.fixture
def cluster() -> Iterator[HostileCluster]:
    made = HostileCluster()
    yield made
    made.close()


def soon(work: Callable[[], T]) -> T:
    """What it gives, in bounds of time. They are those of a busy machine; without bounds there is no end."""
    begun = time.monotonic()
    found = work()
    assert time.monotonic() - begun < 30
    return found


def small(work: Callable[[], T], mib: int = 50) -> T:
    """What it gives, in bounds of memory; ten times as slow as otherwise."""
    tracemalloc.start()
    try:
        found = work()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < mib * MIB
    return found


# The CAS


@pytest.fixture
def open_cas(cluster: HostileCluster) -> Iterator[Callable[[Able], Cas]]:
    channel = Channel(ClusterConfig(f"127.0.0.1:{cluster.port}", secure=False))
    yield lambda able: Cas(channel, able)
    channel.close()


OpenCas = Callable[[Able], Cas]


def fault_of(there: Cas, digest: m.Digest) -> str:
    def read() -> str:
        with pytest.raises(ClusterFault) as raised:
            there.read([digest])
        return raised.value.what

    return small(read)


@pytest.mark.parametrize("part", [b"", b"x" * 100_000])
@pytest.mark.parametrize("zstd", [True, False])
def test_a_stream_without_an_end(
    cluster: HostileCluster, open_cas: OpenCas, monkeypatch: pytest.MonkeyPatch, part: bytes, zstd: bool
) -> None:
    monkeypatch.setattr(cas, "_AROUND_STREAM", 1000)  # messages of nothing count, too
    cluster.stream = itertools.repeat(m.ReadResponse(part))
    assert "no end" in fault_of(open_cas(Able(zstd=zstd, batch=1000)), m.Digest("ab" * 32, 2000))


@pytest.mark.parametrize("size", [1 << 40, (1 << 63) - 1])
def test_a_size_that_no_file_has(cluster: HostileCluster, open_cas: OpenCas, size: int) -> None:
    assert f"says that a file has {size} bytes" in fault_of(open_cas(Able(zstd=True)), m.Digest("ab" * 32, size))


def test_room_is_made_for_what_comes_alone(cluster: HostileCluster, open_cas: OpenCas) -> None:
    """Little that is said to be much, compressed."""
    cluster.stream = iter([m.ReadResponse(zstandard.compress(b"x"))])
    assert "other bytes" in fault_of(open_cas(Able(zstd=True)), m.Digest("ab" * 32, 500 * MIB))


def test_a_blob_that_comes_a_thousand_times(cluster: HostileCluster, open_cas: OpenCas) -> None:
    """Each of them a bomb: one is unpacked."""
    data = bytes(3 * MIB)
    each = m.BlobRead(digest_of(data), zstandard.compress(data), None, m.ZSTD)
    cluster.read = [each] * 10_000
    there = open_cas(Able(zstd=True))
    assert small(lambda: there.read([digest_of(data)])) == {digest_of(data): data}


def test_many_that_are_said_to_be_missing(cluster: HostileCluster, open_cas: OpenCas) -> None:
    """Each of them is looked up at once, and sent once."""
    wanted = {digest_of(b"%d" % n): b"%d" % n for n in range(3000)}
    others = [m.Digest(f"{n:064x}", 1) for n in range(60_000)]
    cluster.missing = (*others, *wanted, *wanted)
    there = open_cas(Able())
    asked: list[m.Digest] = []

    def source(digest: m.Digest) -> Callable[[], bytes]:
        def read() -> bytes:
            asked.append(digest)
            return wanted[digest]

        return read

    soon(lambda: there.ensure({digest: source(digest) for digest in wanted}))
    assert sorted(asked) == sorted(wanted)


# What an action has left


@pytest.fixture
def failed(cluster: HostileCluster, tmp_path: Path) -> Callable[[m.ActionResult], str]:
    """Why an attempt with such a result has failed."""
    subject = ReapiSubject(tmp_path, ClusterConfig(f"127.0.0.1:{cluster.port}", secure=False, relative=True))

    def ask(result: m.ActionResult) -> str:
        cluster.result = result
        engine = subject.engine()
        try:
            found = soon(lambda: Answers(engine, subject.graph).of(subject.concat("out", "text")))
        finally:
            engine.close()
        if isinstance(found, Reduction):
            return ""
        assert isinstance(found, Failure)
        assert found.setup is None
        return found.message

    return ask


Failed = Callable[[m.ActionResult], str]


def _result(cluster: HostileCluster, tree: m.Tree, told: bytes = WORDS) -> m.ActionResult:
    trees = m.OutputDirectory(WRITTEN, cluster.keep(m.encode(tree)))
    return m.ActionResult((m.OutputFile(TOLD, cluster.keep(told)),), (trees,))


def _directory(*names: str, inner: bytes | None = None) -> bytes:
    if inner is None:
        return m.encode(m.DirectoryMessage(tuple([m.FileNode(name, digest_of(b"")) for name in names])))
    return m.encode(m.DirectoryMessage((), tuple([m.DirectoryNode(name, digest_of(inner)) for name in names])))


@pytest.mark.parametrize("leaf", [(), ("file",)])
def test_a_tree_whose_directories_are_in_it_again_and_again(
    cluster: HostileCluster, failed: Failed, leaf: tuple[str, ...]
) -> None:
    """Forty small directories that stand for 2^40."""
    directories = [_directory(*leaf)]
    for _ in range(40):
        directories.append(_directory("a", "b", inner=directories[-1]))
    assert "too big" in failed(_result(cluster, m.Tree(directories[-1], tuple(directories[:-1]))))


def test_a_tree_with_a_large_directory_again_and_again(cluster: HostileCluster, failed: Failed) -> None:
    large = bytes([15 << 3 | 2, 0]) * 100_000  # fields that nobody knows
    root = _directory(*[str(n) for n in range(5000)], inner=large)
    assert not failed(_result(cluster, m.Tree(root, (large,))))


@pytest.mark.parametrize("name", ["x" * 5000, "..", "", "a/b", "a\0b"])
def test_a_tree_with_names_that_are_none(cluster: HostileCluster, failed: Failed, name: str) -> None:
    assert failed(_result(cluster, m.Tree(_directory(name))))


def test_a_tree_that_is_said_to_be_too_big(cluster: HostileCluster, failed: Failed) -> None:
    result = _result(cluster, m.Tree())
    directory = result.output_directories[0]._replace(tree_digest=m.Digest("ab" * 32, 1 << 40))
    assert "too big" in failed(result._replace(output_directories=(directory,)))


def test_many_files_that_are_too_big_together(
    cluster: HostileCluster, failed: Failed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them fits into memory, and is little on its way; none is fetched."""
    monkeypatch.setattr(cas, "_MOST_BLOB", 20 * MIB)
    files = [digest_of(bytes([n]) * (3 * MIB)) for n in range(10)]
    root = m.encode(m.DirectoryMessage(tuple([m.FileNode(f"{n}", each) for n, each in enumerate(files)])))
    assert f"a command's files have {30 * MIB + len(WORDS)} bytes" in failed(_result(cluster, m.Tree(root)))


def test_large_outputs_wait_for_those_of_others(
    cluster: HostileCluster, open_cas: OpenCas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cas, "_LARGE", 1 * MIB)
    monkeypatch.setattr(cas, "_MOST_BLOB", 5 * MIB)
    there, data = open_cas(Able()), bytes(3 * MIB)
    cluster.read = [m.BlobRead(digest_of(data), data)]
    done = threading.Event()

    def other() -> None:
        with there.holding() as read:
            read([digest_of(data)])
            done.set()

    thread = threading.Thread(target=other)
    with there.holding() as read:
        for _ in range(2):  # a result that was lost is read again
            assert read([digest_of(data)]) == {digest_of(data): data}
        thread.start()
        assert not done.wait(0.5)
    assert done.wait(20)
    thread.join()
    assert there._held == 0


@pytest.mark.parametrize("number", [b"9" * 5000, b"9" * 16, b"-1", b"1e3", "\N{SUPERSCRIPT TWO}".encode()])
def test_numbers_that_are_none(cluster: HostileCluster, failed: Failed, number: bytes) -> None:
    for place in (0, 2, 4):
        words = WORDS.split(b" ")
        words[place] = number
        assert "gg-act" in failed(_result(cluster, m.Tree(_directory("out")), b" ".join(words)))


@pytest.mark.parametrize("words", [b"256 0 1 1 1 0 /tmp\n", b"0 999999 1 1 1 0 /tmp\n"])
def test_a_status_that_no_command_has(cluster: HostileCluster, failed: Failed, words: bytes) -> None:
    assert "gg-act" in failed(_result(cluster, m.Tree(_directory("out")), words))


def test_a_message_of_very_many_values() -> None:
    """A list of files, each in two bytes."""
    many = b"\x12\0" * MIB

    def decode() -> None:
        with pytest.raises(FormatError, match="too many values"):
            m.decode(m.ActionResult, many)

    small(decode)
