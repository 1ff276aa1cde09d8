"""Who calls: AWS Signature Version 4, checked as Lambda checks it, with Lambda's words when it is refused.

Written from the published description of the algorithm, apart from `gg.aws.sign`, so that an error in the one is not believed
by the other; the test has botocore's own signer sign.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

from tests.servers.lambda_service.errors import Refused
from tests.servers.lambda_service.http import Request

_ALGORITHM = "AWS4-HMAC-SHA256"
_SKEW_S = 300
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
    "signing method. Consult the service documentation for details."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A pair of keys. `expires` is a Unix time; `allow` are the actions it may do, `*` for all."""

    access_key: str
    secret_key: str
    token: str = ""
    expires: float | None = None
    name: str = "tester"
    allow: tuple[str, ...] = ("*",)


class Auth:
    """Checks requests for one service and region."""

    def __init__(self, identities: tuple[Identity, ...], region: str, service: str = "lambda") -> None:
        self._identities = {each.access_key: each for each in identities}
        self._region = region
        self._service = service

    def check(self, request: Request, now: float | None = None) -> Identity:
        """Whose request this is; Refused when it is nobody's."""
        now = time.time() if now is None else now
        scope, signed, signature = _authorization(request.headers.get("authorization", ""))
        access_key, date, region, service = scope
        identity = self._identities.get(access_key)
        if identity is None or identity.token != request.headers.get("x-amz-security-token", ""):
            raise Refused(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
        if (region, service) != (self._region, self._service):
            wrong, right = ("region", self._region) if service == self._service else ("service", self._service)
            raise Refused(
                403, "InvalidSignatureException", f"Credential should be scoped to a valid {wrong}: '{right}'."
            )
        stamp = request.headers.get("x-amz-date", "")
        _check_time(stamp, now)
        expected = _signature(request, signed, stamp, "/".join((date, region, service)), identity.secret_key)
        if not hmac.compare_digest(expected, signature):
            raise Refused(403, "InvalidSignatureException", _MISMATCH)
        if identity.expires is not None and identity.expires < now:
            raise Refused(403, "ExpiredTokenException", "The security token included in the request is expired")
        return identity


def may(identity: Identity, action: str, resource: str, account: str) -> None:
    """Refused when the identity has no right to do this."""
    if not {"*", action} & set(identity.allow):
        who = f"arn:aws:iam::{account}:user/{identity.name}"
        raise Refused(
            403,
            "AccessDeniedException",
            f"User: {who} is not authorized to perform: {action} on resource: {resource} because no identity-based policy"
            f" allows the {action} action",
        )


def _authorization(header: str) -> tuple[tuple[str, str, str, str], tuple[str, ...], str]:
    """(access key, date, region, service), signed headers, signature."""
    algorithm, _, rest = header.partition(" ")
    if algorithm != _ALGORITHM:
        raise Refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    try:
        access_key, date, region, service, _ = parts["Credential"].rsplit("/", 4)
        return (access_key, date, region, service), tuple(parts["SignedHeaders"].split(";")), parts["Signature"]
    except (KeyError, ValueError):
        message = f"Authorization header is incomplete. Authorization={header}"
        raise Refused(403, "IncompleteSignatureException", message) from None


def _check_time(stamp: str, now: float) -> None:
    try:
        then = _seconds(stamp)
    except ValueError:
        message = f"Date must be in ISO-8601 'basic format'. Got '{stamp}'."
        raise Refused(403, "IncompleteSignatureException", message) from None
    if then < now - _SKEW_S:
        limit, what = now - _SKEW_S, "Signature expired: {} is now earlier than {} ({} - 5 min.)"
    elif then > now + _SKEW_S:
        limit, what = now + _SKEW_S, "Signature not yet current: {} is still later than {} ({} + 5 min.)"
    else:
        return
    raise Refused(403, "InvalidSignatureException", what.format(stamp, _basic(limit), _basic(now)))


@lru_cache(maxsize=64)
def _seconds(stamp: str) -> float:
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _basic(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


def _signature(request: Request, signed: tuple[str, ...], stamp: str, scope: str, secret: str) -> str:
    canonical = "\n".join(
        (
            request.method,
            _canonical_path(request.target.partition("?")[0]),
            _canonical_query(request.target.partition("?")[2]),
            *(f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in signed),
            "",
            ";".join(signed),
            hashlib.sha256(request.body).hexdigest(),
        )
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join((_ALGORITHM, stamp, f"{scope}/aws4_request", digest))
    return hmac.new(_key(secret, scope), to_sign.encode(), hashlib.sha256).hexdigest()


@lru_cache(maxsize=1024)
def _canonical_path(path: str) -> str:
    """Encoded once more than it was sent: every service but S3 does that."""
    return quote(path, safe="/-_.~")


def _canonical_query(query: str) -> str:
    return "&".join(sorted(part if "=" in part else f"{part}=" for part in query.split("&") if part))


@lru_cache(maxsize=64)
def _key(secret: str, scope: str) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in (*scope.split("/"), "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def with_more(identities: tuple[Identity, ...], more: Mapping[str, object]) -> tuple[Identity, ...]:
    """The identities and one that is given as JSON."""
    values = {**more, "allow": tuple(more.get("allow", ("*",)))}  # type: ignore[arg-type]  # a list, from JSON
    return (*identities, Identity(**values))  # type: ignore[arg-type]
