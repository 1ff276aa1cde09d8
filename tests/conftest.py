"""Fixtures that several areas of the tests share. What they need is imported when one of them is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.aws.seaweed import Seaweed


@pytest.fixture(scope="session")
def seaweed_server() -> Iterator[Seaweed]:
    """An S3 server for the whole session: make a bucket of your own in it."""
    from tests.aws.seaweed import seaweed

    with seaweed() as server:
        yield server
