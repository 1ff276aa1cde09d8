"""A slot's process answers what it can answer: its death would be held against the command."""

from __future__ import annotations

import io
from typing import cast

import pytest

from gg.schedule.events import Fault
from gg.wire.reply import Refused, asked, decode_reply
from gg.wire.request import Request, Task, encode_request
from gg.worker.between import Spoilt
from gg.worker.serve import Worker
from gg.worker.slot_process import SlotServer


class _Failing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def handle(self, data: bytes, **more: object) -> bytes:
        raise self.error


def slot(error: Exception) -> SlotServer:
    return SlotServer(cast("Worker", _Failing(error)), io.BytesIO(), io.BytesIO())


@pytest.mark.parametrize("count", [1, 3])
def test_a_bug_of_the_workers_own(count: int) -> None:
    request = encode_request(Request((Task(b"x"),) * count))
    reply = decode_reply(slot(ValueError("no \udcff"))._handled(request), asked(request))
    assert reply.results == (Refused(Fault.INFRA, r"worker: ValueError: no \udcff"),) * count
    (result,) = decode_reply(slot(KeyError(1))._handled(b"none"), asked(b"none")).results
    assert isinstance(result, Refused)


def test_what_a_command_has_spoilt_ends_the_process() -> None:
    with pytest.raises(Spoilt):
        slot(Spoilt("files"))._handled(encode_request(Request((Task(b"x"),))))
