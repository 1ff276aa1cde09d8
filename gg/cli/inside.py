"""gg's own commands, called by a command that is being recorded.

`gg-infer` in the workspace of the recording has nothing to add to it: its command is recorded as any other. All other commands
leave the recording: to them a placeholder is a placeholder, and the tools that they run are to run for real.
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
    """Be a process of no recording: the interposer is left behind by executing this command once more."""
    if not config.recorder_socket():
        return
    if config.is_interposed():
        interrupts.hold_again()
        os.execve(sys.executable, sys.orig_argv, {**config.outside_environment(), "GG_OUTSIDE": "1"})
    config.go_outside()


def is_recorded() -> bool:
    """Does a recorder answer us, and is it the one of the workspace here? Where there is no workspace it will do."""
    path = config.recorder_socket()
    if not path or not _answers(path):
        return False
    here = Workspace.find()
    return here is None or os.path.realpath(here.tmp) == os.path.realpath(os.path.dirname(path))


def become(command: Sequence[str]) -> NoReturn:
    """Be `command`, as if `gg-infer` had not been said. ToolMissing or NotExecutable when it cannot be run."""
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
        )  # its whole path may be longer than an address
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
        return True
    except OSError:
        return False
    finally:
        if directory >= 0:
            os.close(directory)
