"""Dependency files that something else than make reads in mid-build: kbuild's fixdep, sed, a copy.

What the recorder leaves lists a superset, which make and ninja may read: they only rebuild too much, until the force
puts the compiler's own in its place (`force.py`, `ninja.py`). Any other reader derives something from it that nobody
will mend. So it is given what the compiler lists: `-M`, which is a preprocessor's run, and not the whole compile.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Mapping

from gg.core.ids import ThunkId
from gg.core.named import NamedTuple
from gg.record.capture import Captured
from gg.record.softfiles import SoftFiles
from gg.store.base import Store


class _Rule(NamedTuple):
    """How the compiler is asked, and what it is for. `info` is of the file as the recorder wrote it."""

    argv: tuple[bytes, ...]
    env: Mapping[bytes, bytes]
    cwd: bytes
    thunk: ThunkId
    output: int
    info: os.stat_result


class Rules:
    """The dependency files of a session that the compiler can still be asked for."""

    def __init__(self, store: Store) -> None:
        self._soft = SoftFiles(store)
        self._rules: dict[bytes, _Rule] = {}
        self._lock = threading.Lock()

    def wrote(self, path: bytes, captured: Captured, index: int, info: os.stat_result, cwd: bytes) -> None:
        """The recorder has left its own text at `path`."""
        scans, depfile = captured.draft.scans, captured.draft.depfile
        if depfile is None or len(scans) != 1 or not scans[0].fallback:
            return
        targets = [word for target in depfile.targets for word in (b"-MT", target)]
        argv = (*scans[0].fallback[:-1], b"-M" if depfile.system else b"-MM", *targets)
        argv += (b"-MP",) if depfile.phony else ()
        self._rules[path] = _Rule(argv, captured.draft.env, cwd, captured.id, index, info)

    def exact(self, path: bytes, then: Callable[[], None]) -> bool:
        """Whether `path` is one of them; then it is made exact, and `then` is called from another thread."""
        rule = self._rules.pop(path, None)
        if rule is None:
            return False
        threading.Thread(target=self._ask, args=(path, rule, then), name="rule", daemon=True).start()
        return True

    def _ask(self, path: bytes, rule: _Rule, then: Callable[[], None]) -> None:
        try:
            done = subprocess.run(
                list(rule.argv),
                env=dict(rule.env),
                cwd=rule.cwd,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
            if done.returncode == 0:  # else the compile will fail too, and say why
                self._replace(path, rule, done.stdout)
        except OSError:
            pass  # the superset stays
        finally:
            then()

    def _replace(self, path: bytes, rule: _Rule, text: bytes) -> None:
        """Write over it: `cp` has looked at it before it opens it, and refuses another file.

        One write, to the old end at least, whatever kills us leaves a rule that make can read.
        """
        with self._lock:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                there = os.fstat(fd)
                if (there.st_ino, there.st_mtime_ns) != (rule.info.st_ino, rule.info.st_mtime_ns):
                    return
                os.pwrite(fd, text.ljust(there.st_size, b"\n"), 0)
                os.ftruncate(fd, len(text))
                os.utime(fd, ns=(there.st_atime_ns, there.st_mtime_ns))
                info = os.fstat(fd)
            finally:
                os.close(fd)
            self._soft.wrote(path, text, info, rule.thunk, rule.output)
            self._soft.flush()
