"""A worker's view of S3, over a server on loopback: packs whole and in ranges, blobs alone, trouble that passes."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gg.aws.sign import Credentials
from gg.core.ids import BlobId
from gg.share.s3.pack import Sealed, Writer, blob_name, pack_name
from gg.store.base import Key, blob_key
from gg.wire.request import BucketLocation, PackReference
from gg.worker.disk_cache import Cache
from gg.worker.fetching import S3
from tests.servers.server import Answer, Seen, Server

PLACE = BucketLocation("", "bucket", "pre", "eu-north-1")


class Bucket:
    """Objects by name; answers as S3 does. `trouble` is what is answered first."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.trouble: list[Answer] = []

    def respond(self, seen: Seen) -> Answer:
        if self.trouble:
            return self.trouble.pop()
        name = seen.target.removeprefix("/bucket/pre/")
        if seen.method == "PUT":
            fresh = "if-none-match" in {k.lower() for k in seen.headers}
            return Answer(412) if fresh and name in self.objects else self._put(name, seen.body)
        data = self.objects.get(name)
        if data is None:
            return Answer(404)
        span = {k.lower(): v for k, v in seen.headers.items()}.get("range", "").removeprefix("bytes=")
        if not span:
            return Answer(200, data)
        first, last = map(int, span.split("-"))
        return Answer(206, data[first : last + 1])

    def _put(self, name: str, data: bytes) -> Answer:
        self.objects[name] = data
        return Answer()

    def pack(self, *members: bytes) -> tuple[PackReference, Sealed]:
        out = io.BytesIO()
        writer = Writer(out)
        for data in members:
            writer.add(blob_key(BlobId.of(data)), data)
        sealed = writer.seal()
        self.objects[pack_name(sealed.digest)] = out.getvalue()
        return PackReference(sealed.digest, sealed.contents.size, sealed.contents.tail), sealed


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def server(bucket: Bucket) -> Iterator[Server]:
    with Server(bucket.respond) as running:
        yield running


@pytest.fixture
def s3(server: Server) -> Iterator[S3]:
    made = S3(lambda: Credentials("key", "secret", "token"), server.url)
    yield made
    made.close()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(str(tmp_path / "objects"), 1 << 30)


def keys(*members: bytes) -> list[Key]:
    return [blob_key(BlobId.of(data)) for data in members]


@pytest.mark.parametrize(
    "place",
    [
        BucketLocation("http://[", "bucket", "p", "r"),
        BucketLocation("http://here:99999999", "bucket", "p", "r"),
        BucketLocation("http://here:x", "bucket", "p", "r"),
        BucketLocation("no-scheme", "bucket", "p", "r"),
        BucketLocation("http://", "bucket", "p", "r"),
        BucketLocation("", "bucket", "p", "r\r\nx-amz-acl: public"),
        BucketLocation("", "bucket", "p", "r", "1\r\n2"),
        BucketLocation("", "localhost/", "p", "r"),
        BucketLocation("", "x@localhost#", "p", "r"),
        BucketLocation("", "bucket", "p", "localhost/"),
        BucketLocation("", "bucket", "p", "@localhost:80#"),
        BucketLocation("", "", "p", "r"),
    ],
)
def test_a_place_that_is_none(s3: S3, place: BucketLocation) -> None:
    """A job is what somebody has put into a queue: its store cannot be read, and the worker goes on."""
    with pytest.raises(OSError, match="place"):
        s3.get(place, "blobs/x")
    with pytest.raises(OSError, match="place"):
        s3.put(place, "blobs/x", b"x")


@pytest.mark.parametrize("end", ["", "/"])
def test_a_job_names_no_other_service(bucket: Bucket, server: Server, end: str) -> None:
    """Else a thunk's own walls would be none: who sends it has its worker speak to any host of its network."""
    own = S3(lambda: Credentials("key", "secret", "token"), server.url, only_there=True)
    own.put(PLACE._replace(endpoint=server.url + end), "blobs/x", b"x")
    with socket.create_server(("127.0.0.1", 0)) as other:
        url = f"http://127.0.0.1:{other.getsockname()[1]}{end}"
        for place in (PLACE._replace(endpoint=url), PLACE._replace(endpoint="http://169.254.169.254")):
            with pytest.raises(OSError, match="is not this worker's"):
                own.get(place, "blobs/x")
            with pytest.raises(OSError, match="is not this worker's"):
                own.put(place, "blobs/x", b"x")
        other.settimeout(0.1)
        with pytest.raises(TimeoutError):
            other.accept()
    own.close()


def test_a_small_pack_comes_whole(bucket: Bucket, s3: S3, cache: Cache) -> None:
    pack, _ = bucket.pack(b"one", b"two")
    s3.connect(PLACE, (pack,)).fetch(keys(b"one"), cache)
    assert cache.get(keys(b"two")[0]) == b"two"
    assert s3.requests == 1


def test_of_a_large_pack_what_is_wanted(bucket: Bucket, s3: S3, cache: Cache) -> None:
    members = [os.urandom(700_000 + i) for i in range(8)] + [os.urandom(9_000_000)]
    pack, _ = bucket.pack(*members)
    source = s3.connect(PLACE, (pack,))
    source.fetch(keys(members[2], members[6]), cache)
    assert [cache.get(k) for k in keys(members[2], members[6])] == [members[2], members[6]]
    assert not cache.have(keys(members[8])[0])
    assert source.requests <= 4
    again = s3.connect(PLACE, (pack,))
    again.fetch(keys(members[8]), cache)
    assert cache.get(keys(members[8])[0]) == members[8]
    assert [cache.get(k) for k in keys(*members)] == members, "it was most of the pack, so all of it came"


def test_alone_and_nowhere(bucket: Bucket, s3: S3, cache: Cache) -> None:
    bucket.objects[blob_name(keys(b"alone")[0].digest)] = b"alone"
    bucket.objects[blob_name(keys(b"damaged")[0].digest)] = b"other"
    s3.connect(PLACE, ()).fetch(keys(b"alone", b"damaged", b"nowhere"), cache)
    assert [cache.have(k) for k in keys(b"alone", b"damaged", b"nowhere")] == [True, False, False]


def test_a_pack_that_is_gone_or_damaged_is_left_out(bucket: Bucket, s3: S3, cache: Cache) -> None:
    gone, _ = bucket.pack(b"gone")
    damaged, sealed = bucket.pack(b"damaged" * 10)
    del bucket.objects[pack_name(gone.digest)]
    name = pack_name(sealed.digest)
    bucket.objects[name] = bucket.objects[name][:12] + b"XXXX" + bucket.objects[name][16:]
    s3.connect(PLACE, (gone, damaged)).fetch(keys(b"gone", b"damaged" * 10), cache)
    assert not [k for k in keys(b"gone", b"damaged" * 10) if cache.have(k)]


@pytest.mark.parametrize(
    "answer", [Answer(503), Answer(500), Answer(raw=b"", close=True), Answer(raw=b"HTTP/1.1 2", close=True)]
)
def test_trouble_passes(answer: Answer, bucket: Bucket, s3: S3, cache: Cache) -> None:
    pack, _ = bucket.pack(b"one")
    bucket.trouble = [answer]
    s3.connect(PLACE, (pack,)).fetch(keys(b"one"), cache)
    assert cache.get(keys(b"one")[0]) == b"one"


def test_trouble_that_stays_is_told(bucket: Bucket, s3: S3, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gg.worker.fetching._PAUSE_S", 0.0)
    pack, _ = bucket.pack(b"one")
    bucket.trouble = [Answer(503)] * 10
    with pytest.raises(OSError, match="503"):
        s3.connect(PLACE, (pack,)).fetch(keys(b"one"), cache)


def test_outputs_are_put_once(bucket: Bucket, s3: S3, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"made")
    source = s3.connect(PLACE, ())
    for _ in range(2):
        source.put_file(keys(b"made")[0], str(tmp_path / "out"))
    assert bucket.objects == {blob_name(keys(b"made")[0].digest): b"made"}


@pytest.mark.parametrize("wrong", [b"", b"other", b"right and more", b"righ"])
def test_wrong_bytes_under_a_blobs_name_are_replaced(bucket: Bucket, s3: S3, tmp_path: Path, wrong: bytes) -> None:
    """Else whoever can write to the bucket could have an output never arrive."""
    (key,) = keys(b"right")
    bucket.objects[blob_name(key.digest)] = wrong
    path = tmp_path / "output"
    path.write_bytes(b"right")
    s3.connect(PLACE, ()).put_file(key, str(path))
    assert bucket.objects[blob_name(key.digest)] == b"right"


def test_each_request_names_the_owner_of_the_bucket(bucket: Bucket, s3: S3, server: Server, tmp_path: Path) -> None:
    """Signed, or somebody on the way could leave it out."""
    mine = PLACE._replace(owner="123456789012")
    pack, _ = bucket.pack(b"one", os.urandom(3_000_000))
    bucket.objects[blob_name(keys(b"output")[0].digest)] = b"of somebody else"
    (tmp_path / "output").write_bytes(b"output")
    s3.connect(mine, (pack,)).fetch(keys(b"one", b"nowhere"), Cache(str(tmp_path / "objects"), 1 << 30))
    s3.connect(mine, ()).put_file(keys(b"output")[0], str(tmp_path / "output"))
    asked = [{name.lower(): value for name, value in seen.headers.items()} for seen in server.seen]
    assert {seen.method for seen in server.seen} == {"GET", "PUT"}
    assert {headers["x-amz-expected-bucket-owner"] for headers in asked} == {"123456789012"}
    assert all(";x-amz-expected-bucket-owner" in headers["authorization"] for headers in asked)
    s3.connect(PLACE, (pack,)).fetch(keys(b"nowhere"), Cache(str(tmp_path / "others"), 1 << 30))
    assert "x-amz-expected-bucket-owner" not in {name.lower() for name in server.seen[-1].headers}, "others know none"


def test_an_object_that_is_larger_than_said_is_not_read(bucket: Bucket, s3: S3, cache: Cache) -> None:
    pack, _ = bucket.pack(b"one")
    bucket.objects[pack_name(pack.digest)] = bytes(40 << 20)
    s3.connect(PLACE, (pack,)).fetch(keys(b"one"), cache)
    assert not cache.have(keys(b"one")[0])
    bucket.pack(b"two")
    fine, _ = bucket.pack(b"two")
    s3.connect(PLACE, (fine,)).fetch(keys(b"two"), cache)
    assert cache.get(keys(b"two")[0]) == b"two"
