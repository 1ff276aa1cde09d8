"""Letters of other versions of gg among the calls: they stay for a while, for workers of those versions. Pure: no clock."""

from __future__ import annotations

from gg.core.ids import BlobId
from gg.wire.letters import CALL_S

_STAYS_S = 2 * CALL_S  # by then its build has called anew
_MOST = 1000


class OtherVersions:
    """Those that have been seen, and when first. Times are seconds of any clock."""

    def __init__(self) -> None:
        self._seen: dict[bytes, float] = {}

    def may_stay(self, letter: str, now: float) -> bool:
        """Whether a letter is to be left in the queue; while there are very many, a new one is not."""
        digest = BlobId.of(letter.encode(errors="surrogateescape")).digest
        since = self._seen.get(digest)
        if since is None:
            self._seen = {each: at for each, at in self._seen.items() if now - at <= 2 * _STAYS_S}
            if len(self._seen) >= _MOST:
                return False
            since = self._seen[digest] = now
        return now - since <= _STAYS_S
