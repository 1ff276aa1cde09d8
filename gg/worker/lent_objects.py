"""What a machine has been lent or has made, kept once for all its slots: an object crosses the network once, whoever reads it.

At the start of a build all slots ask for the same compiler at the same time. Whoever asks first has the object sent; the others
wait for it. A question is answered in this order: what is here, what this question alone brings, what others bring. Nobody waits
for another one before he has brought what others may wait for, so no two wait for each other.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from gg.errors import FormatError
from gg.store.base import KINDS, Key, Kind, blob_key
from gg.wire import frames
from gg.wire.partial_outputs import PartialOutputs
from gg.wire.reply import asked, decode_reply, outputs_of
from gg.worker.disk_cache import Cache

_WAIT_S = 30.0  # for an object that another slot brings; then it is asked for once more

Ask = Callable[[bytes], Iterator[bytes]]
"""Answers a question (`frames.encode_need`) with the parts of the objects (`frames.encode_object`), in its order. OSError."""


class LentObjects:
    """Up to `limit` bytes in `directory`, which nobody else uses. Thread-safe."""

    def __init__(self, directory: str, limit: int) -> None:
        self._aside = os.path.join(directory, "passing")
        shutil.rmtree(self._aside, ignore_errors=True)
        os.makedirs(self._aside)
        self._cache = Cache(os.path.join(directory, "lent"), limit)
        self._change = threading.Condition()
        self._coming: set[Key] = set()

    def lend(self, need: bytes, ask: Ask) -> Iterator[bytes]:
        """Answer a slot's question, object by object in any order, with what is here and what `ask` brings. OSError."""
        wanted = frames.decode_need(need)
        keys = {index: Key(KINDS[kind], digest) for index, (kind, digest) in enumerate(wanted) if kind in KINDS}
        for index in range(len(wanted)):
            if index not in keys:
                yield frames.encode_object(index, None)
        mine, others = self._claim(keys)
        try:
            for index in keys.keys() - mine - others:
                if (parts := self._kept(index, keys[index])) is not None:
                    yield from parts
                else:
                    others.add(index)
            yield from self._bring({index: keys[index] for index in sorted(mine)}, ask)
        finally:
            self._release(keys[index] for index in mine)
        yield from self._others({index: keys[index] for index in sorted(others)}, ask)

    def _claim(self, keys: dict[int, Key]) -> tuple[set[int], set[int]]:
        """The places of the objects that this question is to bring, and of those that others bring."""
        mine: set[int] = set()
        others: set[int] = set()
        with self._change:
            self._cache.trim(keys.values())
            for index, key in keys.items():
                if key in self._coming:
                    others.add(index)
                elif not self._cache.have(key):
                    mine.add(index)
                    self._coming.add(key)
        return mine, others

    def _release(self, keys: Iterable[Key]) -> None:
        with self._change:
            self._coming.difference_update(keys)
            self._change.notify_all()

    def _kept(self, index: int, key: Key) -> Iterator[bytes] | None:
        """The parts of an object that is here."""
        with self._change:
            file = self._cache.opened(key) if self._cache.have(key) else None
        if file is None:
            return None

        def parts() -> Iterator[bytes]:
            with file:
                part = file.read(frames.PART)
                while True:
                    more = file.read(frames.PART) if part else b""
                    yield frames.encode_object(index, part, not more)
                    if not more:
                        return
                    part = more

        return parts()

    def _bring(self, keys: dict[int, Key], ask: Ask) -> Iterator[bytes]:
        """Have objects sent: pass each part on, and keep the object when it is whole."""
        if not keys:
            return
        places = list(keys)
        aside = os.path.join(self._aside, f"in-{threading.get_ident():x}")
        try:
            file = open(aside, "wb")  # noqa: SIM115
            for part in ask(frames.encode_need([(int(key.kind), key.digest) for key in keys.values()])):
                at, data, last = frames.decode_object(part)
                if not 0 <= at < len(places):
                    raise OSError("another object came than was asked for")
                yield frames.encode_object(places[at], data, last)
                if data is not None:
                    file.write(data)
                if last:
                    file.close()
                    if data is not None:
                        self._keep(keys[places[at]], aside)
                    self._release([keys[places[at]]])
                    file = open(aside, "wb")  # noqa: SIM115
        finally:
            file.close()
            with suppress(OSError):
                os.unlink(aside)

    def _keep(self, key: Key, path: str) -> None:
        """Keep a whole object; its file is gone afterwards. The slot, too, refuses what has other bytes than its name says."""
        with suppress(OSError, FormatError):
            self._cache.adopt(key, path)
        with suppress(OSError):
            os.unlink(path)

    def _others(self, keys: dict[int, Key], ask: Ask) -> Iterator[bytes]:
        """Wait for what others bring. If it does not come, have it sent."""
        lacking: dict[int, Key] = {}
        for index, key in keys.items():
            self._wait(key)
            parts = self._kept(index, key)
            if parts is None:
                lacking[index] = key
            else:
                yield from parts
        yield from self._bring(lacking, ask)

    def keep_outputs(self, reply: bytes, request: bytes) -> None:
        """Keep the outputs that travel in a reply."""
        with suppress(FormatError, OSError):
            for blob, data in outputs_of(decode_reply(reply, asked(request))).items():
                self._cache.put(blob_key(blob), data)

    def passing_outputs(self) -> PartialOutputs:
        """Takes the outputs of one request that pass by in parts, and keeps those that are whole."""
        return PartialOutputs(self._aside, lambda digest, path: self._keep(Key(Kind.BLOB, digest), path))

    def _wait(self, key: Key) -> None:
        with self._change:
            self._change.wait_for(lambda: key not in self._coming, _WAIT_S)

    @property
    def size(self) -> int:
        """Bytes of all objects that are kept."""
        return self._cache.size
