"""The URI of a store: `s3://bucket/prefix?region=R`, `gs://…`, `az://…`, as in `GG_STORAGE_URI` and in `store` of gg.toml."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

from gg.errors import UsageError
from gg.light.named import NamedTuple

DAY_S = 86400.0
_HINT = (
    "a store is written s3://BUCKET/PREFIX?region=REGION; after it may come &expire=DAYS, &mode=read and &owner=ACCOUNT;"
    " gs://BUCKET/PREFIX and az://CONTAINER/PREFIX take ?expire=DAYS and &mode=read; unix:/PATH is a socket of this machine"
)
_OPTIONS = {"region", "expire", "mode", "endpoint", "owner"}
_OPTIONS_OF_ALL = {"expire", "mode"}
SOCKET = "unix:"
_SCHEMES = ("s3", "gs", "az")


class StoreUri(NamedTuple):
    """A place in a bucket. `prefix` has no slashes at its ends. `expire_s`: after how many seconds the bucket's own lifecycle
    rule may remove objects. `writable`: whether gg may put anything there. `owner`: the account that the bucket must belong
    to, if that is not the user's own. `scheme`: the service.
    """

    bucket: str
    prefix: str = ""
    region: str = ""
    endpoint: str = ""
    expire_s: float = 30 * DAY_S
    writable: bool = True
    owner: str = ""
    scheme: str = "s3"

    def name(self, path: str) -> str:
        """The object key of `path` below the prefix."""
        return f"{self.prefix}/{path}" if self.prefix else path

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.prefix}".rstrip("/")


def parse(text: str) -> StoreUri:
    """The place that `text` names. UsageError if it names none."""
    if text.startswith(SOCKET):
        return _socket(text)
    try:
        parts = urlsplit(text)
    except ValueError:  # brackets that are no address
        raise UsageError(f"{text!r} is no store", hint=_HINT) from None
    if parts.scheme not in _SCHEMES or not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", parts.netloc):
        raise UsageError(f"{text!r} is no store", hint=_HINT)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(options.keys() - (_OPTIONS if parts.scheme == "s3" else _OPTIONS_OF_ALL))
    if unknown:
        raise UsageError(f"{text!r}: there is no option {unknown[0]!r}", hint=_HINT)
    days = options.get("expire", "30")
    if not re.fullmatch(r"\d{1,5}(\.\d+)?", days) or float(days) <= 0:
        raise UsageError(f"{text!r}: expire is a number of days", hint=_HINT)
    mode = options.get("mode", "write")
    if mode not in ("read", "write"):
        raise UsageError(f"{text!r}: mode is read or write", hint=_HINT)
    owner = options.get("owner", "")
    if not re.fullmatch(r"(\d{12})?", owner, re.ASCII):
        raise UsageError(f"{text!r}: owner is an account, 12 digits", hint=_HINT)
    return StoreUri(
        bucket=parts.netloc,
        prefix=unquote(parts.path).strip("/"),
        region=options.get("region", ""),
        endpoint=options.get("endpoint", ""),
        expire_s=float(days) * DAY_S,
        writable=mode == "write",
        owner=owner,
        scheme=parts.scheme,
    )


def _socket(text: str) -> StoreUri:
    path = text.removeprefix(SOCKET).removeprefix("//")
    if not path.startswith("/"):
        raise UsageError(f"{text!r} is no store", hint="the socket of a store is written unix:/PATH")
    return StoreUri(bucket="", prefix=path, scheme="unix")
