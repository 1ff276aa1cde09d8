"""Tools that the build itself may make, replace or take away, and places where they might come to be.

What compilers and linkers answered is remembered for a session. It holds as long as these files are as they were: one
call of `look.c` tells that at each call of a tool, and costs nothing where all tools are the system's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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

    def watch_search(self, program: bytes, env: Mapping[bytes, bytes]) -> None:
        """Watch what a question to `program` depends on: itself, and where it would find its helpers."""
        search = (program, *(env.get(name, b"") for name in _SEARCHES))
        if search in self._searches:
            return
        self._searches.add(search)
        directories = [d for value in search[1:] for d in value.split(b":") if d.startswith(b"/")]
        moving = [d for d in directories if not self._stable(d.rstrip(b"/") + b"/")]
        if moving:
            from gg.models.driver.variables import HELPERS

            self.watch([d + b"/" + name for d in moving for name in HELPERS])
        self.watch([program])

    def stand(self) -> bool:
        """Whether all are as they were when this was last asked."""
        if self._paths is None or not self._paths.differ(self._paths.all, follow=True):
            return True
        self._paths.look()
        return False
