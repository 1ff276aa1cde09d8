"""The conformance suite on S3 stores, over HTTP, against two servers that are not ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gg.aws.sign import Credentials
from gg.store.base import Store
from tests.conformance.store_suite import StoreSuite
from tests.servers.s3 import Place, moto_server, place_on, secret_key
from tests.servers.seaweed import Seaweed


@pytest.fixture(scope="session")
def shared_bucket(seaweed_server: Seaweed) -> str:
    return seaweed_server.make_bucket()


@pytest.fixture(scope="session")
def moto_port() -> Iterator[int]:
    with moto_server() as port:
        yield port


class TestSeaweed(StoreSuite):
    @pytest.fixture
    def store(
        self, seaweed_server: Seaweed, shared_bucket: str, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Store]:
        with place_on(seaweed_server, shared_bucket, tmp_path_factory.mktemp("s3")) as place:
            yield place.store(secret_key())


class TestMoto(StoreSuite):
    @pytest.fixture
    def store(self, moto_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
        import boto3

        client = boto3.session.Session().client(
            "s3", endpoint_url=f"http://127.0.0.1:{moto_port}", aws_access_key_id="a", aws_secret_access_key="b",
            region_name="us-east-1",
        )  # fmt: skip
        client.create_bucket(Bucket="moto")
        directory: Path = tmp_path_factory.mktemp("s3")
        place = Place(moto_port, "moto", Credentials("a", "b"), directory)
        yield place.store(secret_key())
        place.close()
