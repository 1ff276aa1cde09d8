"""`python -m tests.fuzz --rounds 20 --seed 1`: rounds of the fuzzer, one line each; exit status 1 if any differed."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.round import Round


def main() -> int:
    assert __doc__
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=6)
    args = parser.parse_args()
    bad = 0
    for seed in range(args.seed, args.seed + args.rounds):
        top = Path(tempfile.mkdtemp(prefix="gg-fuzz-"))
        root = top / "tree"
        root.mkdir()
        env = {"PATH": os.environ["PATH"], "HOME": str(top), "XDG_CACHE_HOME": str(top / "cache"), "LC_ALL": "C"}
        one, start = Round(seed, root, env), time.monotonic()
        try:
            one.play(args.steps)
            verdict = "same"
        except AssertionError as error:
            bad += 1
            verdict = f"DIFFERS\n{error}"
        counts = f"{len(one.model.units)} units, {one.failed} of {len(one.story)} builds failed"
        print(f"seed {seed}: {counts}, {time.monotonic() - start:.0f} s: {verdict}", flush=True)
        shutil.rmtree(top, ignore_errors=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
