"""A worker's key: which certificate to believe, and which token to send."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import NamedTuple

from gg.errors import UsageError
from gg.wire.frames import TOKEN_SIZE

_PRINT_SIZE = 32


class WorkerKey(NamedTuple):
    """`fingerprint`: SHA-256 of the certificate. `token`: the shared secret."""

    fingerprint: bytes
    token: bytes

    @property
    def text(self) -> str:
        return base64.urlsafe_b64encode(self.fingerprint + self.token).decode()

    def __repr__(self) -> str:
        return "WorkerKey(…)"

    @classmethod
    def parse(cls, text: str) -> WorkerKey:
        """UsageError for what is no key."""
        try:
            data = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            data = b""
        if len(data) != _PRINT_SIZE + TOKEN_SIZE:
            raise UsageError(
                "a worker's key is damaged", hint="paste the whole line that gg worker --listen has printed"
            )
        return cls(data[:_PRINT_SIZE], data[_PRINT_SIZE:])


def fingerprint_of(certificate: bytes | None) -> bytes:
    """Of a certificate in DER, as the other side has shown it."""
    return hashlib.sha256(certificate or b"").digest()
