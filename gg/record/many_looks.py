"""Many files looked at in one call: `toolchain-wrappers/look/look.c` does it."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate

from gg.host import native_programs as native
from gg.host.files import PACKED_SIZE

Places = bytes  # of an array of 32-bit numbers, which paths of a list


class Paths:
    """A list of paths, and for each the packed signature that it had (`known`), zeros until one is set."""

    def __init__(self, paths: Sequence[bytes], known: bytes = b"") -> None:
        self._text = b"\0".join(paths) + b"\0"
        self._starts = array("Q", accumulate([len(path) + 1 for path in paths], initial=0)).tobytes()
        self._known = ctypes.create_string_buffer(known or bytes(PACKED_SIZE * len(paths)), PACKED_SIZE * len(paths))
        self._other = (ctypes.c_uint32 * max(1, len(paths)))()
        self.all: Places = array("I", range(len(paths))).tobytes()

    def set(self, place: int, packed: bytes) -> None:
        """This is its signature, from now on."""
        ctypes.memmove(ctypes.byref(self._known, PACKED_SIZE * place), packed, PACKED_SIZE)

    def look(self) -> bytes:
        """The packed signatures that all have now, links followed."""
        _library().gg_look(self._text, self._starts, self._known, len(self.all) // 4)
        return self.known()

    def known(self) -> bytes:
        return self._known.raw

    def differ(self, which: Places, *, follow: bool) -> list[int]:
        """Those that do not have their signature now. `which` names each once."""
        count = len(which) // 4
        n = _library().gg_differ(self._text, self._starts, self._known, which, count, follow, self._other)
        return self._other[:n]

    def any_there(self, which: Places) -> bool:
        """Whether something has one of these names."""
        return bool(_library().gg_any(self._text, self._starts, which, len(which) // 4))


MISSING = b"//"  # no link has this target


class Trail:
    """Components of paths: where each link among them leads, and that the others are no links.

    `steps`: path to target, which is empty for what is no link, MISSING for what is not there.
    """

    def __init__(self, steps: Mapping[bytes, bytes]) -> None:
        self.steps = steps
        self._text = b"".join([part + b"\0" for step in steps.items() for part in step])

    def stands(self) -> bool:
        """Whether each component is as it was."""
        return bool(_library().gg_leads(self._text, len(self.steps)))


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(native.look_library())
    text, number = ctypes.c_char_p, ctypes.c_int
    library.gg_differ.argtypes = (text, text, ctypes.c_char_p, text, number, number, ctypes.c_void_p)
    library.gg_any.argtypes = (text, text, text, number)
    library.gg_look.argtypes = (text, text, ctypes.c_void_p, number)
    library.gg_leads.argtypes = (text, number)
    return library
