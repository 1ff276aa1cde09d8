"""Functions that pretend, behind a real Lambda service, and the lambda engine over them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.lambda_service.client import LambdaService, lambda_service
from tests.servers.lambda_service.config import Config
from tests.support.lambda_subject import LambdaSubject


@pytest.fixture(scope="session")
def service() -> Iterator[LambdaService]:
    with lambda_service(Config(fast="tests.support.fake_worker:answer")) as made:
        yield made


@pytest.fixture
def subject(service: LambdaService, tmp_path: Path) -> LambdaSubject:
    return LambdaSubject(service, tmp_path)
