"""Which workers have what others will read: told by those that made it, and told on with each job that reads it."""

from __future__ import annotations

from collections.abc import Sequence

from gg.core.thunk import File
from gg.engines.awslambda.parts import Part
from gg.wire.peers import MOST_HELD, MOST_PEERS, Holding, Peer

_MOST_EACH = 2
"""workers that are named for one blob: when none of them answers, the bucket has it."""


class Holders:
    """Of one run."""

    def __init__(self) -> None:
        self._by_digest: dict[bytes, list[Peer]] = {}

    def learn(self, held: Sequence[Holding]) -> None:
        """A worker has these."""
        for each in held:
            for digest in each.digests:
                peers = self._by_digest.setdefault(digest, [])
                if each.peer not in peers:
                    peers.append(each.peer)
                    del peers[:-_MOST_EACH]

    def of(self, parts: Sequence[Part]) -> tuple[Holding, ...]:
        """Who has what these read."""
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
