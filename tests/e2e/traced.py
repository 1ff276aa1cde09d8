"""What a command and all that it starts do with files and sockets, by strace."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_CALLS = (
    "open,openat,openat2,creat,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,"
    "mknod,mknodat,chmod,fchmodat,chown,lchown,fchownat,truncate,utimensat,setxattr,lsetxattr,connect,execve"
)
_LINE = re.compile(r"(\w+)\((.*)\) += (-?\d+)(?:<(.*)>)?(?: .*)?$")
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"')
_WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND")


@dataclass(slots=True)
class Trace:
    """Paths as the kernel found them: `read` and `written` (made, changed, removed), and addresses of sockets."""

    status: int
    output: str
    read: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    run: set[str] = field(default_factory=set)
    connected: set[str] = field(default_factory=set)


def trace(words: Sequence[str | Path], cwd: Path, env: Mapping[str, str], notes: Path, seconds: float = 120.0) -> Trace:
    """Run a command to its end. `notes`: a directory that is not there yet."""
    notes.mkdir()
    command = [
        "strace",
        "-ff",
        "-y",
        "-s",
        "4096",
        "-e",
        f"trace={_CALLS}",
        "-e",
        "signal=none",
        "-o",
        str(notes / "t"),
    ]
    done = subprocess.run(
        [*command, *map(str, words)], cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds,
        check=False,
    )  # fmt: skip
    found = Trace(done.returncode, (done.stdout + done.stderr).decode(errors="replace"))
    for path in notes.iterdir():
        for line in path.read_text(errors="surrogateescape").splitlines():
            _note(found, line, str(cwd))
    return found


def _note(found: Trace, line: str, cwd: str) -> None:
    match = _LINE.match(line)
    if match is None or match[3].startswith("-"):
        if line.startswith("connect("):
            found.connected.add(line)
        return
    call, arguments, _, opened = match.groups()
    if call == "connect":
        found.connected.add(line)
    elif call.startswith("open") or call == "creat":
        place = found.written if call == "creat" or _WRITES.search(arguments) else found.read
        place.add(_unescaped(opened or "").removesuffix("(deleted)"))
    elif call == "execve":
        found.run.update(_paths(arguments[: arguments.index(", [")], cwd))
    elif call.startswith("symlink"):  # its first name is only a text
        found.written.update(list(_paths(arguments, cwd))[1:])
    else:
        found.written.update(_paths(arguments, cwd))


def _paths(arguments: str, cwd: str) -> Iterator[str]:
    """The names in a call's arguments, with the links on their way followed."""
    for directory, name in _PATH.findall(arguments):
        path = os.path.join(_unescaped(directory) or cwd, _unescaped(name))
        if path.startswith("/proc/self/"):  # of the process that was traced, not of this one
            yield path
        else:
            yield os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def _unescaped(text: str) -> str:
    return text.encode("latin-1", "surrogateescape").decode("unicode_escape") if "\\" in text else text
