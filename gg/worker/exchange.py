"""The exchange between workers of one fleet: each serves what it keeps to whoever has its token, and takes jobs that others offer.

The bucket has every object all the same. If a worker does not answer, or lacks the object, or sends other bytes, the worker that
asks loses a moment, and fetches the object from the bucket. A coordinator gets the token together with a job's answer, and sends
it with each job that reads the outputs.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from gg.errors import FormatError
from gg.store.base import Key, Kind
from gg.wire.letters import OfferLetter, encode_offer
from gg.wire.peers import HAVE, JOBS, MOST_HELD, Holding, Peer
from gg.worker.disk_cache import Cache
from gg.worker.steady_socket import SteadyConnection

_AT_ONCE = 8
_CONNECT_S = 1.0
_READ_S = 10.0
_TOLD_S = 3.0  # for an answer that takes no time: a job waits for it
_AVOID_S = 60.0  # for a worker that did not answer
_PART = 1 << 20
_MOST_OBJECT = 1 << 30


class Exchange:
    """Asks other workers. `own`: this worker, which does not ask itself. For any thread."""

    def __init__(self, own: Peer) -> None:
        self._own = own
        self._pool = ThreadPoolExecutor(_AT_ONCE, "exchange")
        self._local = threading.local()
        self._avoided: dict[str, float] = {}
        self._lock = threading.Lock()
        self._all: set[SteadyConnection] = set()
        self.objects = self.bytes = 0

    def fetch(self, keys: Sequence[Key], held: Sequence[Holding], cache: Cache) -> None:
        """Fetch the objects of `keys` that one of these workers has, and put them into the cache."""
        where: dict[bytes, dict[Peer, None]] = {}
        for each in held:
            if self._may_ask(each.peer):
                for digest in each.digests:
                    where.setdefault(digest, {})[each.peer] = None  # once, whoever has said so
        wanted = [key for key in keys if key.kind is Kind.BLOB and key.digest in where]
        list(self._pool.map(lambda key: self._fetch_one(key, where[key.digest], cache), wanted))

    def have(self, peers: Sequence[Peer], digests: Sequence[bytes]) -> list[Holding]:
        """Which of these blobs each of these workers has. Who does not answer has none."""
        some = tuple(digests[:MOST_HELD])
        asked = [peer for peer in dict.fromkeys(peers) if self._may_ask(peer)]
        return list(self._pool.map(lambda peer: Holding(peer, self._held_by(peer, some)), asked))

    def _held_by(self, peer: Peer, digests: tuple[bytes, ...]) -> tuple[bytes, ...]:
        answer = self._told(peer, HAVE, b"".join(digests))
        return tuple(each for each, here in zip(digests, answer or b"", strict=False) if here)

    def offer(self, peer: Peer, offer: OfferLetter) -> bool:
        """Whether this worker takes a job off this one's hands. False also if it does not answer in time: then two may run it."""
        return self._may_ask(peer) and self._told(peer, JOBS, encode_offer(offer).encode()) is not None

    def _told(self, peer: Peer, path: str, body: bytes) -> bytes | None:
        """What a worker answers to a question; None if it refuses, or does not answer."""
        if self._avoids(peer):
            return None
        try:
            answer = self._asked(peer, "POST", path, body)
            data = answer.read(MOST_HELD + 1)
        except (OSError, http.client.HTTPException):
            self._avoid(peer)
            return None
        return data if answer.status == 200 else None

    def _avoids(self, peer: Peer) -> bool:
        return self._avoided.get(peer.address, 0.0) > time.monotonic()

    def _avoid(self, peer: Peer) -> None:
        self._avoided[peer.address] = time.monotonic() + _AVOID_S
        self._forget(peer)

    def _may_ask(self, peer: Peer) -> bool:
        """Whether to connect to an address that came with a job. It may be any service's, so no service of this machine is asked,
        by whichever of its addresses (`SteadyConnection`), unless this worker serves this machine alone.
        """
        return peer != self._own and (not peer.is_here or self._own.is_here)

    def _fetch_one(self, key: Key, peers: Iterable[Peer], cache: Cache) -> None:
        for peer in peers:
            if self._avoids(peer):
                continue
            try:
                if self._taken(peer, key, cache):
                    return
            except (FormatError, OSError, http.client.HTTPException):
                self._avoid(peer)  # the bucket has the right bytes

    def _taken(self, peer: Peer, key: Key, cache: Cache) -> bool:
        """Fetch an object into the cache. False if this worker lacks the object. FormatError, OSError, HTTPException."""
        answer = self._asked(peer, "GET", f"/{int(key.kind)}/{key.digest.hex()}")
        if answer.status != 200:
            answer.read(_PART)
            return False
        if not answer.isclosed():
            self._connection(peer).expect(_READ_S, more=True)
        size = 0

        def parts() -> Iterator[bytes]:
            nonlocal size
            while part := answer.read(_PART):
                size += len(part)
                if size > _MOST_OBJECT:
                    raise OSError("the object is too large")
                yield part

        cache.put_parts(key, parts())
        if not answer.isclosed():  # the object was here already
            self._forget(peer)
        with self._lock:
            self.objects, self.bytes = self.objects + 1, self.bytes + size
        return True

    def _asked(self, peer: Peer, method: str, path: str, body: bytes | None = None) -> http.client.HTTPResponse:
        """Ask once more, by a new connection, if the other side has closed the old one. OSError, HTTPException."""
        kept = peer.address in self._connections()
        try:
            return self._ask(peer, method, path, body)
        except (OSError, http.client.HTTPException):
            self._forget(peer)
            if not kept:
                raise
            return self._ask(peer, method, path, body)

    def _ask(self, peer: Peer, method: str, path: str, body: bytes | None) -> http.client.HTTPResponse:
        connection = self._connection(peer)
        connection.expect(_READ_S if body is None else _TOLD_S)
        connection.request(method, path, body, {"Authorization": f"Bearer {peer.token}"})
        return connection.getresponse()

    def _forget(self, peer: Peer) -> None:
        known = self._connections().pop(peer.address, None)
        if known is not None:
            known.close()
            with self._lock:
                self._all.discard(known)

    def _connections(self) -> dict[str, SteadyConnection]:
        known: dict[str, SteadyConnection] | None = getattr(self._local, "connections", None)
        if known is None:
            known = self._local.connections = {}
        return known

    def _connection(self, peer: Peer) -> SteadyConnection:
        known = self._connections()
        if peer.address not in known:
            leads_out = not self._own.is_here
            connection = SteadyConnection(peer.host, peer.port, timeout=_CONNECT_S, leads_out=leads_out)
            known[peer.address] = connection
            with self._lock:
                self._all.add(connection)
        return known[peer.address]

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        for connection in self._all:
            connection.close()
