"""Where a job runs that reads much: at the worker of the fleet that has most of it.

A queue gives a job to whoever asks first. A worker that lacks much of what a job reads asks the other workers that the job names
what they have. One that has much more is offered the job, with the handle of its message; if that worker takes the job, it is its
own, as though the queue had given it the job. A worker takes a job only if it can begin it at once. So nobody waits, and a worker
that dies with a job loses it to the queue as ever. A worker that was given a job does not pass it on.

A job is offered only to workers that the job itself names: its coordinator vouches for them, and others learn nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from gg.core.codec import decode_thunk
from gg.core.thunk import sizes_of
from gg.errors import FormatError
from gg.wire.letters import OfferLetter
from gg.wire.peers import MUCH, Holding, Peer
from gg.wire.request import Request
from gg.worker.exchange import Exchange

_SPARED = MUCH  # bytes, at least
_LEAST_SHARE = 4  # of what the job reads must be spared
_MOST_ASKED = 16
_AT_ONCE = 4


class Chosen(NamedTuple):
    """What has become of a job. `given`: another worker has it. `held`: what workers have of what it reads."""

    given: bool
    held: tuple[Holding, ...]


class JobPlaces:
    """For one event loop. `holds`: whether a blob is here."""

    def __init__(self, exchange: Exchange, holds: Callable[[bytes], bool]) -> None:
        self._exchange = exchange
        self._holds = holds
        self._pool = ThreadPoolExecutor(_AT_ONCE, "places")
        self.given = 0

    def reads_much(self, request: Request, held: Sequence[Holding]) -> dict[bytes, int]:
        """The blobs that a request reads, without those in groups, which many share, and their sizes. Empty if too little of
        that is lacking here to ask others.
        """
        if not held:
            return {}
        try:
            read = sizes_of(e for task in request.tasks for e in (*decode_thunk(task.thunk).entries, *task.extra))
        except FormatError:
            return {}  # who runs it says so
        lacking = sum(size for blob, size in read.items() if not self._holds(blob))
        return read if lacking >= _SPARED else {}

    async def settle(self, read: Mapping[bytes, int], held: Sequence[Holding], offer: OfferLetter) -> Chosen:
        """Find the place of a job that reads much."""
        found = await asyncio.get_running_loop().run_in_executor(self._pool, self._settle, read, held, offer)
        self.given += found.given
        return found

    def _settle(self, read: Mapping[bytes, int], held: Sequence[Holding], offer: OfferLetter) -> Chosen:
        largest = sorted(read, key=lambda blob: -read[blob])
        told = self._exchange.have([each.peer for each in held][:_MOST_ASKED], largest)
        best = best_of(read, [blob for blob in read if self._holds(blob)], told)
        given = best is not None and self._exchange.offer(best, offer)
        return Chosen(given, (*held, *[each for each in told if each.digests]))

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def best_of(read: Mapping[bytes, int], here: Sequence[bytes], told: Sequence[Holding]) -> Peer | None:
    """The worker that has most of what is read, if it has so much more than what is here that the way is worth it."""
    if not told:
        return None
    sizes = {each.peer: sum(read[digest] for digest in each.digests) for each in told}
    best = max(sizes, key=lambda peer: sizes[peer])
    spared = sizes[best] - sum(read[digest] for digest in here)
    return best if spared >= max(_SPARED, sum(read.values()) // _LEAST_SHARE) else None
