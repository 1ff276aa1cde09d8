"""What gg tells a person when something is wrong, and the exit status that goes with it.

Each class is one kind of trouble with one documented exit status. A failing compiler is data, not an
exception: its own status is passed on. `gg.cli` alone prints these.
"""

from __future__ import annotations

import errno
import os
from typing import ClassVar

FREE_SOME = "free some, for example with: gg gc"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_BROKEN_DISK = frozenset({errno.EIO, errno.EROFS, errno.ESTALE, errno.EUCLEAN})
_SCARCE = {
    errno.EMFILE: "allow more, for example with: ulimit -n 1024",
    errno.ENFILE: "the whole machine has too many open: end something else",
    errno.EAGAIN: "no further process or thread may be started: see ulimit -u, or end something else",
    errno.ENOMEM: "memory is short: see ulimit -v, end something else, or have fewer commands at once with --jobs",
}
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


class ScarceError(StoreError):
    """The machine gives this process no more open files, processes, threads or memory. Exit status 71. `lasting`: trying again
    is of no use, for it is the process's own limit."""

    exit_code = 71

    def __init__(self, what: str, *, hint: str = "", lasting: bool = False) -> None:
        super().__init__(what, hint=hint)
        self.lasting = lasting


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


def machine_error(error: BaseException, place: str = "") -> GGError | None:
    """What to tell of an exception that this machine is the cause of, and no bug: nothing more can be written, `place` if it
    names none; a disk is broken; files, processes or memory are scarce. Else None."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        name = _named(error) or place
        return NoRoom(f"cannot write{f' {name}' if name else ''}: {error.strerror}", hint=FREE_SOME)
    if isinstance(error, OSError) and error.errno in _BROKEN_DISK:
        name = _named(error) or place
        return StoreError(
            f"cannot use {name or 'a file'}: {error.strerror}", hint="check the disk, and how it is mounted"
        )
    if type(error).__module__ == "sqlite3" and ("full" in str(error) or "disk I/O" in str(error)):
        return NoRoom(f"cannot write{f' in {place}' if place else ''}: {error}", hint=FREE_SOME)
    return _scarce(error)


def ends_run(error: BaseException, place: str = "") -> GGError | None:
    """The error that an attempt's exception ends the whole run with, since no other attempt would fare better; else None."""
    if isinstance(error, OSError) and error.errno == errno.EIO:  # it may be one file, or one command's map
        return None
    known = machine_error(error, place)
    return None if isinstance(known, ScarceError) and not known.lasting else known


def _scarce(error: BaseException) -> ScarceError | None:
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError):
        number = errno.ENOMEM
    elif isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        number = errno.EAGAIN
    elif isinstance(error, ImportError):  # a library says why it cannot be loaded by words alone
        number = next((each for each in _SCARCE if os.strerror(each) in str(error)), None)
    if number not in _SCARCE:
        return None
    return ScarceError(_words(error, number), hint=_SCARCE[number], lasting=number == errno.EMFILE)


def _words(error: BaseException, number: int) -> str:
    name = _named(error) if isinstance(error, OSError) else ""
    return f"{f'{name}: ' if name else ''}{os.strerror(number)}"


def _named(error: OSError) -> str:
    name = error.filename
    return os.fsdecode(name) if isinstance(name, (str, bytes)) else ""
