"""A slot whose process does not behave."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gg.wire.request import Request, encode_request
from gg.worker import slot_front
from gg.worker.slot_front import SlotDied, SlotFront


class Nobody:
    """Has nothing to lend, and takes nothing."""

    def lend(self, need: bytes) -> Iterator[bytes]:
        return iter(())

    def put_part(self, output: bytes, *, last: bool) -> None:
        pass

    def end(self) -> None:
        pass


@pytest.mark.parametrize("size", [5, 1 << 20])
def test_one_that_its_command_has_stopped_is_ended_after_its_request_was_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Also where the request is more than a pipe takes that nobody reads. The next one has a process again."""
    monkeypatch.setattr(slot_front, "_CANCEL_S", 0.3)
    front = SlotFront(str(tmp_path / "slot"), memory=0, cache=1 << 20)
    front._start()
    os.kill(front.pid, signal.SIGSTOP)
    stop = threading.Event()

    def cancel() -> None:
        stop.set()
        front.cancel()

    cancelling = threading.Timer(0.2, cancel)
    cancelling.start()
    begun = time.monotonic()
    with pytest.raises(SlotDied):
        front.handle(bytes(size), relay=Nobody(), stop=stop)
    assert time.monotonic() - begun < 20
    cancelling.join()
    assert front.handle(encode_request(Request(())), relay=Nobody(), stop=threading.Event())
    front.close()
