"""The command that is recorded: how its tools come to the shim, where it finds the recorder, and its process.

The shims are on its PATH only where the interposer cannot be loaded into it. The interposer turns tools to the shim by the
path that was found for them: a configure step looks for its compiler along PATH and writes down what it found.

It is started before the recorder has loaded its models: a make needs a moment to read its makefiles, and calls that
come early wait in the socket's queue.

All else it gets as gg-infer was given it: descriptors, ignored signals, the terminal, the process group.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from gg.errors import NotExecutable, StoreError, ToolMissing
from gg.host import native_programs as native
from gg.models.tool_names import PLAIN, tool_name
from gg.record.hearers.callers import room
from gg.record.launching import inherited
from gg.record.server import RequestHandler, Server

if TYPE_CHECKING:
    from gg.models.declared.declared_tool import Declarations
    from gg.workspace.workspace import Workspace

_PASSED_ON = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class RecordedCommand:
    """One recorded command: `start` it, `serve` its tools, `close`."""

    def __init__(self, workspace: Workspace, *, interpose: bool, caught: Sequence[Declarations] = ()) -> None:
        """`caught`: programs that are turned to the shim beside those that have a model."""
        self._workspace = workspace
        self._caught = caught
        self._interpose = interpose
        self._socket = os.path.join(workspace.tmp, f"r{os.getpid()}")
        self._room = room()
        self._server = Server(self._socket, self._room)
        self._child: subprocess.Popen[bytes] | None = None
        self._handlers: dict[int, object] = {}
        self._early: list[int] = []

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start `command`. ToolMissing or NotExecutable when it cannot be run."""
        self._make_shims(environment.get("PATH", os.defpath))
        ignored = inherited.ignored_signals()
        for number in _PASSED_ON:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._signalled)
        try:
            self._child = self._start(list(command), environment, ignored)
        except FileNotFoundError:
            raise ToolMissing(f"{command[0]}: command not found", hint="gg-infer COMMAND [ARGUMENT...]") from None
        except OSError as error:
            raise NotExecutable(f"{command[0]}: {error.strerror}") from error
        while self._early:
            self._child.send_signal(self._early.pop(0))
        inherited.keep_from_children()

    def _start(
        self, command: list[str], environment: Mapping[str, str], ignored: Sequence[int]
    ) -> subprocess.Popen[bytes]:
        """By the shim: a command that the interposer would catch, if it were there yet, and one that it does not reach, of
        which, and of all below it, the kernel tells what is read.
        """
        program = _found(command[0], environment.get("PATH", os.defpath))
        by_path = self._interpose or "/" not in command[0]
        unreached = program is not None and (not self._interpose or _is_unreached(program))
        env = self._environment(environment, shims=unreached or not self._interpose)
        argv, executable = command, program or command[0]
        if program is not None and (
            self._is_caught(program) or (by_path and tool_name(os.fsencode(os.path.basename(command[0]))))
        ):
            env["GG_EXEC_PATH"] = os.path.abspath(program)
            executable, unreached = native.shim(), False
        if unreached:
            argv, executable = [native.shim(), "--gg-watch", executable, *argv], native.shim()
        if ignored:
            argv = [executable, "--gg-ignoring", ",".join(map(str, ignored)), executable, *argv]
            executable = native.shim()
        try:
            # With a umask it is not started by posix_spawn, which leaves two signals of the C library's own ignored.
            return subprocess.Popen(argv, executable=executable, env=env, close_fds=False, umask=inherited.umask())
        except OSError as error:
            if error.errno != errno.ENOEXEC or program is None:
                raise
        return self._start(["/bin/sh", program, *command[1:]], environment, ignored)  # as execvp and shells do

    def _is_caught(self, path: str) -> bool:
        return any(each.called(os.fsencode(path)) for each in self._caught)

    def serve(self, handler: RequestHandler) -> int:
        """Answer its tools until it ends; its exit status, -N when signal N ended it."""
        assert self._child is not None
        child = self._child
        watcher = threading.Thread(target=self._watch, args=(child,), name="watcher", daemon=True)
        watcher.start()
        self._server.serve(handler)
        watcher.join()
        return child.returncode

    def close(self) -> None:
        """Let go of the socket. A command that still runs (something failed here) is ended."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            self._child.wait()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal gave
        self._server.close()

    def _signalled(self, number: int, frame: object) -> None:
        """The terminal sends SIGINT and SIGQUIT to the command too, which then ends, and so do we. Others are passed on."""
        if number in (signal.SIGINT, signal.SIGQUIT):
            return
        if self._child is None:  # it may be running already
            self._early.append(number)
        else:
            self._child.send_signal(number)

    def _watch(self, child: subprocess.Popen[bytes]) -> None:
        child.wait()
        self._server.stop()

    def _environment(self, environment: Mapping[str, str], *, shims: bool) -> dict[str, str]:
        """`shims`: put them on PATH. A command that the interposer is loaded into has no need of them."""
        env = dict(environment)
        if shims:
            env["PATH"] = self._workspace.shims + os.pathsep + env.get("PATH", os.defpath)
        env["GG_SOCKET"] = self._socket
        env["GG_SHIMS"] = self._workspace.shims
        env["GG_SHIM"] = native.shim()
        env["GG_ROOT"] = self._workspace.root
        env["GG_ROOM"] = self._room
        env["GG_TOOLS"] = ":".join(PLAIN)
        if self._caught:
            env["GG_DECLARED"] = ":".join(pattern for each in self._caught for pattern in each.patterns())
        if self._interpose:
            library = native.record_library()
            env["LD_PRELOAD"] = f"{library}:{env['LD_PRELOAD']}" if env.get("LD_PRELOAD") else library
        return env

    def _make_shims(self, path: str) -> None:
        """A link to the shim for each modelled tool that PATH has, under each name that it has there."""
        shim = native.shim()
        names: set[str] = set()
        for directory in path.split(os.pathsep):
            with suppress(OSError):
                for name in os.listdir(directory or "."):
                    if tool_name(os.fsencode(name)) or self._is_caught(os.path.join(directory, name)):
                        names.add(name)
        try:
            os.makedirs(self._workspace.shims, exist_ok=True)
            have = {n: os.readlink(os.path.join(self._workspace.shims, n)) for n in os.listdir(self._workspace.shims)}
            for name in have.keys() - names:
                os.unlink(os.path.join(self._workspace.shims, name))
            for name in names:
                if have.get(name) != shim:
                    aside = os.path.join(self._workspace.tmp, f"l{os.getpid()}")
                    os.symlink(shim, aside)
                    os.rename(aside, os.path.join(self._workspace.shims, name))
        except OSError as error:
            raise StoreError(f"cannot write {self._workspace.shims}: {error.strerror}") from error


def _found(name: str, path: str) -> str | None:
    """The program that `name` starts, None when there is none."""
    names = [name] if "/" in name else [os.path.join(directory or ".", name) for directory in path.split(os.pathsep)]
    return next((full for full in names if os.path.isfile(full) and os.access(full, os.X_OK)), None)


def _is_unreached(program: str, *, script: bool = False) -> bool:
    """Whether the program or its interpreter is static or of another word size: no library is preloaded into such a program."""
    from gg.formats.elf_header import has_interpreter, read_header

    try:
        if not os.path.isfile(program):  # a pipe as an interpreter
            return False
        with open(program, "rb") as file:
            head = file.read(4096)
    except (OSError, ValueError):  # ValueError: a NUL in the name of an interpreter
        return False
    words = head[2:].partition(b"\n")[0].split()
    if head.startswith(b"#!") and words and not script:
        return _is_unreached(os.fsdecode(words[0]), script=True)
    header = read_header(head)
    return header is not None and (header.bits != 64 or not has_interpreter(head))
