"""What a command prints is told while the command runs."""

from __future__ import annotations

import os
import threading

from gg.run.output_follower import followed
from gg.run.process import Slot


def test_lines_are_told_before_the_end_and_the_rest_at_the_end() -> None:
    heard: list[tuple[int, bytes]] = []
    first = threading.Event()

    def said(at: int, text: bytes) -> None:
        heard.append((at, text))
        first.set()

    file = os.memfd_create("printed")
    with followed(file, said):
        os.write(file, b"one\ntw")
        assert first.wait(30)
        os.write(file, b"o\nthr")
    os.close(file)
    assert heard[0] == (0, b"one\n")
    assert b"".join(text for _, text in heard) == b"one\ntwo\nthr"
    assert [at for at, _ in heard] == [sum(len(text) for _, text in heard[:number]) for number in range(len(heard))]


def test_a_long_line_is_told_in_pieces() -> None:
    heard: list[bytes] = []
    file = os.memfd_create("printed")
    os.write(file, b"x" * (5 << 20))
    with followed(file, lambda at, text: heard.append(text)):
        pass
    os.close(file)
    assert b"".join(heard) == b"x" * (5 << 20)


def test_a_slot_tells_what_its_command_prints() -> None:
    heard: list[bytes] = []
    slot = Slot()
    slot.said = lambda at, text: heard.append(text)
    exited = slot.run(b"/bin/sh", [b"sh", b"-c", b"echo out; echo err >&2"], {b"PATH": b"/bin"}, "/", together=True)
    assert exited.stdout == b"".join(heard) == b"out\nerr\n"
