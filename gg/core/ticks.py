"""When a file's time can tell the next change: the one rule for all that is remembered by what `stat` says.

A write sets a file's times to the kernel's coarse clock, which moves in ticks of 1 to 10 ms (CONFIG_HZ; up to 2 s on some
old file systems). So a change in the tick of the one before leaves the same times. What was learnt of a file, or of a
directory's names, may be remembered only if the last change lies 50 ms (5 of the longest ticks) or more before the look
at it began; whole-second times, which betray a coarse file system, want 2.1 s. Times in the future are not settled either,
unless by far: the clock was set back, or will pass them.
"""

from __future__ import annotations

RACY_NS = 50_000_000
_COARSE_RACY_NS = 2_100_000_000
_SECOND_NS = 1_000_000_000


def time_settled(time_ns: int, now_ns: int) -> bool:
    """Whether a change at `now_ns` or later is sure to give a file another time than `time_ns`."""
    margin = RACY_NS if time_ns % _SECOND_NS else _COARSE_RACY_NS
    return time_ns < now_ns - margin
