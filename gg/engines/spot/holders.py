"""Which workers keep which blobs. A worker tells what it keeps of what it made; each job that reads a blob is told who keeps it.

A job that reads much names the workers heard last, too, for they may have what nobody has told: what they read for an earlier
build. So the worker that gets the job can ask them (`gg.worker.job_places`), and a link after an edit runs where the last one ran.
"""

from __future__ import annotations

from collections.abc import Sequence

from gg.core.thunk import sizes_of
from gg.engines.awslambda.parts import Part
from gg.engines.spot.heard_workers import HeardWorkers
from gg.wire.peers import MOST_HELD, MOST_PEERS, MUCH, Holding, Peer

_MOST_EACH = 2
"""workers that a job is told of for one blob. If none of them answers, the bucket has the blob."""
_MOST_BLOBS = 200_000
"""of which it is known who keeps them: a worker may tell of ever more."""
_MOST_HEARD = 16
"""workers that a job which reads much is told of besides."""


class Holders:
    """The holders of one run's blobs. `heard`: the workers that have been heard, in earlier runs too."""

    def __init__(self, heard: HeardWorkers) -> None:
        self._by_digest: dict[bytes, list[Peer]] = {}
        self._heard = heard

    def learn(self, held: Sequence[Holding]) -> None:
        """Take note of what a worker keeps."""
        for each in held:
            self._heard.hear(each.peer)
            for digest in each.digests:
                peers = self._by_digest.setdefault(digest, [])
                if each.peer not in peers:
                    peers.append(each.peer)
                    del peers[:-_MOST_EACH]
        while len(self._by_digest) > _MOST_BLOBS:
            del self._by_digest[next(iter(self._by_digest))]

    def of(self, parts: Sequence[Part]) -> tuple[Holding, ...]:
        """Which workers keep what these parts read."""
        read = sizes_of(e for part in parts for e in (*part.submission.thunk.entries, *part.submission.extra))
        found: dict[Peer, dict[bytes, None]] = {}
        count = 0
        for digest in read if self._by_digest else ():
            for peer in self._by_digest.get(digest, ()):
                if count < MOST_HELD and (peer in found or len(found) < MOST_PEERS):
                    found.setdefault(peer, {})[digest] = None
                    count += 1
        if sum(read.values()) >= MUCH:
            for peer in self._heard.last(min(_MOST_HEARD, MOST_PEERS - len(found))):
                found.setdefault(peer, {})
        return tuple(Holding(peer, tuple(digests)) for peer, digests in found.items())

    def close(self) -> None:
        self._heard.keep()
