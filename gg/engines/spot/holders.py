"""Which workers keep which blobs. A worker tells what it keeps of what it made; each job that reads a blob is told who keeps it."""

from __future__ import annotations

from collections.abc import Sequence

from gg.core.thunk import File
from gg.engines.awslambda.parts import Part
from gg.wire.peers import MOST_HELD, MOST_PEERS, Holding, Peer

_MOST_EACH = 2
"""workers that a job is told of for one blob. If none of them answers, the bucket has the blob."""


class Holders:
    """The holders of one run's blobs."""

    def __init__(self) -> None:
        self._by_digest: dict[bytes, list[Peer]] = {}

    def learn(self, held: Sequence[Holding]) -> None:
        """Take note of what a worker keeps."""
        for each in held:
            for digest in each.digests:
                peers = self._by_digest.setdefault(digest, [])
                if each.peer not in peers:
                    peers.append(each.peer)
                    del peers[:-_MOST_EACH]

    def of(self, parts: Sequence[Part]) -> tuple[Holding, ...]:
        """Which workers keep what these parts read."""
        if not self._by_digest:
            return ()
        found: dict[Peer, dict[bytes, None]] = {}
        count = 0
        for digest in dict.fromkeys(_read(parts)):
            for peer in self._by_digest.get(digest, ()):
                if count < MOST_HELD and (peer in found or len(found) < MOST_PEERS):
                    found.setdefault(peer, {})[digest] = None
                    count += 1
        return tuple(Holding(peer, tuple(digests)) for peer, digests in found.items())


def _read(parts: Sequence[Part]) -> list[bytes]:
    files = [
        e for part in parts for e in (*part.submission.thunk.entries, *part.submission.extra) if isinstance(e, File)
    ]
    return [file.blob.digest for file in files]
