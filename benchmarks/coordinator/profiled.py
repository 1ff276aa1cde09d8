"""`python -m benchmarks.coordinator.profiled FILE SCRIPT ARGUMENT...`: run a Python script; where each thread spent its CPU goes
to FILE.THREAD, for pstats."""

from __future__ import annotations

import cProfile
import runpy
import sys
import threading
import time

import gg.cli.main


def _leave(status: int) -> None:
    """As gg ends, but what was profiled is written."""
    sys.exit(status)


def main() -> None:
    target, sys.argv = sys.argv[1], sys.argv[2:]
    original = threading.Thread.run

    def run(self: threading.Thread) -> None:
        profile = cProfile.Profile(time.thread_time)
        try:
            profile.runcall(original, self)
        finally:
            profile.dump_stats(f"{target}.{self.name.replace(' ', '-')}")

    threading.Thread.run = run  # type: ignore[method-assign]
    gg.cli.main.leave = _leave
    profile = cProfile.Profile(time.thread_time)
    profile.enable()
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        profile.disable()
        profile.dump_stats(f"{target}.main")


if __name__ == "__main__":
    main()
