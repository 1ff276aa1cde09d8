"""gg's own commands inside of a recording.

`gg-infer` in the workspace that is being recorded has nothing to add: its command is recorded as any other. All other commands
leave the recording: they must see placeholders as placeholders, and the tools that they run must run for real.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from typing import NoReturn

from gg.cli import interrupts
from gg.errors import NotExecutable, ToolMissing
from gg.workspace import settings as config
from gg.workspace.workspace import Workspace


def leave_recording() -> None:
    """Leave the recording. If the interposer is loaded, this command is executed once more without it."""
    if not config.recorder_socket():
        return
    if config.is_interposed():
        interrupts.hold_again()
        os.execve(sys.executable, sys.orig_argv, {**config.outside_environment(), "GG_OUTSIDE": "1"})
    config.go_outside()


def is_recorded() -> bool:
    """Whether a recorder answers, and records this workspace. If there is no workspace here, any recorder will do."""
    path = config.recorder_socket()
    if not path or not _answers(path):
        return False
    here = Workspace.find()
    return here is None or os.path.realpath(here.tmp) == os.path.realpath(os.path.dirname(path))


def become(command: Sequence[str]) -> NoReturn:
    """Execute `command`, as if there were no `gg-infer` before it. ToolMissing or NotExecutable when it cannot be run."""
    from gg.record.launching import inherited

    ignored = inherited.ignored_signals()
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
    env = config.given_environment()
    try:
        try:
            os.execvpe(command[0], list(command), env)
        except OSError as error:
            program = shutil.which(command[0], path=env.get("PATH"))
            if error.errno != errno.ENOEXEC or program is None:
                raise
            os.execve("/bin/sh", ["/bin/sh", program, *command[1:]], env)
    except FileNotFoundError:
        raise ToolMissing(f"{command[0]}: command not found", hint="gg-infer COMMAND [ARGUMENT...]") from None
    except OSError as error:
        raise NotExecutable(f"{command[0]}: {error.strerror}") from error


def _answers(path: str) -> bool:
    directory = -1
    try:
        directory = os.open(
            os.path.dirname(path), os.O_PATH | os.O_DIRECTORY
        )  # the whole path may be too long for a socket's address
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
        return True
    except OSError:
        return False
    finally:
        if directory >= 0:
            os.close(directory)
