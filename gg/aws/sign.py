"""Signature Version 4, with nothing but the standard library: the coordinator and the worker sign by the same code.

The algorithm is AWS's (Signature Version 4 signing process). The tests compare every signature with the one that
botocore's own signer gives for the same request.

All headers given are signed. Paths and queries are taken as they go over the wire: `quote_path` and `query_string`
make them. S3 signs the path as it is, every other service quotes it once more.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

EMPTY_SHA256 = sha256(b"").hexdigest()

_ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(NamedTuple):
    """An access key; `token` is empty for one that does not expire."""

    access_key: str
    secret_key: str
    token: str = ""

    @property
    def account(self) -> str:
        """The account that the key belongs to, which keys made since 2019 say themselves; empty where this one does not."""
        import base64

        key = self.access_key
        if len(key) != 20 or key[:4] not in ("AKIA", "ASIA") or not "Q" <= key[4] <= "Z":
            return ""
        try:
            number = int.from_bytes(base64.b32decode(key[4:])[:6], "big")
        except ValueError:
            return ""
        return f"{number >> 7 & (1 << 40) - 1:012d}"

    def __repr__(self) -> str:
        return f"Credentials({self.access_key!r}, secret)"


class Scope(NamedTuple):
    """What a signature is good for."""

    region: str
    service: str


def quote_path(path: str) -> str:
    """`path` for the wire: all but slashes and unreserved characters as %XX."""
    return quote(path, safe="/~")


def query_string(pairs: Iterable[tuple[str, str]]) -> str:
    """A query for the wire, in the order that signing wants."""
    quoted = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in pairs)
    return "&".join([f"{name}={value}" for name, value in quoted])


def payload_hash(parts: Iterable[bytes | memoryview]) -> str:
    """The SHA-256 of a body that is given in parts, in hexadecimal digits."""
    hasher = sha256()
    for part in parts:
        hasher.update(part)
    return hasher.hexdigest()


def sign(
    credentials: Credentials,
    scope: Scope,
    *,
    method: str,
    path: str,
    query: str = "",
    headers: Mapping[str, str],
    payload: str = EMPTY_SHA256,
    now: float | None = None,
) -> dict[str, str]:
    """The headers to add to a request so that it is signed.

    `headers` are those to be signed, `Host` among them; `payload` is the body's SHA-256 in hexadecimal digits, `now` seconds
    since the epoch.
    """
    at = int(time.time() if now is None else now)
    ready = _prepared(credentials, scope, method, path, query, tuple(headers.items()), at, _s3_payload(scope, payload))
    digest = sha256(ready.canonical + payload.encode()).hexdigest()
    signature = hmac.digest(ready.key, (ready.to_sign + digest).encode(), "sha256").hex()
    return {**ready.added, "Authorization": ready.authorization + signature}


class _BodylessSignature(NamedTuple):
    """All of a signature but what the body decides: a coordinator asks the same of Lambda a thousand times a second."""

    canonical: bytes
    key: bytes
    to_sign: str
    authorization: str
    added: Mapping[str, str]


def _s3_payload(scope: Scope, payload: str) -> str:
    """S3 wants the body's digest as a header, which is signed too."""
    return payload if scope.service == "s3" else ""


@lru_cache(maxsize=64)
def _prepared(
    credentials: Credentials,
    scope: Scope,
    method: str,
    path: str,
    query: str,
    headers: tuple[tuple[str, str], ...],
    at: int,
    payload: str,
) -> _BodylessSignature:
    stamp = _stamp(at)
    added = {"X-Amz-Date": stamp}
    if scope.service == "s3":
        added["X-Amz-Content-SHA256"] = payload
    else:
        path = quote(path, safe="/~")
    if credentials.token:
        added["X-Amz-Security-Token"] = credentials.token
    canonical = sorted([(name.lower(), " ".join(value.split())) for name, value in (*headers, *added.items())])
    names = ";".join([name for name, _ in canonical])
    lines = "".join([f"{name}:{value}\n" for name, value in canonical])
    where = f"{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"
    return _BodylessSignature(
        canonical=f"{method}\n{path}\n{query}\n{lines}\n{names}\n".encode(),
        key=_signing_key(credentials.secret_key, stamp[:8], scope.region, scope.service),
        to_sign=f"{_ALGORITHM}\n{stamp}\n{where}\n",
        authorization=f"{_ALGORITHM} Credential={credentials.access_key}/{where}, SignedHeaders={names}, Signature=",
        added=added,
    )


@lru_cache(maxsize=4)
def _stamp(now: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))


@lru_cache(maxsize=16)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
