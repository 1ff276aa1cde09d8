"""Runs one of gg's native programs beside this process, with pipes to its standard input and from its standard output.

It does without `subprocess`, which takes longer to load than these programs run.
"""

from __future__ import annotations

import os


class Helper:
    """`program`, a path, started with its arguments. It has no environment and ends when its input does.

    Not for several threads.
    """

    def __init__(self, program: str, *arguments: bytes) -> None:
        given, self._to = os.pipe()
        self._from, answers = os.pipe()
        try:
            moves = [(os.POSIX_SPAWN_DUP2, given, 0), (os.POSIX_SPAWN_DUP2, answers, 1)]
            self.pid = os.posix_spawn(program, [os.fsencode(program), *arguments], {}, file_actions=moves)
        except BaseException:
            os.close(self._to)
            os.close(self._from)
            raise
        finally:
            os.close(given)
            os.close(answers)

    def write(self, data: bytes) -> None:
        """Send bytes to the program. OSError when it has ended."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._to, view) :]

    def read(self, size: int) -> bytes:
        """Receive `size` bytes; fewer only if the program has ended."""
        parts: list[bytes] = []
        while size > 0 and (part := os.read(self._from, size)):
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_all(self) -> bytes:
        parts: list[bytes] = []
        while part := os.read(self._from, 1 << 20):
            parts.append(part)
        return b"".join(parts)

    def close(self) -> int:
        """Let the program end, and return its exit status, negative for a signal; 0 if SIGCHLD is ignored: then nobody knows."""
        os.close(self._to)
        os.close(self._from)
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:
            return 0
