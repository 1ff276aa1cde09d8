"""The key of a build behind a queue, and what follows from it: the build's name, and the identities in its letters.

Names of queues are no secret: whoever may list an account's queues, or look at its metrics, knows them. So a build is not
believed for its name. It makes a secret key, from which its name follows, and tells the key in its calls alone (`gg.wire.letters`).
Only who may read the queue of the calls knows it: the workers. Nobody else can call in the build's name or withdraw its jobs, put a
job into its queue that a worker would run, or answer one.
"""

from __future__ import annotations

import os

from blake3 import blake3

KEY_SIZE = 32
_NAME_SIZE = 12  # bytes: queues have short names
_PROOF_SIZE = 8  # bytes: nobody can try more than a few
_CONTEXT = "gg 2026-12-01 the name of a build"
_MOST_DIGITS = 15


def new_key() -> bytes:
    return os.urandom(KEY_SIZE)


def build_name(key: bytes) -> str:
    """The name of the build that has this key, for its queues."""
    return blake3(key, derive_key_context=_CONTEXT).hexdigest(_NAME_SIZE)


def job_id(key: bytes, number: int) -> str:
    """What a job, and each answer to it, is known by."""
    return f"{number}-{_proof(key, str(number))}"


def job_number(key: bytes, id: str) -> int | None:
    """None for an id that `job_id` has not made with this key."""
    number = id.partition("-")[0]
    if not (number.isdecimal() and number.isascii() and len(number) <= _MOST_DIGITS):
        return None
    return int(number) if id == job_id(key, int(number)) else None


def here_id(key: bytes) -> str:
    """The id by which a worker answers a build's calls."""
    return _proof(key, "here")


def _proof(key: bytes, what: str) -> str:
    return blake3(what.encode(), key=key).hexdigest(_PROOF_SIZE)
