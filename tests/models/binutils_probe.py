"""A probe with no disk behind it, and one for the real disk, for the tests of the binary utilities' models."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence

from gg.core.thunk import Work
from gg.models.binutils import MODELS
from gg.models.drafts import Call, Completed, Depfile, Draft, ModelAnswer, PathKind, Scan, Tool, Writes
from gg.models.linking.entry import Recorded

CWD = b"/w"
ENV = {b"PATH": b"/usr/local/bin:/usr/bin", b"LANG": b"de_DE.UTF-8", b"HOME": b"/root", b"MAKEFLAGS": b"-j"}
KEPT = {b"LANG": b"de_DE.UTF-8", b"PATH": b"/usr/bin", b"PWD": CWD}

AR_HELP = b"  [D]          - use zero for timestamps and uids/gids (default)\n  [U]          - use actual timestamps\n"
AR_HELP_DATED = (
    b"  [D]          - use zero for timestamps and uids/gids\n  [U]          - use actual timestamps (default)\n"
)
RANLIB_HELP = b"  -D                           Use zero for symbol map timestamp (default)\n  -U   Use an actual one\n"


class FakeProbe:
    """Files by absolute path; `placeholders` are there too. `answers` goes by the words after the program."""

    def __init__(
        self,
        files: Mapping[bytes, bytes] | None = None,
        placeholders: Iterable[bytes] = (),
        answers: Mapping[tuple[bytes, ...], bytes] | None = None,
        links: Mapping[bytes, bytes] | None = None,
        recorded: Mapping[bytes, Recorded] | None = None,
    ) -> None:
        self.files = dict(files or {})
        self.placeholders = frozenset((*placeholders, *(recorded or {})))
        self.answers = {(b"--help",): AR_HELP + RANLIB_HELP, **(answers or {})}
        self.links = dict(links or {})
        self.made = dict(recorded or {})
        self.reads: list[bytes] = []
        every = (*self.files, *self.placeholders)
        self.directories = {path[:at] for path in every for at, byte in enumerate(path) if byte == 47 and at}

    def kind(self, path: bytes) -> PathKind:
        path = os.path.normpath(path)
        if path in self.files or path in self.placeholders or path in self.links:
            return PathKind.FILE
        return PathKind.DIRECTORY if path in self.directories else PathKind.MISSING

    def read(self, path: bytes) -> bytes:
        path = os.path.normpath(path)
        self.reads.append(path)
        if path in self.placeholders:
            raise AssertionError(f"a model read the placeholder {path!r}")
        try:
            return self.files[self.links.get(path, path)]
        except KeyError:
            raise FileNotFoundError(2, "No such file or directory") from None

    def is_placeholder(self, path: bytes) -> bool:
        return os.path.normpath(path) in self.placeholders

    def realpath(self, path: bytes) -> bytes:
        path = os.path.normpath(path)
        return self.links.get(path, path)

    def run(self, argv: Sequence[bytes], env: Mapping[bytes, bytes], cwd: bytes = b"/") -> Completed:
        if argv[-1] == b"--version" or tuple(argv[-2:]) == (b"-o", b"/dev/null"):  # "do you know these options?"
            return Completed(int(any(b"nope" in word for word in argv)), b"", b"")
        return Completed(0, self.answers[tuple(argv[1:])], b"")

    def recorded(self, path: bytes) -> Recorded | None:
        return self.made.get(path)


class DiskProbe:
    """The real disk, with no placeholders on it."""

    def kind(self, path: bytes) -> PathKind:
        if os.path.isdir(path):
            return PathKind.DIRECTORY
        return PathKind.FILE if os.path.exists(path) else PathKind.MISSING

    def read(self, path: bytes) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    def read_part(self, path: bytes, offset: int, size: int) -> bytes:
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(size)

    def stable(self, path: bytes) -> bool:
        """What the tests do not write may be remembered."""
        return path.startswith((b"/usr/", b"/lib"))

    def is_placeholder(self, path: bytes) -> bool:
        return False

    def realpath(self, path: bytes) -> bytes:
        return os.path.realpath(path)

    def run(self, argv: Sequence[bytes], env: Mapping[bytes, bytes], cwd: bytes = b"/") -> Completed:
        done = subprocess.run(list(argv), env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True)
        return Completed(done.returncode, done.stdout, done.stderr)


def call(line: str, env: Mapping[bytes, bytes] | None = None, cwd: bytes = CWD) -> Call:
    """The call that a line of plain words makes; the tool is the first one, in /usr/bin."""
    argv = tuple(word.encode() for word in line.split())
    name = argv[0].decode()
    return Call(Tool(name, b"/usr/bin/" + argv[0]), argv, cwd, {**ENV, **(env or {})})


def answer(line: str, probe: FakeProbe | None = None, env: Mapping[bytes, bytes] | None = None) -> ModelAnswer:
    """What the model of the line's tool says."""
    made = call(line, env)
    return MODELS[made.tool.name](made, probe or FakeProbe())


def words(text: str) -> tuple[bytes, ...]:
    return tuple(text.encode().split())


def draft(
    line: str,
    *,
    model: str,
    work: Work,
    inputs: str | tuple[bytes, ...],
    outputs: str | tuple[Writes, ...],
    env: Mapping[bytes, bytes] | None = None,
    directories: str = "",
    scans: tuple[Scan, ...] = (),
    depfile: Depfile | None = None,
) -> Draft:
    """The whole Draft that is expected of a line. The tools of the fake machine are not there, so there are none."""
    made = call(line)
    return Draft(
        model=model,
        work=work,
        argv=made.argv,
        program=made.tool.path,
        env={**KEPT, **(env or {})},
        inputs=words(inputs) if isinstance(inputs, str) else inputs,
        outputs=tuple(Writes(path) for path in words(outputs)) if isinstance(outputs, str) else outputs,
        tools=(),
        directories=words(directories),
        scans=scans,
        depfile=depfile,
    )
