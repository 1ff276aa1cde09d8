"""The answers of this user about trees that may be a stranger's: which settings of a `gg.toml` and which state are allowed.

CONFIG/allowed, with CONFIG as `gg.workspace.homes.home` has it, has a line for each:

  settings DIGEST PATH     what a `gg.toml` says beyond harmless settings, by its content; PATH is where it was seen
  refused DIGEST PATH      the same, and the answer was no: it is not asked again
  state NAME-INODE PATH    state in the directory NAME of the `.gg` with this inode

PATH is for people alone, quoted as in JSON.
"""

from __future__ import annotations

import json
import os
import stat

from gg.errors import StoreError
from gg.light.named import NamedTuple
from gg.workspace.homes import make_closed

_MOST = 4 << 20  # bytes of the file


class Allowance(NamedTuple):
    """`kind`: settings, refused or state."""

    kind: str
    name: str
    path: str


def listed(home: str) -> list[Allowance]:
    """All answers, the oldest first. Malformed lines are passed over, and so is a file that belongs to somebody else."""
    path = _path(home)
    try:
        with open(path, "rb") as file:
            info = os.fstat(file.fileno())
            if info.st_uid not in (os.geteuid(), 0) or info.st_mode & stat.S_IWOTH:
                return []
            lines = file.read(_MOST).decode("ascii", "replace").splitlines()
    except OSError:
        return []
    return [found for line in lines if (found := _parsed(line))]


def is_allowed(home: str, kind: str, name: str) -> bool:
    return any(each.kind == kind and each.name == name for each in listed(home))


def allow(home: str, allowance: Allowance) -> None:
    """Remember it. StoreError when that cannot be written."""
    rest = [each for each in listed(home) if each.name != allowance.name]
    _write(home, [*rest, allowance])


def remove(home: str, name: str) -> list[Allowance]:
    """Forget the answers whose name or path is `name`, and return them. StoreError."""
    known = listed(home)
    gone = [each for each in known if name in (each.name, each.path, os.path.dirname(each.path))]
    if gone:
        _write(home, [each for each in known if each not in gone])
    return gone


def _write(home: str, allowances: list[Allowance]) -> None:
    path = _path(home)
    aside = f"{path}.{os.getpid()}"
    try:
        make_closed(home)
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as file:
            file.writelines(f"{each.kind} {each.name} {json.dumps(each.path)}\n" for each in allowances)
        os.replace(aside, path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from error


def _parsed(line: str) -> Allowance | None:
    kind, _, rest = line.partition(" ")
    name, _, quoted = rest.partition(" ")
    try:
        path = json.loads(quoted)
    except ValueError:
        return None
    return Allowance(kind, name, path) if name and isinstance(path, str) else None


def _path(home: str) -> str:
    return os.path.join(home, "allowed")
