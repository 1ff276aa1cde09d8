"""The settings of a cluster, checked: where it is, and how gg speaks to it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from urllib.parse import unquote, urlsplit

from gg.errors import AccessError, UsageError
from gg.light.named import NamedTuple
from gg.workspace import settings as config
from gg.workspace.settings import Settings

_SCHEMES = {"grpc": 80, "grpcs": 443}
_HINT = "grpcs://HOST:PORT, with /INSTANCE behind it if the cluster has several; grpc:// on this machine"
ROOTS = ("/", "relative")


class ClusterConfig(NamedTuple):
    """`address`: HOST:PORT. `relative`: workers show the input root in a directory of theirs, not as `/`.

    `headers` go with each call. `ca`, `certificate`, `key`: PEM, empty for none.
    """

    address: str
    secure: bool = True
    instance: str = ""
    relative: bool = False
    platform: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    priority: int = 0
    ca: bytes = b""
    certificate: bytes = b""
    key: bytes = b""

    def __str__(self) -> str:
        return f"{self.address}/{self.instance}" if self.instance else self.address


def cluster_of(settings: Settings, variable: Callable[[str], str] = config.variable) -> ClusterConfig:
    """The cluster that the settings name. `variable` gives a variable of the environment. UsageError, AccessError."""
    if not settings.reapi:
        raise UsageError("the reapi engine needs a cluster", hint=f"--engine reapi=URL, or reapi in gg.toml: {_HINT}")
    address, secure, instance = parse_url(settings.reapi)
    if settings.reapi_root not in ROOTS:
        raise UsageError(f"reapi_root is {settings.reapi_root!r}", hint=f"one of {', '.join(ROOTS)}")
    headers = tuple([_header(text, variable) for text in settings.reapi_headers])
    if not secure and not _is_here(address) and any(headers):
        raise UsageError(f"headers would go to {address} in the clear", hint="write grpcs:// in its place")
    certificate, key = _pem(settings.reapi_certificate), _pem(settings.reapi_key)
    if bool(certificate) != bool(key):
        raise UsageError("reapi_certificate and reapi_key belong together", hint="set both, or neither")
    return ClusterConfig(
        address,
        secure,
        instance,
        settings.reapi_root == "relative",
        _pairs("reapi_platform", settings.reapi_platform, "="),
        headers,
        settings.reapi_priority,
        _pem(settings.reapi_ca),
        certificate,
        key,
    )


def parse_url(text: str) -> tuple[str, bool, str]:
    """Address, whether it is by TLS, and instance. UsageError."""
    try:
        url = urlsplit(text)
        port = url.port or _SCHEMES.get(url.scheme)
    except ValueError:
        url, port = urlsplit(""), None
    if url.scheme not in _SCHEMES or not url.hostname or not port or url.query or url.fragment or url.username:
        raise UsageError(f"{text!r} is no cluster", hint=_HINT)
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    address, secure = f"{host}:{port}", url.scheme == "grpcs"
    if not secure and not _is_here(address):
        raise UsageError(f"{text} would send the build in the clear", hint="write grpcs:// in its place")
    return address, secure, unquote(url.path.strip("/"))


def _is_here(address: str) -> bool:
    """Whether it is this machine's own address."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _pairs(name: str, texts: Sequence[str], between: str) -> tuple[tuple[str, str], ...]:
    pairs = [text.partition(between) for text in texts]
    for text, (key, found, _) in zip(texts, pairs, strict=True):
        if not key.strip() or not found:
            said = "have such an entry" if name == "reapi_headers" else f"be {text!r}"  # which may be a token
            raise UsageError(f"{name} cannot {said}", hint=f"each is NAME{between}VALUE")
    return tuple(sorted([(key.strip(), value.strip()) for key, _, value in pairs]))


def _header(text: str, variable: Callable[[str], str]) -> tuple[str, str]:
    """A header's name and value. In `NAME: VALUE` the value may have `$VARIABLE`s of the environment, or be the text of `@FILE`."""
    ((name, value),) = _pairs("reapi_headers", (text,), ":")
    words = value.split(" ")
    for index, word in enumerate(words):
        if word.startswith("$"):
            words[index] = variable(word[1:].strip("{}"))
            if not words[index]:
                raise AccessError(
                    f"the header {name} needs {word}, which is not set", hint="export it, or name a file: @FILE"
                )
        elif word.startswith("@"):
            words[index] = _text(word[1:]).strip()
    return name.lower(), " ".join(words)


def _text(path: str) -> str:
    return _read(path).decode(errors="replace")


def _pem(path: str) -> bytes:
    return _read(path) if path else b""


def _read(path: str) -> bytes:
    from os.path import expanduser

    try:
        with open(expanduser(path), "rb") as file:
            return file.read()
    except OSError as error:
        raise AccessError(
            f"cannot read {path}: {error.strerror}", hint="see to the file, or to the setting that names it"
        ) from error
