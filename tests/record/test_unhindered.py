"""Everybody who asks the recorder is answered, whatever goes wrong in it."""

from __future__ import annotations

import pytest

from gg.record import protocol
from gg.record.protocol import Op, RecorderRequest, SendReply
from gg.record.unhindered import answer_instead


@pytest.mark.parametrize("op", Op)
def test_where_nothing_can_be_said(op: Op) -> None:
    def bug(request: RecorderRequest, why: str, reply: SendReply) -> None:
        raise KeyError

    said: list[bytes] = []
    request = RecorderRequest(op, 0, 1, b"", b"/", (b"gcc",), {})
    answer_instead(ZeroDivisionError(), request, said.append, bug, tell=False)
    assert len(said) == 1
    assert (said[0] != protocol.HANG_UP) == (op == Op.END), "a make is not told that all went well"


def test_a_full_disk_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    whys: list[str] = []
    request = RecorderRequest(Op.CALL, 0, 1, b"", b"/", (b"gcc",), {})
    full = OSError(28, "No space left on device", "/x/store.db")
    answer_instead(full, request, lambda data: None, lambda request, why, reply: whys.append(why), tell=True)
    assert whys[0].startswith("cannot write /x/store.db")
    assert "bug" not in capsys.readouterr().err
