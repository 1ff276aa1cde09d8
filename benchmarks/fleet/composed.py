"""One build on spot workers, functions of Lambda and this machine, while a worker dies and Lambda refuses for a while.

    python -m benchmarks.fleet.composed --sqs COMMAND [--rounds 3] [--thunks 432] [--trace DIRECTORY] [--json FILE]

The build is that of `benchmarks.fleet.chaos`, with 432 thunks of 0.7 s, 72 that join six of these each, and one that joins all;
`gg-force --engine spot,lambda,local` over four real workers of two slots, at most ten functions at once, and this machine's
processors. A worker is killed when the spot workers have begun forty jobs; from the sixtieth invocation on Lambda answers 429 to
all for six seconds. The bytes are compared with a plain make's. `phases`: what each engine has done by the trace, before
the refusals, in their time and after them; `where`: as the last line tells it. As root.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.fleet.chaos import LIMIT_S, WORKERS, Chaos, Member, make_queue
from benchmarks.fleet.servers import sqs
from benchmarks.machine import machine
from benchmarks.timing import communicate
from tests.e2e.project import SCRIPTS
from tests.servers.deployed import Deployed, deployed
from tests.servers.lambda_service.config import Limits
from tests.servers.metadata import metadata
from tests.servers.seaweed import seaweed

FUNCTIONS, REFUSED_S = 10, 6.0
KILL_AFTER, REFUSE_AFTER = 40, 60
_PHASES = ("before", "refused", "after")


class Composed:
    """`chaos`: makes trees. `here`: the functions."""

    def __init__(self, chaos: Chaos, here: Deployed) -> None:
        self.chaos = chaos
        self.here = here
        self.env = {**here.environment(), **chaos.env, "GG_STORAGE_URI": here.uri, "GG_ENGINE": ""}
        self.env |= {name: value for name, value in here.environment().items() if name.startswith("AWS_")}
        self.env["AWS_ENDPOINT_URL_SQS"] = chaos.env["AWS_ENDPOINT_URL_SQS"]

    def round(self, seed: int, trace: Path, *, trouble: bool) -> dict[str, Any]:
        tree, plain = self.chaos.tree(f"r{seed}", seed), self.chaos.tree(f"p{seed}", seed)
        quiet = {"stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
        subprocess.run(["make", "-s", "-j64"], cwd=plain, check=True)
        subprocess.run([SCRIPTS / "gg-infer", "make", "-s"], cwd=tree, env=self.env, check=True, **quiet)  # type: ignore[call-overload]
        words = [str(SCRIPTS / "gg-force"), "--engine", "spot,lambda,local", "--trace", str(trace), "--json"]
        pipe = subprocess.PIPE
        began = time.monotonic()
        process = subprocess.Popen(words, cwd=tree, env=self.env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe)
        happened: dict[str, float] = {}
        befalling = threading.Thread(target=self._befall, args=(process, began, happened), daemon=True)
        if trouble:
            befalling.start()
        out, err = communicate(process, LIMIT_S)
        took = time.monotonic() - began
        self.here.functions.faults()
        row = self._row(out, trace, happened)
        row |= {"status": process.returncode, "same": self.chaos.same(tree, plain), "wall_s": round(took, 1)}
        if process.returncode or not row["same"]:
            row["said"] = err.decode(errors="replace")[-600:]
        shutil.rmtree(tree)
        shutil.rmtree(plain)
        return row

    def _befall(self, process: subprocess.Popen[bytes], began: float, happened: dict[str, float]) -> None:
        """What befalls the round, each when the time has come; `happened` is told when, in seconds from its start."""
        jobs, calls = self._jobs(), self.here.invocations()
        while process.poll() is None and len(happened) < 2:
            if "killed" not in happened and self._jobs() - jobs >= KILL_AFTER:
                self.chaos.members[0].kill(random.Random(0))
                happened["killed"] = time.monotonic() - began
            if "refused" not in happened and self.here.invocations() - calls >= REFUSE_AFTER:
                self.here.functions.faults(storm=[(0.0, REFUSED_S)])
                happened["refused"] = time.monotonic() - began
            time.sleep(0.1)

    def _jobs(self) -> int:
        return sum(each.log.read_text().count("begin") for each in self.chaos.members if each.log.exists())

    def _row(self, out: bytes, trace: Path, happened: dict[str, float]) -> dict[str, Any]:
        events = [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]
        last: dict[str, Any] = next((event for event in events if event["event"] == "run-finished"), {})
        attempts = Counter(event["id"] for event in events if event["event"] == "thunk-started")
        return {
            "ran": last.get("ran"),
            "retries": last.get("retries"),
            "most_attempts": max(attempts.values(), default=0),
            "where": last.get("where"),
            "dollars": last.get("cost", {}).get("total"),
            "phases": phases(trace, happened.get("refused")),
            "happened_s": {what: round(when, 1) for what, when in happened.items()},
            "notes": sorted({event["text"] for event in events if event["event"] == "note"})[:12],
        }


def phases(trace: Path, refused: float | None) -> dict[str, dict[str, int]]:
    """How many thunks each engine has done, by the trace, before, while and after Lambda refused everything."""
    records = json.loads(trace.read_text())
    found: dict[str, Counter[str]] = {}
    for each in records:
        if each["ph"] == "X" and each["cat"] == "ran":
            at = (each["ts"] + each["dur"]) / 1e6
            phase = 0 if refused is None or at < refused else 1 if at < refused + REFUSED_S else 2
            found.setdefault(each["args"]["engine"], Counter())[_PHASES[phase]] += 1
    return {name: dict(counts) for name, counts in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.fleet.composed")
    parser.add_argument("--sqs", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--thunks", type=int, default=432)
    parser.add_argument("--trace", type=Path, help="where traces are kept")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ["PATH"] = f"{SCRIPTS}:{os.environ['PATH']}"
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        top = Path(stack.enter_context(tempfile.TemporaryDirectory())).resolve()
        kept = options.trace or top
        bucket = stack.enter_context(seaweed())
        endpoint, _ = stack.enter_context(sqs(options.sqs))
        here = stack.enter_context(deployed(bucket, limits=Limits(concurrency=FUNCTIONS)))
        make_queue(endpoint)
        members = []
        for number in range(WORKERS):
            members.append(Member(top, number, endpoint, bucket, stack.enter_context(metadata())))
            stack.callback(members[-1].end)
        composed = Composed(Chaos(top, endpoint, bucket, members, options.thunks), here)
        composed.round(0, kept / "trace-0.json", trouble=False)  # toolchains come once
        for seed in range(1, options.rounds + 1):
            rows.append(composed.round(seed, kept / f"trace-{seed}.json", trouble=True))
            print(json.dumps(rows[-1]), flush=True)
            if options.json:
                options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
    return 0 if all(row["same"] and row["status"] == 0 for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
