"""The cluster's store of blobs (CAS): gg sends the blobs that it lacks, and reads outputs from it. For any thread.

If two threads need a blob there, one of them sends it. A blob that was seen there is believed to stay until the cluster says
otherwise (`forget`).
"""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import zstandard

from gg.engines.reapi import cluster_errors as errors
from gg.engines.reapi.capabilities import Able
from gg.engines.reapi.grpc_channel import BYTESTREAM, CAS, Channel
from gg.engines.reapi.messages import (
    IDENTITY,
    ZSTD,
    BatchReadBlobsRequest,
    BatchReadBlobsResponse,
    BatchUpdateBlobsRequest,
    BatchUpdateBlobsResponse,
    BlobRead,
    BlobToUpdate,
    Digest,
    FindMissingBlobsRequest,
    FindMissingBlobsResponse,
    ReadRequest,
    ReadResponse,
    Status,
    WriteRequest,
    WriteResponse,
)
from gg.host.machine import memory_total
from gg.schedule.events import Fault

Source = Callable[[], bytes]
ReadBlobs = Callable[[Iterable[Digest]], Mapping[Digest, bytes]]

_ASKED = 10_000  # digests in one question: 700 KB
_PART = 1 << 20
_AROUND = 128  # bytes around a blob in a message
_AROUND_STREAM = 1 << 20  # bytes around a blob in all messages of a stream
_STEP = 1 << 20
_MOST_BLOB = min((memory_total() or 4 << 30) // 4, 16 << 30)  # bytes: outputs are held in memory
_LARGE = 64 << 20  # bytes of one action's outputs: of several such actions at once not all are held
_LEVEL = 3
_SENT = "sent files to its store"
_READ = "read from its store"


def digest_of(data: bytes) -> Digest:
    return Digest(hashlib.sha256(data).hexdigest(), len(data))


class Cas:
    """The CAS of one instance."""

    def __init__(self, channel: Channel, able: Able) -> None:
        self._channel = channel
        self._able = able
        self._instance = channel.cluster.instance
        self._there: set[str] = set()
        self._sending: set[str] = set()
        self._changed = threading.Condition()
        self._held = 0  # bytes of large outputs

    def forget(self) -> None:
        """Believe nothing to be there any more: a blob that was there is gone."""
        self._there = set()

    def ensure(self, wanted: Mapping[Digest, Source]) -> None:
        """Send those of these blobs that are not there. ClusterFault, AccessError, NoRoom, and what a source raises."""
        left = {digest: source for digest, source in wanted.items() if digest.size_bytes}
        while left:
            with self._changed:
                mine = [d for d in left if d.hash not in self._there and d.hash not in self._sending]
                others = [d for d in left if d.hash in self._sending]
                self._sending.update([d.hash for d in mine])
            try:
                self._send([(d, left[d]) for d in self._missing(mine)])
                self._there.update([d.hash for d in mine])
            finally:
                with self._changed:
                    self._sending.difference_update([d.hash for d in mine])
                    self._changed.notify_all()
            self._wait_for(others)
            left = {d: left[d] for d in others if d.hash not in self._there}

    @contextmanager
    def holding(self) -> Iterator[ReadBlobs]:
        """How one action's outputs are read, as by `read`. Large ones wait until those of other actions are let go: at the end of
        this context.
        """
        held = 0

        def read(digests: Iterable[Digest]) -> Mapping[Digest, bytes]:
            nonlocal held
            wanted = dict.fromkeys(digests)
            size = self._size_of(wanted)
            if size > _LARGE and not held:  # nobody waits who has something
                with self._changed:
                    self._changed.wait_for(lambda: not self._held or self._held + size <= _MOST_BLOB)
                    self._held += size
                held = size
            return self.read(wanted)

        try:
            yield read
        finally:
            with self._changed:
                self._held -= held
                self._changed.notify_all()

    def _size_of(self, wanted: Collection[Digest]) -> int:
        """Bytes of all together. ClusterFault if they are too many for this machine's memory."""
        size = sum([max(digest.size_bytes, 0) for digest in wanted])
        if size > _MOST_BLOB and len(wanted) > 1:
            what = f"{self._channel.cluster} says that a command's files have {size} bytes"
            raise errors.ClusterFault(Fault.TOO_BIG, errors.OUT_OF_RANGE, what)
        return size

    def read(self, digests: Iterable[Digest]) -> dict[Digest, bytes]:
        """The bytes of each. ClusterFault, with NOT_FOUND if one is not there."""
        found: dict[Digest, bytes] = {}
        small: list[Digest] = []
        size = 0
        wanted = dict.fromkeys(digests)
        self._size_of(wanted)
        for digest in wanted:
            if digest.size_bytes <= 0:
                found[digest] = b""
            elif digest.size_bytes + _AROUND > self._able.batch:
                found[digest] = self._stream(digest)
            else:
                if size + digest.size_bytes + _AROUND > self._able.batch:
                    found.update(self._batch(small))
                    small, size = [], 0
                small.append(digest)
                size += digest.size_bytes + _AROUND
        found.update(self._batch(small))
        return found

    # Sending

    def _wait_for(self, digests: Sequence[Digest]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not any(d.hash in self._sending for d in digests))

    def _missing(self, digests: Sequence[Digest]) -> list[Digest]:
        missing: list[Digest] = []
        for start in range(0, len(digests), _ASKED):
            some = tuple(digests[start : start + _ASKED])
            answer = self._channel.ask(
                CAS + "FindMissingBlobs",
                FindMissingBlobsRequest(self._instance, some),
                FindMissingBlobsResponse,
                "asked what its store has",
            )
            lacked = set(answer.missing_blob_digests)
            missing += [d for d in some if d in lacked]
        return missing

    def _send(self, blobs: Sequence[tuple[Digest, Source]]) -> None:
        batch: list[BlobToUpdate] = []
        size = 0
        for digest, source in blobs:
            data = source()
            if len(data) + _AROUND > self._able.batch:
                self._write(digest, data)
                continue
            blob = self._packed(digest, data)
            if size + len(blob.data) + _AROUND > self._able.batch:
                self._update(batch)
                batch, size = [], 0
            batch.append(blob)
            size += max(len(blob.data), 0) + _AROUND
        self._update(batch)

    def _packed(self, digest: Digest, data: bytes) -> BlobToUpdate:
        if self._able.zstd_batch and len(data) > _AROUND:
            packed = zstandard.compress(data, _LEVEL)
            if len(packed) < len(data):
                return BlobToUpdate(digest, packed, ZSTD)
        return BlobToUpdate(digest, data)

    def _update(self, batch: Sequence[BlobToUpdate]) -> None:
        if not batch:
            return
        try:
            answer = self._channel.ask(
                CAS + "BatchUpdateBlobs",
                BatchUpdateBlobsRequest(self._instance, tuple(batch)),
                BatchUpdateBlobsResponse,
                _SENT,
            )
        except errors.ClusterFault as error:
            raise self._explained(error) from error
        for each in answer.responses:
            if each.status is not None and each.status.code not in (errors.OK, errors.ALREADY_EXISTS):
                raise self._refused(each.status)

    def _write(self, digest: Digest, data: bytes) -> None:
        """Send a large blob, as a stream."""
        zstd = self._able.zstd
        body = zstandard.compress(data, _LEVEL) if zstd else data
        kind = "compressed-blobs/zstd" if zstd else "blobs"

        def requests() -> Iterator[WriteRequest]:
            name = self._name(f"uploads/{uuid.uuid4()}/{kind}", digest)
            for at in range(0, len(body), _PART):
                yield WriteRequest(name if at == 0 else "", at, at + _PART >= len(body), body[at : at + _PART])

        try:
            answer = self._channel.write(BYTESTREAM + "Write", requests, WriteResponse, _SENT)
        except errors.ClusterFault as error:
            raise self._explained(error) from error
        if answer.committed_size not in (-1, len(body), digest.size_bytes):
            raise errors.ClusterFault(
                Fault.INFRA,
                errors.INTERNAL,
                f"{self._channel.cluster} kept {answer.committed_size} of {len(body)} bytes",
            )

    def _explained(self, error: errors.ClusterFault) -> Exception:
        if errors.is_full(error.code, error.what):
            return errors.full(error.what.partition(": ")[2], self._channel.cluster)
        return error

    def _refused(self, status: Status) -> Exception:
        if errors.is_full(status.code, status.message):
            return errors.full(status.message, self._channel.cluster)
        return errors.error_of(status.code, status.message, _SENT, self._channel.cluster)

    # Reading

    def _batch(self, digests: Sequence[Digest]) -> dict[Digest, bytes]:
        if not digests:
            return {}
        accepted = (IDENTITY, ZSTD) if self._able.zstd else ()
        answer = self._channel.ask(
            CAS + "BatchReadBlobs",
            BatchReadBlobsRequest(self._instance, tuple(digests), accepted),
            BatchReadBlobsResponse,
            _READ,
        )
        given = {each.digest: each for each in answer.responses}
        if not given.keys() >= set(digests):
            raise errors.ClusterFault(Fault.INFRA, errors.NOT_FOUND, f"{self._channel.cluster} answers for other blobs")
        return {digest: self._checked(given[digest]) for digest in digests}

    def _checked(self, each: BlobRead) -> bytes:
        status, digest = each.status or Status(), each.digest or Digest()
        if status.code:
            raise errors.error_of(status.code, status.message, _READ, self._channel.cluster)
        return self._verified(digest, _expanded(each.data, digest) if each.compressor == ZSTD else each.data)

    def _stream(self, digest: Digest) -> bytes:
        zstd = self._able.zstd
        name = self._name("compressed-blobs/zstd" if zstd else "blobs", digest)
        if digest.size_bytes > _MOST_BLOB:
            what = f"{self._channel.cluster} says that a file has {digest.size_bytes} bytes"
            raise errors.ClusterFault(Fault.TOO_BIG, errors.OUT_OF_RANGE, what)
        most = digest.size_bytes + digest.size_bytes // 64 + _AROUND_STREAM
        parts = self._channel.read(BYTESTREAM + "Read", ReadRequest(name), ReadResponse, _READ, most)
        data = b"".join([part.data for part in parts])
        return self._verified(digest, _expanded(data, digest) if zstd else data)

    def _verified(self, digest: Digest, data: bytes) -> bytes:
        if digest_of(data) != digest:
            what = f"{self._channel.cluster} gave other bytes than those of {digest.hash}"
            raise errors.ClusterFault(Fault.INFRA, errors.NOT_FOUND, what)
        return data

    def _name(self, kind: str, digest: Digest) -> str:
        start = f"{self._instance}/" if self._instance else ""
        return f"{start}{kind}/{digest.hash}/{digest.size_bytes}"


def _expanded(data: bytes, digest: Digest) -> bytes:
    """The bytes, one more than the digest's size at most. Of damaged data none are left, which have another digest."""
    expanded = bytearray()
    try:
        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
            while len(expanded) <= digest.size_bytes and (part := reader.read(_STEP)):  # it makes room for all at once
                expanded += part
    except zstandard.ZstdError:
        return b""
    return bytes(expanded)
