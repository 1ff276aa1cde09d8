"""The keys that decide whose results are believed: Ed25519 keys, the user's own and the trusted ones.

A public key is written `NAME:BASE64`, 32 bytes; a secret one `NAME:BASE64` too, in a file that only its owner may read. The
name is for people and means nothing: the 32 bytes are trusted. Files:

  CONFIG/keys/NAME.secret    the user's own keys; the one called `default`, or the only one, signs
  CONFIG/trusted             public keys, a line each; a `#` begins a comment

with CONFIG as `gg.workspace.homes.home` has it. Keys in `trusted = [...]` of a workspace's gg.toml count too, and
`GG_KEY` may hold a secret key itself, for machines without a home.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from gg.errors import FormatError, StoreError, UsageError
from gg.workspace.homes import make_closed, need_closed

_SIZE = 32
_NAME = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"


class PublicKey(NamedTuple):
    """A key to check signatures with."""

    name: str
    raw: bytes

    def __str__(self) -> str:
        return f"{self.name}:{base64.b64encode(self.raw).decode()}"


class SecretKey(NamedTuple):
    """A key to sign with."""

    name: str
    seed: bytes

    def __repr__(self) -> str:
        return f"SecretKey({self.name!r})"

    @property
    def text(self) -> str:
        return f"{self.name}:{base64.b64encode(self.seed).decode()}"

    @property
    def public(self) -> PublicKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return PublicKey(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    def sign(self, data: bytes) -> bytes:
        """64 bytes."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(data)


class Keyring(NamedTuple):
    """The key to sign with, if there is one, and the trusted keys, among which it is."""

    own: SecretKey | None = None
    trusted: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, own: SecretKey | None, trusted: Iterable[PublicKey] = ()) -> Keyring:
        keys = {key.raw for key in trusted} | ({own.public.raw} if own else set())
        return cls(own, frozenset(keys))


def valid(raw: bytes, signature: bytes, data: bytes) -> bool:
    """Whether the owner of the public key `raw` has signed `data`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def parse_public(text: str) -> PublicKey:
    """The key that is written `NAME:BASE64`; UsageError for anything else."""
    return PublicKey(*_parse(text, "public"))


def parse_secret(text: str) -> SecretKey:
    """As `parse_public`, for a secret key. Errors do not repeat the text."""
    return SecretKey(*_parse(text, "secret"))


def _parse(text: str, what: str) -> tuple[str, bytes]:
    name, _, rest = text.strip().partition(":")
    try:
        raw = base64.b64decode(rest, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _SIZE or not re.fullmatch(_NAME, name):
        shown = f"{text.strip()[:80]!r} is" if what == "public" else "this is"
        raise UsageError(f"{shown} no {what} key", hint="a key is written NAME:BASE64; gg key show prints yours")
    return name, raw


# Files


def new(home: str, name: str) -> SecretKey:
    """Make a secret key and keep it. UsageError if there is one of that name, or the name cannot be one."""
    if not re.fullmatch(_NAME, name):
        raise UsageError(f"{name!r} cannot be the name of a key", hint="letters, digits, and . _ @ - after the first")
    key = SecretKey(name, os.urandom(_SIZE))
    path = _secret_path(home, name)
    try:
        make_closed(os.path.dirname(path))
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key.text + "\n")
    except FileExistsError:
        raise UsageError(f"there is a key {name} already", hint="choose another name: gg key new NAME") from None
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from error
    return key


def secrets(home: str) -> list[SecretKey]:
    """The user's own keys, by name."""
    directory = os.path.join(home, "keys")
    need_closed(directory)
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".secret"))
    except (FileNotFoundError, NotADirectoryError):  # a home may be /dev/null
        return []
    except OSError as error:
        raise StoreError(f"cannot read {directory}: {error.strerror}") from error
    return [_read_secret(os.path.join(directory, name)) for name in names]


def own(home: str, given: str = "") -> SecretKey | None:
    """The key to sign with. `given` is the text of one (`GG_KEY`), and takes precedence."""
    if given:
        return parse_secret(given)
    keys = secrets(home)
    return next((key for key in keys if key.name == "default"), keys[0] if len(keys) == 1 else None)


def trusted(home: str) -> list[PublicKey]:
    """The keys that this user trusts. FormatError names a line that is no key."""
    path = _trusted_path(home)
    need_closed(path)
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (FileNotFoundError, NotADirectoryError):  # a home may be /dev/null
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"cannot read {path}: {error}") from error
    keys: list[PublicKey] = []
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if text:
            try:
                keys.append(parse_public(text))
            except UsageError as error:
                raise FormatError(f"{path}:{number}: {error.what}", hint=error.hint) from None
    return keys


def trust(home: str, key: PublicKey) -> bool:
    """Trust `key` from now on; False if it was trusted already."""
    if key.raw in {known.raw for known in trusted(home)}:
        return False
    path = _trusted_path(home)
    try:
        make_closed(home)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as file:
            file.write(f"{key}\n")
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from error
    return True


def distrust(home: str, name: str) -> list[PublicKey]:
    """Stop trusting keys of that name, or with those 32 bytes. Returns them."""
    keys = trusted(home)
    gone = [key for key in keys if name in (key.name, str(key))]
    if gone:
        path = _trusted_path(home)
        try:
            aside = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(aside, "w", encoding="utf-8") as file:
                file.writelines(f"{key}\n" for key in keys if key not in gone)
            os.replace(path + ".new", path)
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror}") from error
    return gone


def _read_secret(path: str) -> SecretKey:
    need_closed(path)
    try:
        with open(path, encoding="utf-8") as file:
            return parse_secret(file.read())
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"cannot read {path}: {error}") from error
    except UsageError as error:
        raise FormatError(f"{path}: {error.what}", hint=error.hint) from None


def _secret_path(home: str, name: str) -> str:
    return os.path.join(home, "keys", f"{name}.secret")


def _trusted_path(home: str) -> str:
    return os.path.join(home, "trusted")
