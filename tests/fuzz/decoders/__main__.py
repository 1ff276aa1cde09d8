"""Fuzz decoders by coverage: `python -m tests.fuzz.decoders [NAME…] --seconds 60 [--corpus DIR]`.

One process for all that are named (none: all of them): the first two bytes of an input choose the decoder. What was found is
written to DIR/found, by name of the decoder; put it into tests/fuzz/regressions/NAME, where CI tries it again. DIR/counts.json says
what each decoder has had in all runs with that DIR: seconds of CPU in the decoder, and inputs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["gg"], enable_loader_override=False):
    from tests.fuzz.decoders.table import TARGETS
from tests.fuzz.decoders.mutate import Mutator
from tests.fuzz.decoders.target import Target, check, check_memory

_TELL_S = 5.0
_GROWN = 8 << 10  # KiB that one input may add to the process before its memory is looked at


class _Tries:
    """Calls the decoder that an input chooses."""

    def __init__(self, targets: list[Target], place: Path) -> None:
        self._targets = targets
        self._found = place / "found"
        self._counts = place / "counts.json"
        had = json.loads(self._counts.read_text()) if self._counts.exists() else {}
        self._seconds: dict[str, float] = {
            name: had.get(name, (0.0, 0))[0] for name in {*had, *(target.name for target in targets)}
        }
        self._inputs: dict[str, int] = {name: had.get(name, (0.0, 0))[1] for name in self._seconds}
        self._told = 0.0
        self._highest = _memory()

    def __call__(self, data: bytes) -> None:
        target = self._targets[int.from_bytes(data[:2], "big") % len(self._targets)]
        begun = time.process_time()
        self._try(target, data[2:], check)
        self._count(target.name, begun)
        if _memory() > self._highest + _GROWN:
            self._try(target, data[2:], check_memory)
            self._highest = _memory()

    def _count(self, name: str, begun: float) -> None:
        now = time.process_time()
        self._inputs[name] += 1
        self._seconds[name] += now - begun
        if now > self._told + _TELL_S:
            self._told = now
            rows = {each: [round(self._seconds[each], 1), self._inputs[each]] for each in self._inputs}
            self._counts.write_text(json.dumps(rows, indent=0))

    def _try(self, target: Target, data: bytes, how: Callable[[Target, bytes], None]) -> None:
        try:
            how(target, data)
        except BaseException:
            place = self._found / target.name / sha256(data).hexdigest()[:16]
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
            print(f"FOUND {place}", file=sys.stderr)
            traceback.print_exc()
            raise


def _changed(data: bytes, most: int, seed: int) -> bytes:
    """`data` with a value changed, or with bytes changed, by turns. The two bytes that choose the decoder are let be."""

    def by_bytes(old: bytes) -> bytes:
        return bytes(atheris.Mutate(old, most))

    inner = data[2:]
    if seed % 2:
        mutator = Mutator(Random(seed), by_bytes)
        for _ in range(1 + seed // 2 % 3):
            inner = mutator.change(inner)
    else:
        inner = by_bytes(inner)
    return (data[:2] + inner)[:most]


def _memory() -> int:
    """The process's own peak in KiB: getrusage's may be that of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split(maxsplit=1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *TARGETS])
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--corpus", type=Path, default=Path("build/fuzz"))
    given = parser.parse_args()
    targets = [TARGETS[name] for name in given.names or TARGETS]
    corpus = given.corpus / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, target in enumerate(targets):
        for place, seed in enumerate((*target.seeds, *target.bricks)):
            (corpus / f"{target.name}-{place}").write_bytes(number.to_bytes(2, "big") + seed)
    options = [
        f"-max_total_time={given.seconds}",
        "-timeout=20",
        "-rss_limit_mb=1024",
        "-max_len=20000",
        "-verbosity=0",
    ]
    os.environ.setdefault("GG_DIR", str(given.corpus))
    atheris.Setup(
        [sys.argv[0], *options, "-print_final_stats=1", f"-artifact_prefix={given.corpus}/", str(corpus)],
        _Tries(targets, given.corpus),
        custom_mutator=_changed,
    )
    atheris.Fuzz()


main()
