"""What gg tells a person when something is wrong, and the exit status that goes with it.

Each class is one kind of trouble with one documented exit status. A failing compiler is data, not an
exception: its own status is passed on. `gg.cli` alone prints these.
"""

from __future__ import annotations

import errno
from typing import ClassVar

FREE_SOME = "free some, for example with: gg gc"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
WORKER_KEY = r"(?<=/)(?![0-9a-f]{64})[A-Za-z0-9_-]{64}(?![A-Za-z0-9_-])"
"""A worker's key where a user writes it, HOST/KEY: `gg.wire.pin.WorkerKey.text`. A name of 64 hex digits is a digest."""
_LOGIN = r"(?<=://)(?:[^\s/@]*|[^\s@]*:[^\s@]*)(?=@)"
_MORE = "\N{HORIZONTAL ELLIPSIS}"


def without_secrets(text: str) -> str:
    """The text for people: without workers' keys, and without the name and password of a URL."""
    if "/" not in text:
        return text
    import re

    return re.sub(f"{_LOGIN}|{WORKER_KEY}", _MORE, text)


class GGError(Exception):
    """What happened, and what to do about it. Exit status 70 (a fault inside gg) unless a subclass says otherwise.

    `what` often repeats what a user wrote, and goes to the logs of a CI: secrets are taken out.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, what: str, *, hint: str = "") -> None:
        self.what = without_secrets(what)
        super().__init__(self.what)
        self.hint = hint


class UsageError(GGError):
    """The command line or a setting is wrong. Exit status 64."""

    exit_code = 64


class UnknownTarget(GGError):
    """A target that is no file, no placeholder and nothing recorded. Exit status 66."""

    exit_code = 66


class StoreError(GGError):
    """The store cannot be read or written: no space, no permission, no answer. Exit status 74."""

    exit_code = 74


class NoRoom(StoreError):
    """Nothing more can be written: a full disk, a quota. Exit status 74."""


class FormatError(GGError):
    """Bytes that are not what their place says: damaged, truncated, or of a newer version. Exit status 65."""

    exit_code = 65


class MissingObject(GGError):
    """A blob, thunk or reduction that is needed and that no store holds. Exit status 69."""

    exit_code = 69


class InputChanged(MissingObject):
    """An input that is not what it was when it was recorded, and no store has its bytes: only recording again helps."""

    def __init__(self, path: str, *, hint: str = "run gg-infer again") -> None:
        super().__init__(f"{path} has changed or gone since this was recorded", hint=hint)


class BudgetError(GGError):
    """What is asked for would cost more than it may; also how a run ends that was stopped at its budget. Exit status 79."""

    exit_code = 79


class ToolMissing(GGError):
    """A real program that gg needs is not installed. Exit status 127, as a shell would give."""

    exit_code = 127


class NotExecutable(GGError):
    """A command that is there and cannot be executed. Exit status 126, as a shell would give."""

    exit_code = 126


class Interrupted(GGError):
    """Stopped by the user. Exit status 130, as a shell gives for SIGINT."""

    exit_code = 130


class SetupError(GGError):
    """Something outside is not set up: no bucket, another region, no trusted certificate, a clock. Exit status 78."""

    exit_code = 78


class Unreachable(SetupError):
    """Nobody has ever answered where the set-up says: no address, no connection. Exit status 75: it may be the network."""

    exit_code = 75


class AccessError(SetupError):
    """Who we are is not known, or not allowed: no credentials, expired ones, no right. Exit status 77."""

    exit_code = 77


def no_room(error: BaseException, place: str = "") -> StoreError | None:
    """What to tell of an exception that means that nothing more can be written, `place` if it names none; else None."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        name = error.filename if isinstance(error.filename, str) else place
        return NoRoom(f"cannot write{f' {name}' if name else ''}: {error.strerror}", hint=FREE_SOME)
    if type(error).__module__ == "sqlite3" and ("full" in str(error) or "disk I/O" in str(error)):
        return NoRoom(f"cannot write{f' in {place}' if place else ''}: {error}", hint=FREE_SOME)
    return None
