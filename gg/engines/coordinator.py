"""Who asks a worker: a name that is a secret, so that nobody can ask in somebody else's place.

A worker that served one coordinator is emptied before it serves another (`gg.worker.serve`). The name is the user's: it is
kept beside the user's keys, or comes from `GG_KEY` on machines without a home, so that a worker knows the next run again.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress

from gg.workspace import homes
from gg.workspace import settings as config

_SIZE = 32
_CONTEXT = "gg 2026-11-29 the name of a coordinator"


def coordinator(home: str = "", key: str = "") -> bytes:
    """32 bytes. `home`: the directory of the user's settings; `key`: a secret key's text. By default as configured."""
    key = key or config.secret_key()
    if key:
        from blake3 import blake3

        return blake3(key.encode(errors="surrogateescape"), derive_key_context=_CONTEXT).digest()
    path = os.path.join(home or homes.home(), "coordinator")
    made = _read(path) or _make(path)
    return made or secrets.token_bytes(_SIZE)  # where nothing can be kept, of this run alone


def _read(path: str) -> bytes:
    """The name in the file; empty if there is none, or one that others may know."""
    with suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            info = os.fstat(fd)
            data = file.read(_SIZE + 1)
            if len(data) == _SIZE and info.st_uid == os.geteuid() and not info.st_mode & 0o077:
                return data
    return b""


def _make(path: str) -> bytes:
    """Keep a new name, unless another process is quicker; empty where that cannot be done."""
    aside = f"{path}.{secrets.token_hex(8)}"
    try:
        homes.make_closed(os.path.dirname(path))
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_SIZE))
        try:
            os.link(aside, path)
        except FileExistsError:
            if not _read(path):
                os.replace(aside, path)  # damaged, or readable by others
        return _read(path)
    except OSError:
        return b""
    finally:
        with suppress(OSError):
            os.unlink(aside)
