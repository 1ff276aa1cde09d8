"""The words that a process had before it executed another program in its place, as the interposer writes them."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

from gg.record.hearers.called import CalledBefore


def record(when: int, *words: bytes) -> bytes:
    text = b"".join(word + b"\0" for word in words)
    return struct.pack("=QI", when, len(text)) + text


def test_each_is_told_once_and_of_this_process_alone(tmp_path: Path) -> None:
    before, now, own = 1, time.clock_gettime_ns(time.CLOCK_BOOTTIME), os.getpid()
    file = tmp_path / f"called{own}"
    file.write_bytes(record(before, b"another") + record(now, b"sh", b"./cc", b"") + record(now, b"nice", b"gcc"))
    called = CalledBefore(os.fsencode(tmp_path))
    assert called.words(own) == ((b"sh", b"./cc", b""), (b"nice", b"gcc"))
    assert called.words(own) == ()


def test_what_is_cut_off_does_no_harm(tmp_path: Path) -> None:
    now, own = time.clock_gettime_ns(time.CLOCK_BOOTTIME), os.getpid()
    whole = record(now, b"sh", b"./cc")
    for size in range(len(whole)):
        (tmp_path / f"called{own}").write_bytes(whole[:size])
        assert len(CalledBefore(os.fsencode(tmp_path)).words(own)) <= 1
