"""Thunks without work over a fleet: how many a second, what each costs the coordinator, and what an idle worker costs.

    python -m benchmarks.fleet.throughput --sqs COMMAND [--thunks 10000] [--repeats 3] [--json FILE]

`gg-force --engine spot` in a new workspace, whose group is in the bucket already; four workers of two slots that answer and run
nothing; SQS by somebody else's server. Wall and CPU are those of the whole command. What workers and server take is told too, for
on one machine all of them share its processors. *Idle*: a worker's CPU while no build calls, and while one does that
has no work for it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.fleet.crew import build, crew, wait
from benchmarks.fleet.servers import cpu
from benchmarks.machine import machine

WORKERS, SLOTS, JOBS = 4, 2, 1000
IDLE_S = 20.0


def turn(command: str, thunks: int, before: tuple[str, ...]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch, crew(command) as fleet:
        top = build(Path(scratch).resolve() / "a", thunks + 1, 0.0)
        fleet.start(WORKERS, SLOTS)
        wait(fleet.force(top, JOBS, f"out/{thunks}"), top, 0)
        pids = [worker.pid for worker in fleet.workers]
        then = [cpu(pid) for pid in pids], cpu(fleet.server)
        begin = time.perf_counter()
        process = fleet.force(top, JOBS, "out", before=before)
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        workers, server = sum(map(cpu, pids)) - sum(then[0]), cpu(fleet.server) - then[1]
        wait(process, top, thunks + 1)
        idle = _idle(pids)
    used = usage.ru_utime + usage.ru_stime
    return {
        "wall_s": round(took, 2),
        "thunks_per_s": round(thunks / took),
        "coordinator_ms": round(1000 * used / thunks, 3),
        "workers_ms": round(1000 * workers / thunks, 3),
        "server_ms": round(1000 * server / thunks, 3),
        "idle_percent": idle,
    }


def _idle(pids: list[int]) -> float:
    before = sum(map(cpu, pids))
    time.sleep(IDLE_S)
    return round(100 * (sum(map(cpu, pids)) - before) / IDLE_S / len(pids), 3)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.fleet.throughput")
    parser.add_argument("--sqs", required=True)
    parser.add_argument("--thunks", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--before", default="", help="words before gg-force, such as those of a profiler")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    turns = []
    for _ in range(options.repeats):
        turns.append(turn(options.sqs, options.thunks, tuple(options.before.split())))
        print(json.dumps(turns[-1]), flush=True)
    middle = {name: statistics.median([each[name] for each in turns]) for name in turns[0]}
    print(json.dumps({"median": middle}))
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "turns": turns, "median": middle}, indent=1) + "\n")


if __name__ == "__main__":
    main()
