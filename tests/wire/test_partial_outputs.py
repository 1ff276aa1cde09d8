"""Outputs that come in parts: each is whole once, and nothing of it stays behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gg.core.ids import BlobId
from gg.errors import FormatError
from gg.wire import frames, partial_outputs
from gg.wire.partial_outputs import PartialOutputs


class Taken:
    """The outputs of one request. `whole`: their bytes, by digest."""

    def __init__(self, directory: Path) -> None:
        self.whole: dict[bytes, bytes] = {}
        self.outputs = PartialOutputs(str(directory), self._take)

    def _take(self, digest: bytes, path: str) -> None:
        self.whole[digest] = Path(path).read_bytes()

    def parts(self, data: bytes, size: int = 3) -> Iterator[None]:
        """Take one part of these bytes after the other."""
        for at in range(0, len(data), size):
            part = frames.encode_output(_digest(data), data[at : at + size])
            self.outputs.take(part, last=at + size >= len(data))
            yield


def _digest(data: bytes) -> bytes:
    return BlobId.of(data).digest


def test_outputs_whose_parts_alternate(tmp_path: Path) -> None:
    """Of one request, and of another request that makes one of them, too."""
    first, second = Taken(tmp_path), Taken(tmp_path)
    for _ in zip(first.parts(b"one output"), first.parts(b"an other 1"), second.parts(b"one output"), strict=True):
        pass
    assert first.whole == {_digest(data): data for data in (b"one output", b"an other 1")}
    assert second.whole == {_digest(b"one output"): b"one output"}
    assert not list(tmp_path.iterdir())


def test_what_is_dropped_is_begun_anew(tmp_path: Path) -> None:
    taken = Taken(tmp_path)
    next(taken.parts(b"one output"))
    assert list(tmp_path.iterdir())
    taken.outputs.drop()
    assert not list(tmp_path.iterdir())
    list(taken.parts(b"one output"))
    assert taken.whole == {_digest(b"one output"): b"one output"}


def test_an_output_that_is_bigger_than_any_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial_outputs, "_MOST", 9)
    taken = Taken(tmp_path)
    with pytest.raises(FormatError, match="bigger"):
        list(taken.parts(b"one output"))
    assert not taken.whole
    assert not list(tmp_path.iterdir())


def test_one_that_cannot_be_taken_is_removed(tmp_path: Path) -> None:
    def refuse(digest: bytes, path: str) -> None:
        raise OSError("no room")

    outputs = PartialOutputs(str(tmp_path), refuse)
    with pytest.raises(OSError, match="no room"):
        outputs.take(frames.encode_output(bytes(32), b"all"), last=True)
    assert not list(tmp_path.iterdir())
