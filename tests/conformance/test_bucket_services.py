"""The store's conformance suite, and the rules of a bucket service, on what obstore reaches: in memory, and S3 over HTTP.

obstore has no server of Google's or Azure's to be tried with; its classes for all services share one interface.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from obstore.store import MemoryStore
from obstore.store import S3Store as ObstoreS3

from gg.errors import AccessError, SetupError, UsageError
from gg.share.bucket_service import BucketService, ListedObject
from gg.share.keys import Keyring
from gg.share.obstore_bucket import ObstoreBucket
from gg.share.s3.remote import Remote
from gg.share.s3.store import S3Store
from gg.share.s3.uri import StoreUri, parse
from gg.store.base import Store
from tests.conformance.store_suite import StoreSuite
from tests.servers.s3 import place_on, secret_key
from tests.servers.seaweed import Seaweed

GOOGLES = StoreUri("team", "p", scheme="gs")


@pytest.fixture(scope="session")
def bucket_of_all(seaweed_server: Seaweed) -> str:
    return seaweed_server.make_bucket()


def on_seaweed(server: Seaweed, bucket: str, prefix: str, secret: str | None = None) -> ObstoreS3:
    return ObstoreS3(
        bucket, prefix=prefix, endpoint=f"http://127.0.0.1:{server.port}", region="us-east-1",
        access_key_id=server.access_key, secret_access_key=secret or server.secret_key,
        client_options={"allow_http": True}, retry_config={"max_retries": 1},
    )  # fmt: skip


class TestStoreInMemory(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
        catalog = os.fsencode(tmp_path_factory.mktemp("obstore") / "catalog.db")
        inside = MemoryStore()
        with_key = Keyring.of(secret_key(), ())
        remote = Remote(GOOGLES, catalog, with_key, open_bucket=lambda: ObstoreBucket(GOOGLES, inside))
        yield S3Store(remote)
        remote.close()


@pytest.fixture(params=["memory", "obstore's S3", "S3"])
def opened(
    request: pytest.FixtureRequest, seaweed_server: Seaweed, bucket_of_all: str, tmp_path: Path
) -> Iterator[Callable[[], BucketService]]:
    """Makes the service, in whatever loop asks."""
    with place_on(seaweed_server, bucket_of_all, tmp_path) as place:
        inside = MemoryStore() if request.param == "memory" else on_seaweed(seaweed_server, bucket_of_all, place.prefix)
        yield place.raw if request.param == "S3" else lambda: ObstoreBucket(GOOGLES, inside)


async def every_operation(service: BucketService) -> None:
    assert await service.get("log/a") is None
    assert await service.whole("log/a", most=100) is None
    assert not await service.touch("log/a")
    await service.delete(["log/a"])
    await service.put("log/b", [b"0123", b"456789"])
    await service.put("log/a", b"first")
    await service.put("other/x", b"")
    assert await service.list("log/") == [ListedObject("log/a", 5), ListedObject("log/b", 10)]
    assert await service.list("log/", "log/a") == [ListedObject("log/b", 10)]
    assert await service.get("log/b") == b"0123456789"
    assert await service.get("log/b", most=9) is None
    assert await service.get("other/x") == await service.whole("other/x", most=9) == b""
    assert [await service.get("log/b", span) for span in ((2, 5), (5, 11), (12, 15))] == [b"234", None, None]
    assert await service.whole("log/b", most=10) == b"0123456789"
    assert await service.whole("log/b", most=9) is None
    await service.put("log/a", b"first", unique=True)
    await service.put("log/a", b"other", unique=True)  # damaged, or somebody else's: its name says what belongs there
    assert await service.get("log/a") == b"other"
    await service.put("log/a", b"third", unique=False)
    assert await service.get("log/a") == b"third"
    assert await service.touch("log/a")
    assert await service.get("log/a") == b"third"
    large = os.urandom((16 << 20) + 5)
    await service.put_large("packs/l", lambda at, size: large[at : at + size], len(large))
    assert await service.whole("packs/l", most=len(large)) == large
    assert await service.get("packs/l", (len(large) - 5, len(large))) == large[-5:]
    await service.delete(["log/a", "log/none", "log/b"])
    assert await service.list("log/") == []
    assert {"GET", "PUT", "LIST", "DELETE"} <= service.calls.keys()
    assert service.received >= len(large)


def test_every_operation(opened: Callable[[], BucketService]) -> None:
    async def run() -> None:
        service = opened()
        try:
            await every_operation(service)
        finally:
            await service.close()

    asyncio.run(run())


def test_a_wrong_secret_is_told(seaweed_server: Seaweed, bucket_of_all: str) -> None:
    async def ask() -> None:
        await ObstoreBucket(GOOGLES, on_seaweed(seaweed_server, bucket_of_all, "p", "wrong")).get("log/a")

    with pytest.raises(AccessError, match=r"^cannot read gs://team/p: [^\n]*$") as caught:
        asyncio.run(ask())
    assert "GOOGLE_APPLICATION_CREDENTIALS" in caught.value.hint


def test_azure_without_an_account_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(SetupError, match=r"^cannot use az://team/p: [^\n]*Account") as caught:
        ObstoreBucket.open(parse("az://team/p"))
    assert "AZURE_STORAGE_ACCOUNT_NAME" in caught.value.hint


def test_uris_of_other_services() -> None:
    assert parse("gs://team/p/q?expire=3&mode=read") == StoreUri(
        "team", "p/q", expire_s=3 * 86400.0, writable=False, scheme="gs"
    )
    assert str(parse("az://team/p")) == "az://team/p"
    for wrong in ("gs://team/p?region=x", "az://team/p?owner=123456789012", "ftp://team/p"):
        with pytest.raises(UsageError):
            parse(wrong)
