"""SIGINT while Python starts: the native program that a user has called has it blocked, so that no Ctrl-C meets a Python that is
only being loaded. It is let in as soon as gg can answer it.
"""

from __future__ import annotations

_held = False


def held(by_who_started_us: bool) -> None:
    global _held
    _held = by_who_started_us


def let_in() -> None:
    """KeyboardInterrupt if one has come meanwhile."""
    if _held:
        from signal import SIG_UNBLOCK, SIGINT, pthread_sigmask

        pthread_sigmask(SIG_UNBLOCK, [SIGINT])


def hold_again() -> None:
    """Before this command is executed once more."""
    if _held:
        from signal import SIG_BLOCK, SIGINT, pthread_sigmask

        pthread_sigmask(SIG_BLOCK, [SIGINT])
