"""Room for open files is made as far as the user may, and an engine takes no more attempts than there is room for."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import os, resource, subprocess, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from gg.host import machine
print(machine.file_places({count}, {each}), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
child = subprocess.Popen(["sh", "-c", "read go; ulimit -Sn; ulimit -Hn"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
machine.with_first_limit(child.pid)
print(*child.communicate(b"go\\n")[0].decode().split())
"""


@pytest.mark.parametrize(
    ("soft", "hard", "count", "each", "places", "limit"),
    [
        (1024, 8192, 100, 1, 100, 1024),  # enough
        (1024, 8192, 1000, 1, 1000, 1192),
        (1024, 8192, 512, 8, 512, 4288),
        (256, 1000, 1000, 1, 808, 1000),  # as far as that goes
        (60, 60, 1000, 1, 1, 60),
    ],
)
def test_room_for_attempts(soft: int, hard: int, count: int, each: int, places: int, limit: int) -> None:
    code = CODE.format(soft=soft, hard=hard, count=count, each=each)
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.splitlines()
    assert said == [f"{places} {limit}", f"{soft} {hard}"]
