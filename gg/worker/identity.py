"""A worker's identity for those who connect to it: a certificate of its own making, and a token.

Both are made once and kept in a directory that only the worker's user can read. The *key* that a user pastes holds the
certificate's SHA-256, by which the user knows the worker, and the token, by which the worker lets the user in.
"""

from __future__ import annotations

import os
import secrets
import ssl
from typing import NamedTuple

from gg.errors import SetupError, StoreError
from gg.wire.frames import TOKEN_SIZE
from gg.wire.pin import WorkerKey, fingerprint_of
from gg.workspace.homes import make_closed

_YEARS = 30


class Identity(NamedTuple):
    """Files with the certificate and its private key, and the key for others."""

    certificate: str
    private: str
    key: WorkerKey

    def context(self) -> ssl.SSLContext:
        """For the listening side."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.certificate, self.private)
        return context


def load_identity(directory: str, *, renew: bool = False) -> Identity:
    """The identity kept in `directory`. A new one is made if there is none, or with `renew`. StoreError, SetupError."""
    certificate, private, token = (
        os.path.join(directory, name) for name in ("certificate.pem", "private.pem", "token")
    )
    try:
        make_closed(directory)
        if renew or not all(map(os.path.exists, (certificate, private, token))):
            _make(certificate, private, token)
        with open(certificate, encoding="ascii") as file:
            fingerprint = fingerprint_of(ssl.PEM_cert_to_DER_cert(file.read()))
        with open(token, "rb") as raw:
            return Identity(certificate, private, WorkerKey(fingerprint, raw.read(TOKEN_SIZE)))
    except (OSError, ValueError) as error:
        raise StoreError(f"no identity for a worker in {directory}: {error}", hint="see to the directory") from error


def _make(certificate: str, private: str, token: str) -> None:
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise SetupError("a worker that listens needs cryptography", hint="pip install 'ggbuild[remote]'") from error
    import datetime

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gg worker")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks differ; nobody checks this, only the pin counts
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    _write(private, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    _write(certificate, made.public_bytes(pem))
    _write(token, secrets.token_bytes(TOKEN_SIZE))


def _write(path: str, data: bytes) -> None:
    aside = f"{path}.{os.getpid()}"
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(fd, "wb") as file:
        file.write(data)
    os.replace(aside, path)
