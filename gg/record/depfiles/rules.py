"""Dependency files that something else than make reads in mid-build: kbuild's fixdep, sed, a copy.

What the recorder leaves lists a superset, which make and ninja may read: they only rebuild too much, until the force
puts the compiler's own in its place (`force.py`, `ninja.py`). Any other reader derives something from it that nobody
will mend. So it is given what the compiler lists: `-M`, which is a preprocessor's run, and not the whole compile.

Such a file is known by its inode, so by whatever name it is read, and however often it was touched.
"""

from __future__ import annotations

import os
import stat
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

from gg.core.ids import ThunkId
from gg.core.thunk import Work
from gg.light.named import NamedTuple
from gg.record.capture import Captured
from gg.record.depfiles.softfiles import SoftFiles, is_marked
from gg.store.base import Store
from gg.workspace.ledger import Ledger

_MOST = 1 << 22  # bytes of a rule


class _Rule(NamedTuple):
    """How the compiler is asked for one dependency file. `path` and `text`: of the file that the recorder wrote.

    `place` is its index among the thunk's outputs. `output` is the placeholder that the thunk left: forced, where asking
    will not do (`argv` is empty then).
    """

    argv: tuple[bytes, ...]
    env: Mapping[bytes, bytes]
    cwd: bytes
    thunk: ThunkId
    place: int
    path: bytes
    text: bytes
    output: bytes


class Rules:
    """The dependency files of a session that the compiler can still be asked for."""

    def __init__(self, store: Store, is_placeholder: Callable[[bytes], bool], ledger: Ledger) -> None:
        """`ledger` has the calls of earlier recordings, whose files may still be here."""
        self._ledger = ledger
        self._soft = SoftFiles(store)
        self._is_placeholder = is_placeholder
        self._rules: dict[tuple[int, int], _Rule] = {}
        self._lock = threading.Lock()

    def wrote(self, path: bytes, text: bytes, captured: Captured, index: int, info: os.stat_result, cwd: bytes) -> None:
        """The recorder has left `text`, its own, at `path`."""
        scans, depfile = captured.draft.scans, captured.draft.depfile
        argv: tuple[bytes, ...] = ()
        linker = captured.draft.work is Work.LINK  # it may be the linker's rule, or the last of several sources' alone
        if depfile is not None and not linker and len(scans) == 1 and scans[0].fallback and len(scans[0].sources) == 1:
            targets = [word for target in depfile.targets for word in (b"-MT", target)]
            argv = (*scans[0].fallback, b"-M" if depfile.system else b"-MM", *targets)
            argv += (b"-MP",) if depfile.phony else ()
        output = next((output.path for output in captured.outputs if not output.soft), b"")
        rule = _Rule(argv, captured.draft.env, cwd, captured.id, index, path, text, output)
        self._rules[info.st_dev, info.st_ino] = rule

    def exact(self, path: bytes, then: Callable[[], None], force: Callable[[bytes, Callable[[], None]], None]) -> bool:
        """Whether `path` is one of them; then it is made exact, and `then` is called from another thread.

        `force` is for what the preprocessor alone cannot tell: it has an output made, and calls back.
        """
        try:
            info = os.stat(path)
        except OSError:
            return False
        rule = self._rules.pop((info.st_dev, info.st_ino), None) or self._earlier(path, info)
        if rule is None or not _holds(path, rule.text):  # the inode may be another file's by now
            return False
        if not rule.argv or self._reads_placeholders(rule):
            self._soft.wrote(path, rule.text, info, rule.thunk, rule.place, is_open=True)
            self._soft.flush()
            force(rule.output, then)
        else:
            threading.Thread(target=self._ask, args=(path, rule, then), name="rule", daemon=True).start()
        return True

    def _earlier(self, path: bytes, info: os.stat_result) -> _Rule | None:
        """The same for one that an earlier recording has left: its thunk is forced."""
        if not stat.S_ISREG(info.st_mode) or info.st_size > _MOST:
            return None
        with suppress(OSError), open(path, "rb") as file:
            text = file.read(_MOST)
            if not is_marked(text):
                return None
            self._ledger.load()
            for thunk, soft in self._soft.of(self._ledger.owed()).items():
                if soft.inode == info.st_ino and soft.is_of(text):
                    output = next(iter(self._ledger.outputs([thunk])), b"")
                    return _Rule((), {}, b"/", thunk, soft.index, path, text, output)
        return None

    def close(self, root: bytes) -> None:
        """Look below `root` for dependency files that were moved to another directory, and note their paths for the force.

        Not for those of ninja, which removes them.
        """
        lost = {key: rule for key, rule in self._rules.items() if _is_lost(key[1], rule)}
        if lost:
            self._look_for(lost, root)
        self._soft.flush()

    def _look_for(self, lost: Mapping[tuple[int, int], _Rule], root: bytes) -> None:
        from gg.host.trees import walk

        for directory, directories, _ in walk(root):
            directories[:] = [name for name in directories if name not in (b".git", b".gg")]
            with suppress(OSError), os.scandir(directory) as entries:
                for entry in entries:
                    rule = lost.get((os.lstat(directory).st_dev, entry.inode()))
                    if rule is not None and _holds(entry.path, rule.text):
                        self._soft.wrote(entry.path, rule.text, os.lstat(entry.path), rule.thunk, rule.place)

    def _reads_placeholders(self, rule: _Rule) -> bool:
        """Whether a header is not made yet: the preprocessor would read what stands for it."""
        names = rule.text.replace(b"\\\n", b" ").partition(b": ")[2].split()
        return any(self._is_placeholder(os.path.join(rule.cwd, name)) for name in names)

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

        One write, to the old end at least, whatever kills us leaves a rule that make can read. Its times stay.
        """
        with self._lock:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                there = os.fstat(fd)
                if os.pread(fd, len(rule.text) + 1, 0) != rule.text:
                    return
                os.pwrite(fd, text.ljust(there.st_size, b"\n"), 0)
                os.ftruncate(fd, len(text))
                os.utime(fd, ns=(there.st_atime_ns, there.st_mtime_ns))
                info = os.fstat(fd)
            finally:
                os.close(fd)
            name = (
                path
                if os.path.dirname(path) != os.path.dirname(rule.path) or not os.path.exists(rule.path)
                else rule.path
            )
            self._soft.wrote(name, text, info, rule.thunk, rule.place)
            self._soft.flush()


def _is_lost(inode: int, rule: _Rule) -> bool:
    directory = os.path.dirname(rule.path)
    try:
        if os.lstat(rule.path).st_ino == inode:
            return False
    except OSError:
        pass
    try:
        with os.scandir(directory) as entries:
            beside = any(entry.inode() == inode for entry in entries)
    except OSError:
        beside = False
    return not beside and not os.path.exists(os.path.join(rule.cwd, b".ninja_deps"))


def _holds(path: bytes, text: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(text) + 1) == text
    except OSError:
        return False
