"""Tools that the build itself may make, replace or take away, and places where they might come to be.

What compilers and linkers answered is remembered for a session. It holds as long as these files are as they were: one
call of `look.c` tells that at each call of a tool, and costs nothing where all tools are the system's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gg.record.many_looks import Paths

_SEARCHES = (b"PATH", b"COMPILER_PATH", b"GCC_EXEC_PREFIX")


class Tools:
    """The files of one session. `stable`: whether what is at a path stays as it is."""

    def __init__(self, stable: Callable[[bytes], bool]) -> None:
        self._stable = stable
        self._watched: dict[bytes, None] = {}
        self._searches: set[tuple[bytes, ...]] = set()
        self._paths: Paths | None = None

    def watch(self, paths: Iterable[bytes]) -> None:
        """Watch those of `paths` that may change, from now on."""
        new = list(dict.fromkeys(p for p in paths if p not in self._watched and not self._stable(p)))
        if new:
            from gg.record.many_looks import Paths

            known = self._paths.known() if self._paths else b""
            self._watched.update(dict.fromkeys(new))
            self._paths = Paths(list(self._watched), known + Paths(new).look())

    def watch_search(self, argv: Sequence[bytes], env: Mapping[bytes, bytes], cwd: bytes) -> None:
        """Watch what the question `argv` depends on: the program itself, and where it would find its helpers."""
        prefixes = tuple(os.path.join(cwd, prefix) for prefix in _prefixes(argv))
        search = (argv[0], *(env.get(name, b"") for name in _SEARCHES), *prefixes)
        if search in self._searches:
            return
        self._searches.add(search)
        on_path, *others = (self._moving(env.get(name, b"").split(b":")) for name in _SEARCHES)
        compilers = [*(d for found in others for d in found), *self._moving(prefixes)]
        if on_path or compilers:
            from gg.models.driver.variables import HELPERS, PASSES

            self.watch([d + b"/" + name for d in (*on_path, *compilers) for name in HELPERS])
            self.watch([d + b"/" + name for d in compilers for name in PASSES])
            self.watch([prefix + name for prefix in prefixes for name in (*HELPERS, *PASSES)])
        self.watch([argv[0]])

    def _moving(self, directories: Iterable[bytes]) -> list[bytes]:
        return [d for d in directories if d.startswith(b"/") and not self._stable(d.rstrip(b"/") + b"/")]

    def stand(self) -> bool:
        """Whether all are as they were when this was last asked."""
        if self._paths is None or not self._paths.differ(self._paths.all, follow=True):
            return True
        self._paths.look()
        return False


def _prefixes(argv: Sequence[bytes]) -> Iterator[bytes]:
    """What -B names: a directory, or what the names of helpers begin with."""
    for before, word in zip((b"", *argv), argv, strict=False):
        if before == b"-B":
            yield word
        elif word.startswith(b"-B") and word != b"-B":
            yield word[2:]
