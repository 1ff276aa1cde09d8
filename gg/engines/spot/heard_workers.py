"""Remembers the workers that were heard behind a queue, for the next run. Their tokens are secret, so only the user reads the file.

A worker's token ends with the worker, so what is remembered for long is worth nothing.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress

from gg.core.jsontext import json_from
from gg.errors import FormatError, StoreError
from gg.host.files import write_whole
from gg.wire.peers import Peer, parse_peer

_NAME = "spot-workers.json"
_HELD_S = 6 * 3600.0
_MOST = 256


class HeardWorkers:
    """The workers behind `queue`, among the workspace's records in `dot`."""

    def __init__(self, dot: str, queue: str, clock: Callable[[], float] = time.time) -> None:
        self._path = os.path.join(dot, _NAME)
        self._queue = queue
        self._clock = clock
        self._heard = self._read().get(queue, {})  # and when

    def hear(self, peer: Peer) -> None:
        self._heard.pop(peer, None)
        self._heard[peer] = self._clock()
        if len(self._heard) > _MOST:
            del self._heard[next(iter(self._heard))]

    def last(self, most: int) -> list[Peer]:
        """The workers that were heard last."""
        return list(reversed(self._heard))[:most]

    def keep(self) -> None:
        """Remember them."""
        if not self._heard:
            return
        table = {**self._read(), self._queue: self._heard}
        encoded = {
            queue: [[*peer, at] for peer, at in list(heard.items())[-_MOST:]] for queue, heard in table.items() if heard
        }
        with suppress(StoreError):  # the next run hears them anew
            write_whole(os.fsencode(self._path), json.dumps(encoded).encode(), mode=0o600)

    def _read(self) -> dict[str, dict[Peer, float]]:
        """The workers of each queue, the one that was heard last at the end; none if the file is damaged."""
        now = self._clock()
        try:
            with open(self._path, "rb") as file:
                table = json_from(file.read(), "list of workers")
            return {
                str(queue): {parse_peer(host, token): float(at) for host, token, at in heard if now - at < _HELD_S}
                for queue, heard in table.items()
            }
        except (OSError, FormatError, ValueError, TypeError, AttributeError):
            return {}
