"""The kept graph of a real build, and the scheduler on it."""

from __future__ import annotations

import zlib

import pytest

from benchmarks.virtual.__main__ import FFMPEG, RESOURCES
from benchmarks.virtual.graph import Recorded, decode, encode
from gg.core.thunk import Work
from gg.cost.forecast import rows

SMALL = Recorded(
    name="small",
    works=(Work.COMPILE, Work.COMPILE, Work.LINK),
    milliseconds=(1500, None, 20),
    memory_mb=(30, 0, 90),
    kilobytes=(4, 5, 80),
    deps=((), (), (0, 1)),
    cold_bytes=50_000_000,
    first=60_000_000,
    to_send=70_000_000,
)


def test_what_is_kept_is_what_is_read() -> None:
    assert decode(encode(SMALL)) == SMALL
    graph = SMALL.graph()
    assert graph.roots == (2,)
    assert graph.nodes[2].deps == (0, 1)
    assert {kind: guess.thunks for kind, guess in graph.guessed.items()} == {"compile": 1}


def test_ffmpeg_as_it_was_recorded() -> None:
    kept = decode(zlib.decompress(FFMPEG.read_bytes()))
    graph = kept.graph()
    assert len(graph.nodes) == 2316
    assert sum(node.work is Work.COMPILE for node in graph.nodes) > 1500
    (row,) = rows(graph, ["lambda"], (384,), RESOURCES)
    assert row.path <= row.seconds
    assert row.peak <= 384
    assert row.cost.total == pytest.approx(sum(row.cost))
