"""Who goes another way when a call fails, and so must be told the truth at once: the other half of what may be deferred.

A deferred call is said to have gone well. Where its failure would only end the build, that is told soon enough. It is not
where somebody acts on it: `gcc -Werror x.c || gcc x.c` in a shell's text, `-gcc -c optional.c` in a makefile, make -i, a
program in Python that tries what it can use. A call runs at once where one of those above it may act on its status.

Every call costs two looks into /proc; what is found about a process is remembered for as long as it lives.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from gg.light.regex import regex
from gg.light.slotted import field, slotted
from gg.record.hearers import processes, shelltext
from gg.record.hearers.makefile import Makefiles

_SHELLS = (b"sh", b"dash", b"ash", b"bash", b"busybox", b"ksh", b"ksh93", b"mksh", b"zsh", b"yash")
_MAKES = (b"make", b"gmake", b"remake")
_LANGUAGES = regex(rb"(?:python|perl|ruby|node|lua|tclsh|php|Rscript|guile)[\d.]*$")
_BUILDERS = (b"scons", b"waf", b"meson", b"ninja", b"libtool", b"gg-infer")
"""Scripts that end when a command fails."""
_DEEP = 24

SHELL = "a shell goes another way if it fails"
MAKE = "make goes on if it fails"
PROGRAM = "a program that it was started by may go on if it fails"


@slotted(frozen=False)
class _Process:
    """One above a call. `text`: what its shell text does; `ignored`: regular expressions of what its makefiles ignore; `acts`: it
    may do anything.
    """

    words: tuple[bytes, ...]
    acts: bool = False
    text: shelltext.Text = field(default_factory=shelltext.Text)
    ignored: list[bytes] = field(default_factory=list)
    above: tuple[str, bool] | None = None  # what those above it do about its own status


class Branches:
    """Answers for the calls of one session."""

    def __init__(self) -> None:
        self._makefiles = Makefiles()
        self._processes: dict[tuple[int, int], _Process] = {}
        self._scripts: dict[tuple[bytes, int, int, bool], shelltext.Text] = {}
        self._own = os.getpid()

    def of(self, pid: int, argv: Sequence[bytes]) -> tuple[str, bool]:
        """Why the call of process `pid` cannot wait, empty if it can; and whether its failure would be dropped by a shell that
        goes on as if nothing were.
        """
        try:
            return self._of(pid, argv, 0)
        except OSError:  # its caller has gone, or is another's: nobody is there to act
            return "", False

    def _of(self, pid: int, argv: Sequence[bytes], depth: int) -> tuple[str, bool]:
        parent = processes.parent_of(pid)
        if parent <= 1 or parent == self._own or depth > _DEEP:
            return "", False
        process = self._process(parent)
        why = self._acts(process, argv)
        if why:
            return why, False
        if process.above is None:
            process.above = self._of(parent, process.words, depth + 1)
        why, dropped = process.above
        return why, dropped or process.text.drops(argv)

    def _acts(self, process: _Process, argv: Sequence[bytes]) -> str:
        """Whether a process acts on the status of this command, which it has started."""
        if process.text.tests(argv):
            return SHELL
        if process.ignored and self._ignores(process, argv):
            return MAKE
        return PROGRAM if process.acts else ""

    def _ignores(self, process: _Process, argv: Sequence[bytes]) -> bool:
        import re

        shell = os.path.basename(argv[0]) in _SHELLS and len(argv) > 2 and argv[1].endswith(b"c")
        line = argv[2] if shell else b" ".join(argv)
        return any(re.fullmatch(pattern, line.strip(), re.DOTALL) for pattern in process.ignored)

    def _process(self, pid: int) -> _Process:
        key = pid, processes.started(pid)
        known = self._processes.get(key)
        if known is None:
            if len(self._processes) > 4096:
                self._processes.clear()
            known = self._processes[key] = self._look(pid)
        return known

    def _look(self, pid: int) -> _Process:
        name, words = processes.name_of(pid), processes.words(pid)
        process = _Process(words)
        if name in _SHELLS:
            process.text = self._text(pid, words)
        elif name in _MAKES:
            ignores = _ignores_all(processes.environment(pid, b"MAKEFLAGS"), words)
            process.ignored = [b".*"] if ignores else self._makefiles.ignored(words, processes.directory(pid))
        elif _LANGUAGES.match(name) and not any(os.path.basename(w).startswith(_BUILDERS) for w in words[:3]):
            process.acts = True
        return process

    def _text(self, pid: int, words: Sequence[bytes]) -> shelltext.Text:
        """What the text of a shell does: that of `-c`, or of its script."""
        ends = False  # at the first failure: -e
        for place, word in enumerate(words[1:], 1):
            if not word.startswith(b"-"):
                return self._script(os.path.join(processes.directory(pid), word), ends)
            short = not word.startswith(b"--")
            ends = ends or (short and b"e" in word)
            if short and word.endswith(b"c") and place + 1 < len(words):
                return shelltext.read(words[place + 1], ends=ends)
        return shelltext.Text()

    def _script(self, path: bytes, ends: bool) -> shelltext.Text:
        if os.path.basename(path).startswith(_BUILDERS):
            return shelltext.Text()
        info = os.stat(path)
        key = path, info.st_mtime_ns, info.st_size, ends
        if key not in self._scripts:
            with open(path, "rb") as file:
                self._scripts[key] = shelltext.read(file.read(), ends=ends)
        return self._scripts[key]


def _ignores_all(flags: bytes, words: Sequence[bytes]) -> bool:
    """make -i, of its own or from a make above it."""
    short = flags.split(b" ", 1)[0]
    options = [word for word in words if word[:1] == b"-" and word[:2] != b"--" and word[1:2] not in b"CfIoWj"]
    return b"--ignore-errors" in words or any(b"i" in w for w in options) or (b"i" in short and b"=" not in short)
