"""Replies that have the same refusal for each task of a request."""

from __future__ import annotations

import gg
from gg.errors import FormatError
from gg.wire.reply import Refused, Reply, WorkerInfo, encode_reply
from gg.wire.request import decode_request


def refuse_all(result: Refused, request: bytes) -> bytes:
    """The reply that has this for each task of a request; for one task if it is no request."""
    try:
        count = len(decode_request(request).tasks)
    except FormatError:
        count = 1
    return encode_reply(Reply(WorkerInfo(gg.__version__), (result,) * count), request)
