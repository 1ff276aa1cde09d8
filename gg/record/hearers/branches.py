"""Who goes another way when a call fails, and so must be told the truth at once: the other half of what may be deferred.

A deferred call is said to have gone well. Where its failure would only end the build, that is told soon enough. It is not
where somebody acts on it: `gcc -Werror x.c || gcc x.c` in a shell's text, `-gcc -c optional.c` in a makefile, make -i, a
program in Python that tries what it can use. A call runs at once where one of those above it may act on its status, unless a make
stands between, which then answers as a whole (`gg.record.whole_makes`).

Every call costs two looks into /proc; what is found about a process is remembered for as long as it lives.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence

from gg.light.named import NamedTuple
from gg.light.plain_files import read_plain
from gg.light.regex import regex
from gg.light.slotted import field, slotted
from gg.models.tool_names import tool_name
from gg.record.hearers import invoked, processes, shelltext
from gg.record.hearers.called import CalledBefore
from gg.record.hearers.makefile import Makefiles
from gg.record.hearers.shelleffects import ALL, BY_HAND, NOTHING

_SHELLS = (b"sh", b"dash", b"ash", b"bash", b"busybox", b"ksh", b"ksh93", b"mksh", b"zsh", b"yash")
_MAKES = (b"make", b"gmake", b"remake")
_NINJAS = (b"ninja", b"ninja-build", b"samu")
_LANGUAGES = regex(
    rb"(?:python|pypy|perl|ruby|node|lua|luajit|tclsh|wish|expect|php|Rscript|R|guile|[gmn]?awk|original-awk|busybox-awk|m4|emacs"
    rb"|vim|gdb|julia|raku|escript|beam\.smp|swipl|ocaml|ghci|deno|bun|jimsh)[\d.]*(?:-nox|-gtk|\.basic|\.tiny)?$"
)
_BUILDERS = (b"scons", b"waf", b"meson", b"ninja", b"libtool", b"gg-infer")
"""Scripts that end when a command fails."""
_DEBHELPER = regex(rb"/usr/bin/(?:dpkg-buildpackage|debuild|dh|dh_\w+)$")
"""Debian's scripts, which do too: from debhelper's `doit` and dpkg-buildpackage's `run_cmd`."""
_LEVEL, _LEVEL_IN_CONTROL = regex(rb"^\s*(\d+)"), regex(rb"debhelper-compat\s*\(\s*=\s*(\d+)")
_DEBIAN_STAMP = b"debian/debhelper-build-stamp"  # what dh makes behind the build, and then never builds again
_DEEP = 24
_MOST_OF_A_TEXT = 1 << 20  # bytes of debian/control
_INTERPOSER = b"/libgg-record.so"

SHELL = "a shell goes another way if it fails"
MAKE = "make goes on if it fails"
FIND = "find does another thing if it fails"
PROGRAM = "a program that it was started by may go on if it fails"


class Heeded(NamedTuple):
    """What those above a call do about its status. `why`: why it cannot wait, empty if it can; `dropped`: a shell goes on as if
    nothing were; `stamps`: targets that makes make by hand behind it; `needed`: for what files such targets need, by each make;
    `answers`: the make that tells the status of its calls when it ends, for somebody above it acts on its own; 0: none.
    """

    why: str = ""
    dropped: bool = False
    stamps: tuple[bytes, ...] = ()
    needed: tuple[Mapping[bytes, tuple[bytes, ...]], ...] = ()
    answers: int = 0

    def behind(self, outputs: Iterable[bytes]) -> tuple[bytes, ...]:
        """The targets that are made by hand behind a call which makes `outputs`."""
        found = [*self.stamps, *(path for each in self.needed for made in outputs for path in each.get(made, ()))]
        return tuple(dict.fromkeys(found))


@slotted(frozen=False)
class _Process:
    """One above a call. `text`: what its shell text does; `ignored`: regular expressions of what its makefiles ignore; `by_hand`:
    of commands behind which they make a target by hand, and the target; `needed`: for what files such targets need; `acts`: it may
    do anything.
    """

    words: tuple[bytes, ...]
    before: tuple[tuple[bytes, ...], ...] = ()  # the words of programs that it was before
    acts: bool = False
    answers: bool = False  # it is a make, or ninja, that can answer as a whole
    goes_on: bool = False  # it is find, which drops the status of what it starts
    unseen: bool = False  # a shell that drops the status of commands, and nobody tells where it looks then
    text: shelltext.ShellFacts = field(default_factory=shelltext.ShellFacts)
    ignored: list[bytes] = field(default_factory=list)
    by_hand: list[tuple[bytes, bytes]] = field(default_factory=list)
    needed: Mapping[bytes, tuple[bytes, ...]] = field(default_factory=dict)
    above: Heeded | None = None  # what those above it do about its own status


class Branches:
    """Answers for the calls of one session."""

    def __init__(self, root: bytes, marks: bytes) -> None:
        """`root`: the workspace. A program in it may do anything about a failure: only its author knows. `marks`: where processes
        tell what they were called.
        """
        self._root = root + b"/"
        self._called = CalledBefore(marks)
        self._makefiles = Makefiles()
        self._processes: dict[tuple[int, int], _Process] = {}
        self._scripts: dict[tuple[object, ...], shelltext.ShellFacts] = {}
        self._own = os.getpid()

    def of(self, pid: int, argv: Sequence[bytes]) -> Heeded:
        """Who heeds the status of the call of process `pid`."""
        try:
            return self._of(pid, (argv, *self._called.words(pid)), 0)
        except OSError:  # its caller has gone, or is another's: nobody is there to act
            return Heeded()

    def _of(self, pid: int, called: Sequence[Sequence[bytes]], depth: int) -> Heeded:
        """`called`: the words of the process, and those of programs that it was before."""
        parent = processes.parent_of(pid)
        if parent <= 1 or parent == self._own or depth > _DEEP:
            return Heeded()
        process = self._process(parent)
        why = next(filter(None, (self._acts(process, words) for words in called)), "")
        if why:
            return Heeded(why)
        if process.above is None:
            process.above = self._of(parent, (process.words, *process.before), depth + 1)
        why, dropped, stamps, needed, answers = process.above
        if why and process.answers:
            why, answers = "", parent
        own = any(process.text.drops(words) for each in called for words in _as_called(each))
        if own and process.unseen:
            return Heeded(SHELL)
        drops = dropped or process.goes_on or own
        if process.by_hand:
            lines = [line for words in called for line in _lines(words)]
            stamps = (*stamps, *(path for pattern, path in process.by_hand if _matches(pattern, lines)))
        return Heeded(why, drops, stamps, (*needed, process.needed) if process.needed else needed, answers)

    def _acts(self, process: _Process, argv: Sequence[bytes]) -> str:
        """Whether a process acts on the status of this command, which it has started."""
        if any(process.text.tests(words) for words in _as_called(argv)):
            return SHELL
        if process.ignored and self._ignores(process, argv):
            return MAKE
        if process.goes_on and _before_another(process.words, argv):
            return FIND
        return PROGRAM if process.acts else ""

    def _ignores(self, process: _Process, argv: Sequence[bytes]) -> bool:
        lines = _lines(argv)
        return any(_matches(pattern, lines) for pattern in process.ignored)

    def _process(self, pid: int) -> _Process:
        key = pid, processes.started(pid)
        known, before = self._processes.get(key), self._called.words(pid)
        if known is None or before:
            earlier = known.before if known else ()
            if len(self._processes) > 4096:
                self._processes.clear()
            known = self._processes[key] = self._look(pid)
            known.before = (*earlier, *before)
        return known

    def _look(self, pid: int) -> _Process:
        name, words = processes.name_of(pid), processes.words(pid)
        process = _Process(words)
        if name in _SHELLS:
            process.text = self._text(pid, name, words)
            process.unseen = bool(process.text.dropped) and not processes.has_loaded(pid, _INTERPOSER)
        elif name in _MAKES:
            ignores = _ignores_all(processes.environment(pid, b"MAKEFLAGS"), words)
            facts = self._makefiles.of(words, processes.directory(pid))
            process.ignored = [b".*"] if ignores else facts.ignored
            process.by_hand, process.needed = facts.by_hand, facts.needed
            process.answers = _can_ask(pid, words)
        elif name in _NINJAS:
            process.answers = _can_ask(pid, words)
        elif _LANGUAGES.match(name):
            self._look_at_script(process, pid)
        elif name == b"find":
            process.goes_on = b"+" not in words
        else:
            process.acts = processes.program(pid).startswith(self._root) and not tool_name(name)
        return process

    def _look_at_script(self, process: _Process, pid: int) -> None:
        """What an interpreter of a scripting language does: anything, unless the script is known."""
        scripts = process.words[1:3]
        if any(map(_DEBHELPER.match, scripts)):
            directory = processes.directory(pid)
            process.acts = any(_old_debhelper(directory) for path in scripts if path.endswith(b"/dh"))
            process.by_hand = [(b".*", os.path.join(directory, _DEBIAN_STAMP))]
        else:
            process.acts = not any(os.path.basename(word).startswith(_BUILDERS) for word in process.words[:3])

    def _text(self, pid: int, name: bytes, words: Sequence[bytes]) -> shelltext.ShellFacts:
        """What the text of a shell does."""
        options, lasting = invoked.options(words), _lasting(pid)
        if options.given is not None:
            functions = invoked.functions(pid, options.given) if name == b"bash" else b""
            return _read(functions + options.given, options, lasting)
        if not options.script:
            return _read(invoked.standard_input(pid), options, lasting)
        if os.path.basename(options.script).startswith(_BUILDERS):
            return shelltext.ShellFacts()
        return self._script(invoked.script(pid, options.script), options)

    def _script(self, path: bytes | None, options: invoked.ShellOptions) -> shelltext.ShellFacts:
        if path is None:
            return _read(invoked.ANYTHING, options, ALL)
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode):  # who reads a pipe takes from it what the shell is about to read
            return _read(invoked.ANYTHING, options, ALL)
        key = info.st_dev, info.st_ino, info.st_mtime_ns, info.st_size, options.ends, options.pipefail
        if key not in self._scripts:
            self._scripts[key] = _read(invoked.read(path), options, ALL)
        return self._scripts[key]


def _can_ask(make: int, words: Sequence[bytes]) -> bool:
    """Whether the interposer is in a make and knows its name, so that it asks before it ends, by the number that it has here."""
    called = os.path.basename(words[0]) if words else b""
    return called in (*_MAKES, *_NINJAS) and processes.has_loaded(make, _INTERPOSER) and processes.namespaces(make) == 1


def _old_debhelper(directory: bytes) -> bool:
    """Whether dh goes by logs of what it has done, of which none may be wrong: up to compatibility level 9."""
    for name, level in ((b"debian/compat", _LEVEL), (b"debian/control", _LEVEL_IN_CONTROL)):
        try:
            found = level.search(read_plain(os.path.join(directory, name), _MOST_OF_A_TEXT))
        except OSError:
            continue
        if found:
            return int(found[1]) < 10
    return True


def _read(text: bytes, options: invoked.ShellOptions, lasting: int) -> shelltext.ShellFacts:
    return shelltext.read(b"set -o pipefail\n" * options.pipefail + text, ends=options.ends, lasting=lasting)


def _lasting(shell: int) -> int:
    """Which effects of a shell's text count. That depends on who started the shell."""
    words, above = processes.words(shell), processes.parent_of(shell)
    while above > 1 and processes.words(above) == words:  # `( … )`: a shell of its own, for the same text
        above = processes.parent_of(above)
    starter = processes.name_of(above)
    return NOTHING if starter in _MAKES else BY_HAND if starter in _NINJAS else ALL


def _as_called(argv: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """The words of a command. For a script also its words without the interpreter, which the kernel has put before them."""
    yield argv
    if len(argv) > 1 and not argv[1].startswith(b"-") and os.path.basename(argv[0]) in _SHELLS:
        yield argv[1:]
    elif len(argv) > 2 and argv[1].startswith(b"-") and not argv[1].endswith(b"c") and b"/" in argv[2]:
        yield argv[2:]


def _lines(argv: Sequence[bytes]) -> list[bytes]:
    """A command as a makefile may have it."""
    if os.path.basename(argv[0]) in _SHELLS and len(argv) > 2 and argv[1].endswith(b"c"):
        return [argv[2]]
    return [b" ".join(words) for words in _as_called(argv)]


def _matches(pattern: bytes, lines: Sequence[bytes]) -> bool:
    import re

    return any(re.fullmatch(pattern, line.strip(), re.DOTALL) for line in lines)


def _before_another(words: Sequence[bytes], argv: Sequence[bytes]) -> bool:
    """Whether what find does next depends on this command: it has another action, or a test, behind it, or is negated."""
    name = os.path.basename(argv[0])
    for place, word in enumerate(words):
        if word in (b"-exec", b"-execdir", b"-ok") and os.path.basename(words[place + 1 : place + 2][-1]) == name:
            rest = words[place:]
            last = rest.index(b";") == len(rest) - 1 if b";" in rest else True
            if not last or b"!" in words[:place] or b"-not" in words[:place]:
                return True
    return False


def _ignores_all(flags: bytes, words: Sequence[bytes]) -> bool:
    """make -i, of its own or from a make above it."""
    short = flags.split(b" ", 1)[0]
    options = [word for word in words if word[:1] == b"-" and word[:2] != b"--" and word[1:2] not in b"CfIoWj"]
    return b"--ignore-errors" in words or any(b"i" in w for w in options) or (b"i" in short and b"=" not in short)
