"""A directory that holds gg's state, wherever it is: who may enter, what in it is gg's own, and that nothing in it leads out.

It may be named by mistake (GG_DIR), or lie in a tree that a stranger has filled. So it counts only if it looks like one, no link
at its top is followed, and only names that gg gives are ever removed.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress

from gg.errors import StoreError
from gg.workspace import homes

TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# gg's state can be had again (https://bford.info/cachedir/)\n"
_OWN = re.compile(
    r"(store|files|remote-[0-9a-f]+)\.db(-wal|-shm|-journal)?"
    r"|(history|calls)\.jsonl|(deployment|functions|endpoints)\.json"
    r"|answers|blobs|builds|calls|failed|gate|grown|known-as|ledger|lock|outside|recall|recorded|root|running|shims|tmp|version|wheels"
    r"|\.gitignore|CACHEDIR\.TAG"
)
_ASIDE = re.compile(r"\.?(?:[0-9]+|new|gg-.*)")  # the suffix of a file that is being written


def is_own(name: str) -> bool:
    """Whether gg gives that name to something in a directory of state."""
    found = _OWN.match(name)
    return found is not None and (found.end() == len(name) or bool(_ASIDE.fullmatch(name, found.end())))


def is_state(path: str) -> bool:
    """Whether a directory holds gg's state, or nothing yet: it is marked as such, or has nothing else in it."""
    try:
        names = os.listdir(path)
    except OSError:
        return False
    return all(map(is_own, names)) or ("CACHEDIR.TAG" in names and _is_marked(path))


def _is_marked(path: str) -> bool:
    try:
        with open(
            os.open(os.path.join(path, "CACHEDIR.TAG"), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb"
        ) as file:
            return file.read(len(TAG) + 1) == TAG.encode()
    except OSError:
        return False


def make_private(path: str) -> None:
    """Make the directory, if need be, and close it to all others. OSError."""
    homes.make_closed(path)
    info = os.stat(path)
    if info.st_mode & 0o77 and info.st_uid == os.geteuid():
        os.chmod(path, stat.S_IMODE(info.st_mode) & ~0o77)


def begin(path: str, *, in_tree: bool) -> None:
    """Make the directory, if need be, close it to others and mark it as gg's. `in_tree`: git must ignore it. OSError."""
    make_private(path)
    if in_tree:
        _write_once(os.path.join(path, ".gitignore"), "*\n")
    _write_once(os.path.join(path, "CACHEDIR.TAG"), TAG)


def _write_once(path: str, text: str) -> None:
    with suppress(FileExistsError), open(path, "x", encoding="ascii") as file:
        file.write(text)


def need_plain(path: str) -> None:
    """StoreError if something in the directory leads out of it."""
    for directory in (path, os.path.join(path, "blobs")):
        with suppress(FileNotFoundError), os.scandir(directory) as entries:
            links = [entry.path for entry in entries if entry.is_symlink() and is_own(entry.name) | (directory != path)]
            if links:
                raise StoreError(
                    f"{links[0]!r} is a symbolic link, and none in gg's state is followed",
                    hint=f"gg has not made it: remove it, or all of {path!r}",
                )


def remove_own(path: str) -> None:
    """Remove gg's files, and the directory if nothing else is in it. OSError."""
    from gg.host.emptying import remove

    for name in filter(is_own, os.listdir(path)):
        remove(os.path.join(path, name))
    with suppress(OSError):
        os.rmdir(path)
