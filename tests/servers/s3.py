"""Stores over S3 servers on loopback, for tests: a bucket each, keys each, nothing from the environment."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gg.aws.http import Endpoint
from gg.aws.sign import Credentials
from gg.share.keys import Keyring, PublicKey, SecretKey
from gg.share.s3.bucket import S3Bucket
from gg.share.s3.remote import Remote
from gg.share.s3.store import S3Store
from gg.share.s3.uri import StoreUri
from tests.servers.seaweed import REGION, Seaweed
from tests.support.fixed_keys import FixedKeys

_numbers = itertools.count()


def secret_key(name: str = "tester") -> SecretKey:
    return SecretKey(name, os.urandom(32))


class Place:
    """A prefix in a bucket of a server, and stores there: each as if on a machine of its own."""

    def __init__(self, port: int, bucket: str, credentials: Credentials, directory: Path) -> None:
        self.port = port
        self.bucket = bucket
        self.credentials = credentials
        self.prefix = f"p{next(_numbers)}"
        self._directory = directory
        self._opened: list[Remote] = []

    def where(self, **changes: object) -> StoreUri:
        return StoreUri(self.bucket, self.prefix, REGION)._replace(**changes)  # type: ignore[arg-type]

    def raw(self, *, port: int | None = None, credentials: Credentials | None = None, **changes: object) -> S3Bucket:
        """The bucket itself."""
        endpoint = Endpoint("127.0.0.1", port or self.port)
        return S3Bucket(self.where(**changes), endpoint, REGION, FixedKeys(credentials or self.credentials))

    def remote(
        self,
        key: SecretKey | None = None,
        *,
        trusted: tuple[PublicKey, ...] = (),
        port: int | None = None,
        catalog: str | None = None,
        clock: Callable[[], float] = time.time,
        **changes: object,
    ) -> Remote:
        """A machine's view of the store. `catalog` names its memory: the same name is the same machine."""
        path = os.fsencode(self._directory / (catalog or f"catalog{next(_numbers)}.db"))
        remote = Remote(
            self.where(**changes),
            path,
            Keyring.of(key, trusted),
            clock=clock,
            open_bucket=lambda: self.raw(port=port, **changes),  # type: ignore[arg-type]
        )
        self._opened.append(remote)
        return remote

    def store(self, key: SecretKey | None = None, **options: object) -> S3Store:
        return S3Store(self.remote(key, **options))  # type: ignore[arg-type]

    def close(self) -> None:
        for remote in self._opened:
            remote.close()


@contextmanager
def place_on(server: Seaweed, bucket: str, directory: Path) -> Iterator[Place]:
    place = Place(server.port, bucket, Credentials(server.access_key, server.secret_key), directory)
    try:
        yield place
    finally:
        place.close()


@contextmanager
def moto_server() -> Iterator[int]:
    """moto's S3 on a free port; the port."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        yield server.get_host_and_port()[1]
    finally:
        server.stop()
        for thread in threading.enumerate():
            if thread.name.startswith("moto"):
                thread.join(5)
