"""What gg-infer was started with and Python does not show: signals that it ignores itself, and descriptors.

The build gets both as gg-infer got them, and no child of our own gets the descriptors.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

_HIDDEN = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores these as it starts, and forgets what was
_SHELLS = ("sh", "dash", "bash", "zsh", "ksh", "mksh", "busybox", "env", "setsid", "nohup")


def ignored_signals() -> list[int]:
    """Those that a child must be told to ignore. All others that are ignored here, a child of ours ignores anyway.

    SIGCHLD is from now on not ignored here: who does is not told how his children end.
    What SIGPIPE was is asked of the parent, if that is a shell, for a shell passes on what it ignores.
    """
    found = []
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        found.append(int(signal.SIGCHLD))
    parent = f"/proc/{os.getppid()}"
    try:
        if os.path.basename(os.readlink(f"{parent}/exe")) not in _SHELLS:
            return found
        with open(f"{parent}/status", "rb") as file:
            mask = int(file.read().partition(b"\nSigIgn:")[2].split(maxsplit=1)[0], 16)
    except (OSError, ValueError, IndexError):
        return found
    return found + [int(number) for number in _HIDDEN if mask >> (number - 1) & 1]


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def keep_from_children() -> None:
    """The build has its descriptors: what is started from now on gets none but those that it is given."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with suppress(OSError):  # the listing's own
                os.set_inheritable(int(name), False)
