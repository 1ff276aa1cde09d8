"""How many processors a fleet should have that is not there yet, for what is left of a build. Pure; times are seconds."""

from __future__ import annotations

import math

BOOT_S = 75.0
"""From a machine's order to its first thunk (a guess, as in `gg.cost.models`)."""
_WORTH = 2.0


def processors(work: float, path: float, width: int, thunks: int, most: int, boot: float = BOOT_S) -> int:
    """`work`: of all that is left, `path`: its longest chain, `width`: attempts that run at once without the fleet, `thunks`: how
    many are left. 0 if the build would end before the machines have done much: in less than twice the time that they need to be
    there. Else as many as do the rest in the longest chain's time, or in the time of another boot if that is more.
    """
    if max(path, work / max(width, 1)) < _WORTH * boot:
        return 0
    rest = work - width * boot  # when the machines are there
    if rest <= 0.0:
        return 0
    time = max(path - boot, boot)
    return max(0, min(most, thunks, math.ceil(rest / time) - width))
