"""Reads the bytes of a worker's reply, whichever way they came."""

from __future__ import annotations

from gg.engines.engine import Failure
from gg.errors import FormatError, SetupError
from gg.schedule.events import Fault
from gg.wire.reply import Reply, decode_reply
from gg.wire.request import WrongVersion


def judged(reply: bytes, request: bytes, old: SetupError | None = None) -> Reply | Failure:
    """`request`: what `gg.wire.reply.asked` gave for the request. `old`: the trouble if the worker is of another version of gg,
    where that was not found out before; otherwise no worker ends a run by saying so.
    """
    try:
        return decode_reply(reply, request)
    except WrongVersion as error:
        return Failure(Fault.INFRA, f"{old}: {error}", setup=old) if old else damaged_reply(error)
    except FormatError as error:
        return damaged_reply(error)


def damaged_reply(error: Exception) -> Failure:
    return Failure(Fault.INFRA, f"a damaged reply: {error}")
