"""Every decoder of bytes from elsewhere: its seeds, what was found before, long repetitions, and a short round by coverage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.decoders.table import TARGETS
from tests.fuzz.decoders.target import Target, apart, check, check_memory

REGRESSIONS = Path(__file__).with_name("regressions")
FOUND = sorted(path for path in REGRESSIONS.glob("*/*") if not path.parent.name.startswith("native-"))
LONG = 50_000  # bytes: what takes the square of their number takes more than a second
SECONDS = 15


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_decoder_takes_its_own(target: Target) -> None:
    """Each seed, whole, cut anywhere (to 200 places), and with one bit turned over."""
    for seed in target.seeds:
        step = 1 + len(seed) // 200
        for at in range(0, len(seed) + 1, step):
            check(target, seed[:at])
            check(target, seed[:at] + bytes(byte ^ 0x80 for byte in seed[at : at + 1]) + seed[at + 1 :])
        check_memory(target, seed)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_time_and_memory_grow_with_the_length_only(target: Target) -> None:
    for brick in (*target.bricks, *GENERIC):
        repeated = brick * (LONG // len(brick))
        check(target, repeated)
        check(target, target.seeds[0] + repeated)


GENERIC = (b"\x90", b"\x91", b"\x81\xa1a", b"\xdd\x7f\xff\xff\xff", b"[", b"\0", b"\xff", b"a", b"\n")


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_small_bomb_takes_little_memory(target: Target) -> None:
    """33 kB of what makes unpackers allocate."""
    for bomb in BOMBS:
        check_memory(target, bomb)


BOMBS = (
    b"\xdc\xff\xff" * 11000,
    b"\xdd\x00\x00\x80\x00" * 1000 + b"\x90" * 28000,
    b"\x95" + b"\xdc\x80\x00" + b"\x90" * 33000,
    b"\xdf\x00\x00\x40\x00" + b"\x01\x90" * 16384,
    b"[" * 33000,
    b"[" + b"[],{}," * 5500 + b"1]",
    b'{"a":' * 6600,
    b"1" * 33000,
)


@pytest.mark.parametrize("path", FOUND, ids=["/".join(path.parts[-2:]) for path in FOUND])
def test_what_was_found_once(path: Path) -> None:
    target = TARGETS[path.parent.name]
    check(target, path.read_bytes())
    check_memory(target, path.read_bytes())


def test_a_short_round(tmp_path: Path) -> None:
    """Longer ones: python -m tests.fuzz.decoders --seconds 1800."""
    command = [sys.executable, "-m", "tests.fuzz.decoders", "--seconds", str(SECONDS), "--corpus", str(tmp_path)]
    done = subprocess.run(apart(*command), capture_output=True, text=True, errors="replace", timeout=250)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "number_of_executed_units" in done.stderr
