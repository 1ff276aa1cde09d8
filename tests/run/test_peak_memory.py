"""How much memory a command took, whatever the process took that started it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gg.core.ids import SandboxPath
from gg.core.thunk import Output, Thunk, Usage, Work
from gg.store.durations import Durations, LastUsage
from gg.store.memory import MemoryStore

MB = 1 << 20
TAKEN = """
import sys
from gg.run.process import Slot
own = bytearray(int(sys.argv[1]) << 20)
own[::4096] = bytes(len(own[::4096]))
slot = Slot()
command = "b = bytearray(" + sys.argv[2] + " << 20); b[::4096] = bytes(len(b[::4096]))"
print(slot.run(sys.executable.encode(), (b"python", b"-S", b"-c", command.encode()), {}, "/").usage.memory)
"""


def taken(own: int, command: int) -> int:
    """What a command that takes `command` MB is said to have taken by a process that takes `own` MB."""
    done = subprocess.run(
        [sys.executable, "-c", TAKEN, str(own), str(command)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.parametrize(("own", "command"), [(1, 1), (1, 200), (180, 300)])
def test_a_peak_above_the_starters_is_the_commands(own: int, command: int) -> None:
    assert command * MB <= taken(own, command) <= (command + 100) * MB


def test_a_peak_below_the_starters_is_not_known() -> None:
    assert taken(300, 1) == 0


def test_what_was_known_before_stays() -> None:
    store = MemoryStore()
    thunk = Thunk(
        (b"cc",),
        SandboxPath(b"/bin/cc"),
        SandboxPath(b"/"),
        (),
        (),
        (),
        (Output(SandboxPath(b"/x.o")),),
        Work.COMPILE,
        "gcc/1",
    )
    for usage in (Usage(wall_ns=10**9, memory=90 * MB), Usage(wall_ns=2 * 10**9)):
        durations = Durations(store)
        durations.ran(thunk, usage, "remote/host")
        durations.flush()
    assert Durations(store).of(thunk) == LastUsage(2.0, 90 * MB, "remote/host")
