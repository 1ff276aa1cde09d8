"""The listing of deployed functions, as a server may give it that is none of AWS's."""

from __future__ import annotations

import asyncio
import json
from itertools import count
from typing import cast

import pytest

from gg.aws.connection import Response
from gg.aws.failures import RequestContext
from gg.aws.http import Client
from gg.engines.awslambda.deployed_functions import find
from gg.errors import FormatError

ASKED = RequestContext("list functions", "lambda:ListFunctions", "host", "region", "key")


class Endless:
    """Answers each request with a page, and names another one."""

    def __init__(self, *, same: bool) -> None:
        self.requests = 0
        self._markers = count()
        self._same = same

    async def request(self, method: str, path: str, *, query: str, most: int) -> Response:
        self.requests += 1
        marker = "again" if self._same else str(next(self._markers))
        return Response(200, {}, json.dumps({"Functions": [], "NextMarker": marker}).encode())


@pytest.mark.parametrize(("same", "most"), [(True, 2), (False, 1000)])
def test_pages_without_end(same: bool, most: int) -> None:
    server = Endless(same=same)
    with pytest.raises(FormatError, match="damaged"):
        asyncio.run(find(cast("Client", server), "gg", ASKED))
    assert server.requests <= most


@pytest.mark.parametrize(
    "body", [b"[" * 9000, b"{}", b"[]", b'{"Functions": [{"FunctionName": "gg-1", "MemorySize": -1, "Timeout": 1}]}']
)
def test_a_page_that_is_none(body: bytes) -> None:
    class Server:
        async def request(self, method: str, path: str, *, query: str, most: int) -> Response:
            return Response(200, {}, body)

    with pytest.raises(FormatError, match="damaged"):
        asyncio.run(find(cast("Client", Server()), "gg", ASKED))
