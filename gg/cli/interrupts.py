"""SIGINT while Python starts. The native program that the user called blocks it, so that no Ctrl-C meets a Python that is still
being loaded. gg lets it in as soon as it can answer it.
"""

from __future__ import annotations

_held = False


def held(by_who_started_us: bool) -> None:
    global _held
    _held = by_who_started_us


def let_in() -> None:
    """Unblock SIGINT. KeyboardInterrupt if one has come meanwhile."""
    if _held:
        from signal import SIG_UNBLOCK, SIGINT, pthread_sigmask

        pthread_sigmask(SIG_UNBLOCK, [SIGINT])


def hold_again() -> None:
    """Block SIGINT again, before this command is executed once more."""
    if _held:
        from signal import SIG_BLOCK, SIGINT, pthread_sigmask

        pthread_sigmask(SIG_BLOCK, [SIGINT])
