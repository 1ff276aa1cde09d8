"""What compilers and linkers answered in earlier sessions, kept while nothing that an answer depends on has changed.

A question costs 2 to 12 ms, and a build's first calls wait for half a dozen. An answer is kept with the stat signature
of everything that it is known to depend on, and is given again only while all of these are the same:

- the program, and each file that the question or the answer names (the passes that run, spec files that were read);
- each directory that they are in, and the one above: a spec file, pass or directory that appears moves its times;
- each directory on the searches that the environment gives (PATH, COMPILER_PATH, GCC_EXEC_PREFIX, …), and where GCC
  itself looks for its parts, which it is asked for once (`-print-search-dirs`); that one is not there counts too.

Not kept is what this rule may not cover: answers of scripts (they may read anything), of clang (it looks at more than it
tells), about `native`, with -B, -specs or --sysroot, in a directory other than `/`, without PATH (no question to a
toolchain), and when something that an answer depends on has changed so lately that its times cannot tell the next change
(`gg.host.files`). Nor is a failure that was the machine's at that moment: a tool killed, or without memory, room or files.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import cast

import msgpack

from gg.core.ticks import time_settled
from gg.errors import StoreError
from gg.host.files import Signature, write_whole
from gg.light.regex import regex
from gg.models.drafts import Completed

RunTool = Callable[[Sequence[bytes], Mapping[bytes, bytes], bytes], Completed]
Watched = dict[bytes, bytes]  # a path to its packed signature, or to nothing if nothing is there
KeptAnswers = dict[bytes, tuple[Completed, Watched]]

_VERSION = 1
_LEAST_ROW = 8  # bytes of an answer, as it is kept
_PATH = regex(rb"/[^\s\"':;,=<>()\[\]{}]*")
# Another processor answers otherwise; what a prefix or a spec file leads to is not all told.
_UNSURE = regex(rb"native|^-B|^--?sysroot|^-isysroot|^--?specs|^--?gcc-toolchain|^-wrapper")
_SEARCHES = (b"PATH", b"COMPILER_PATH", b"LIBRARY_PATH", b"LD_LIBRARY_PATH", b"GCC_EXEC_PREFIX", b"REALGCC")
# What a tool says that failed for want of something, by itself or through the driver that started it; all in the C locale.
_SCARCE = regex(
    rb"error while loading shared libraries|virtual memory exhausted|out of memory|memory exhausted|signal terminated program|"
    + b"|".join(
        os.strerror(number).encode()
        for number in (
            errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO,
            errno.EROFS,
        )
    )
)  # fmt: skip
_TEMPORARY = (b"/tmp", b"/var/tmp", b"/usr/tmp")  # where drivers say that they would put what passes hand on
_MOST = 2000  # answers; beyond it, those of this session alone are kept


class Answers:
    """The answers kept in the file `path`, read at the first question. `run` asks for real.

    What is not kept there is looked for in the file `common`, and what is new goes to both.
    """

    def __init__(self, path: bytes, run: RunTool, common: bytes | None = None) -> None:
        self._path = path
        self._common = common
        self._run = run
        self._kept: KeptAnswers | None = None
        self._others: KeptAnswers | None = None
        self._new: KeptAnswers = {}
        self._signatures: Watched = {}
        self._search_dirs: dict[bytes, frozenset[bytes]] = {}

    def ask(self, argv: Sequence[bytes], env: Mapping[bytes, bytes], cwd: bytes) -> Completed:
        """The answer, known or asked for now."""
        if cwd != b"/" or b"PATH" not in env or any(map(_UNSURE.search, argv)):
            return self._run(argv, env, cwd)
        key = cast("bytes", msgpack.packb([list(argv), sorted(env.items())]))
        known = self._known(key)
        if known is not None:
            return known
        before = time.time_ns()
        answer = self._run(argv, env, cwd)
        watched = None if _is_passing(answer) else self._watch(argv, env, answer, before)
        if watched is not None:
            self._new[key] = answer, watched
        return answer

    def _known(self, key: bytes) -> Completed | None:
        if self._kept is None:
            self._kept = _load(self._path)
        if self._stands(self._kept.get(key)):
            return self._kept[key][0]
        if self._common is None:
            return None
        if self._others is None:
            self._others = _load(self._common)
        if not self._stands(self._others.get(key)):
            return None
        self._new[key] = self._others[key]
        return self._others[key][0]

    def _stands(self, known: tuple[Completed, Watched] | None) -> bool:
        return known is not None and all(self._signature(path) == was for path, was in known[1].items())

    def forget(self) -> None:
        """A tool has changed: look again at what answers depend on."""
        self._signatures.clear()
        self._search_dirs.clear()

    def flush(self) -> None:
        """Write what is new. Trouble is no error: this is a cache."""
        if not self._new:
            return
        _write(self._path, self._kept or {}, self._new)
        others = self._others or {}
        if self._common is not None and any(others.get(key) is not answer for key, answer in self._new.items()):
            with suppress(OSError):
                os.makedirs(os.path.dirname(self._common), mode=0o700, exist_ok=True)
            _write(self._common, others, self._new)
        self._new = {}

    # What an answer depends on

    def _signature(self, path: bytes) -> bytes:
        known = self._signatures.get(path)
        if known is None:
            known = self._signatures[path] = _signature(path)
        return known

    def _watch(
        self, argv: Sequence[bytes], env: Mapping[bytes, bytes], answer: Completed, before: int
    ) -> Watched | None:
        """Signatures of all that `answer` depends on; None if that cannot be told, or has just changed."""
        said = answer.stdout + answer.stderr
        if b"clang" in said or _is_script(argv[0]):
            return None
        paths = {argv[0], *_named(argv)}
        paths.update(path for path in _named((said,)) if os.path.dirname(path) not in _TEMPORARY)
        for name in _SEARCHES:
            paths.update(part for part in env.get(name, b"").split(b":") if part.startswith(b"/"))
        if b"-###" in argv or b"-v" in argv:
            paths |= self._searched(argv[0], env)
        watched: Watched = {}
        for path in _with_directories(paths):
            watched[path] = found = _signature(path)
            if found and not time_settled(Signature.unpack(found).ctime_ns, before):
                return None
        return watched

    def _searched(self, driver: bytes, env: Mapping[bytes, bytes]) -> frozenset[bytes]:
        """Where the driver looks for its parts, directories that are not there among them."""
        key = cast("bytes", msgpack.packb([driver, sorted(env.items())]))
        if key not in self._search_dirs:
            done = self._run((driver, b"-print-search-dirs"), env, b"/")
            self._search_dirs[key] = frozenset(_named((done.stdout,)))
        return self._search_dirs[key]


def _write(path: bytes, kept: KeptAnswers, new: KeptAnswers) -> None:
    every = {**kept, **new}
    rows = [[key, *answer, watched] for key, (answer, watched) in (every if len(every) <= _MOST else new).items()]
    with suppress(StoreError):
        write_whole(path, msgpack.packb([_VERSION, rows]))


def _load(path: bytes) -> KeptAnswers:
    try:
        with open(path, "rb") as file:
            data = file.read()
        version, rows = msgpack.unpackb(data, max_ext_len=0, max_array_len=len(data) // _LEAST_ROW + 2)
        if version != _VERSION:
            return {}
        return {key: (Completed(status, out, err), watched) for key, status, out, err, watched in rows}
    except (OSError, ValueError, TypeError):  # not there, or damaged
        return {}


def _signature(path: bytes) -> bytes:
    try:
        return Signature.of(os.stat(path)).pack()
    except (OSError, ValueError):
        return b""


def _named(texts: Iterable[bytes]) -> Iterator[bytes]:
    for text in texts:
        yield from (path.rstrip(b"/") or b"/" for path in _PATH.findall(text))


def _with_directories(paths: Iterable[bytes]) -> set[bytes]:
    """`paths`, the directory that each is in and the one above, `/` and those for temporary files left out."""
    found = set(paths)
    for path in paths:
        above = os.path.dirname(path)
        found |= {above, os.path.dirname(above)}
    return found.difference((b"", b"/", *_TEMPORARY))


def _is_passing(answer: Completed) -> bool:
    """Whether a failure may be the machine's, so that the same question is answered otherwise when that is over."""
    return answer.status < 0 or (answer.status != 0 and _SCARCE.search(answer.stderr) is not None)


def _is_script(program: bytes) -> bool:
    try:
        with open(program, "rb", buffering=0) as file:
            return file.read(4) != b"\x7fELF"
    except OSError:
        return True
