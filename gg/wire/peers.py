"""How workers of one fleet name each other: `http://HOST:PORT` and a token, which lets whoever has it read what that worker keeps.

  GET /KIND/DIGEST     KIND as `gg.store.base.Kind` numbers it, DIGEST in hexadecimal
  200                  the object's bytes
  404                  it is not there (any more)

  POST /have           digests of blobs, 32 bytes each
  200                  a byte for each: 1 if the blob seems to be there, else 0

  POST /jobs           a job that the other worker offers (`gg.wire.letters.OfferLetter`)
  200                  this worker has it now
  409                  this worker does not take it: it has no free slot, or does not know the build

Each with `Authorization: Bearer TOKEN`; without it the answer is 401, and 400 or 404 to what is nothing of this. Nothing that comes
is believed: who asks compares the bytes with the digest.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from gg.errors import FormatError

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")
_ADDRESS = re.compile(r"(\[[0-9a-f:]{2,39}\]|[0-9.]{7,15}):([0-9]{1,5})")
_METADATA = tuple(
    map(ipaddress.ip_network, ("fd00:ec2::/32", "168.63.129.16/32", "100.100.100.200/32", "64:ff9b::/96"))
)
HAVE, JOBS = "/have", "/jobs"
MOST_PEERS = 256
"""that one job names."""
MOST_HELD = 2048
"""digests that one job, or one answer, names."""
MUCH = 4 << 20
"""bytes that are worth asking several workers for: at 1 Gbit/s they take 34 ms, and an answer a millisecond or two."""


class Peer(NamedTuple):
    """A worker that others may ask. `address`: an IP address and a port; `token`: what it wants to see."""

    address: str
    token: str

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def is_here(self) -> bool:
        """Whether only this machine has the address."""
        return ipaddress.ip_address(self.host).is_loopback


class Holding(NamedTuple):
    """Digests of blobs that a worker has."""

    peer: Peer
    digests: tuple[bytes, ...]


def _is_nobodys(host: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(host, ipaddress.IPv6Address) and (host.ipv4_mapped or host.sixtofour or host.teredo):
        return True
    if host.is_link_local or host.is_multicast or host.is_unspecified:
        return True
    return any(host in network for network in _METADATA if network.version == host.version)


def parse_peer(address: str, token: str) -> Peer:
    """FormatError for what no worker has: a name, an address of the instance's metadata service, another address written as one of
    version 6, no token.
    """
    found = _ADDRESS.fullmatch(address)
    try:
        host = ipaddress.ip_address(found[1].strip("[]")) if found else None
    except ValueError:
        host = None
    if host is None or not found or _is_nobodys(host):
        raise FormatError(f"{address[:60]!r} is no worker's address")
    if not 0 < int(found[2]) < 1 << 16 or not _TOKEN.fullmatch(token):
        raise FormatError("a worker's port or token is damaged")
    return Peer(address, token)
