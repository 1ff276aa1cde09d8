"""FFmpeg's recorded graph and a graph of Chromium's shape under virtual time, beside what the original has published.

    python -m benchmarks.virtual [--graph FILE] [--json FILE] [--markdown FILE]

The scheduler is gg's own; engines are the distributions that `gg-force --estimate` uses, and its table of assumptions goes
with the result. For Chromium's shape 30,000 compiles, archived and linked, are run 8,000 wide: what counts there is the
coordinator, its CPU seconds and its memory.
"""

from __future__ import annotations

import argparse
import resource
import time
import zlib
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from benchmarks.scheduler import build, drive
from benchmarks.virtual import report
from benchmarks.virtual.graph import Recorded, decode
from gg.cost.forecast import Resources, Row, rows
from gg.cost.meter import Cost
from gg.cost.models import ASSUMED, MB, lambda_model
from gg.cost.prices import HOME, prices
from gg.schedule.simulator import Simulator

FFMPEG = Path(__file__).with_name("ffmpeg.graph")
ORIGINAL = {
    "FFmpeg on Lambda, inference included": 42.9,
    "inference alone": 8.2,
    "make -j48": 19.3,
    "make -j1": 378.0,
}
ORIGINAL_FORCE = {"CPU seconds": 193, "memory, GB": 4.4}
WIDTHS = (384, 1000)
UNITS, WIDE, FUNCTIONS = 30_000, 8_000, 4
RESOURCES = Resources(prices(HOME), "x86_64", (1769, 3008), 2048, processors=48, memory=384 << 30)


def figures(row: Row) -> dict[str, Any]:
    return {
        "wide": row.width,
        "seconds": round(row.seconds, 2),
        "from": round(row.fastest, 2),
        "to": round(row.slowest, 2),
        "runs": row.runs,
        "sending first": round(row.sending, 2),
        "dollars": round(row.cost.total, 4),
        "cold starts": row.cold,
        "longest chain": round(row.path, 2),
        "work": round(row.work, 1),
    }


def recorded(build_: Recorded, infer_s: float) -> dict[str, Any]:
    """A recorded build at both widths: with an empty bucket, and with tools and headers there already."""
    graph = build_.graph()
    sent = graph._replace(to_send=0, first=0)
    local = rows(graph, ["local"], [48], RESOURCES)[0]
    factor = ORIGINAL["make -j1"] / local.work
    alike = sent._replace(nodes=tuple(n._replace(seconds=(n.seconds or 0.0) * factor) for n in graph.nodes))
    assert local.cost == Cost()
    return {
        "build": build_.name,
        "thunks": len(graph.nodes),
        "guessed": {kind: guess._asdict() for kind, guess in graph.guessed.items()},
        "seconds of recording": infer_s,
        "an empty bucket": [figures(row) for row in rows(graph, ["lambda"], WIDTHS, RESOURCES)],
        "tools and headers there": [figures(row) for row in rows(sent, ["lambda"], WIDTHS, RESOURCES)],
        "as fast as the original's machine": [figures(row) for row in rows(alike, ["lambda"], WIDTHS, RESOURCES)],
        "factor": round(factor, 3),
        "48 processors": figures(local),
        "original": ORIGINAL,
    }


def chromium() -> dict[str, Any]:
    """The coordinator's part of a graph of Chromium's size; memory is the whole process's peak, simulator included."""
    nodes = build(UNITS * 11 // 10)
    began = time.process_time()
    model = lambda_model(WIDE, (1769,) * FUNCTIONS, 20 * MB)
    simulator = Simulator(nodes, [model])
    run = simulator.run([nodes[-1].id])
    whole = time.process_time() - began
    alone = drive(nodes, WIDE)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    use = run.engines["lambda"]
    return {
        "thunks": len(nodes),
        "wide": WIDE,
        "peak width": use.peak,
        "seconds": round(run.makespan, 1),
        "longest chain": round(run.path, 1),
        "attempts": use.attempts,
        "events": run.events,
        "CPU seconds, scheduler alone": alone.cpu_s,
        "CPU seconds, scheduler and simulator": round(whole, 2),
        "memory of the process, GB": round(peak, 3),
        "original": ORIGINAL_FORCE,
    }


def markdown(result: dict[str, Any]) -> str:
    build_, big = result["recorded"], result["chromium"]
    lines = [f"# {build_['build']} and Chromium's shape under virtual time", ""]
    lines += [f"- {key}: {value}" for key, value in result["machine"].items()]
    unseen = sum(guess["thunks"] for guess in build_["guessed"].values())
    lines += [
        "",
        f"{build_['build']}: {build_['thunks']:,} thunks, {unseen} durations guessed. Seconds are the force's alone;",
    ]
    lines += [
        f"recording took {build_['seconds of recording']:.1f} s here. Published for the original: 42.9 s, 8.2 of them inference.",
        "",
    ]
    lines += [
        "| | wide | seconds | from | to | longest chain | dollars | cold starts |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in ("an empty bucket", "tools and headers there", "as fast as the original's machine"):
        for row in build_[name]:
            cells = (row[key] for key in ("wide", "seconds", "from", "to", "longest chain", "dollars", "cold starts"))
            lines.append(f"| {name} | " + " | ".join(map(str, cells)) + " |")
    local = build_["48 processors"]
    lines.append(f"| one machine | {local['wide']} | {local['seconds']} | | | {local['longest chain']} | | |")
    lines += [
        "",
        f"The published build is of an older FFmpeg: 378 s of work for one processor there, {local['work']:,} s here.",
    ]
    lines += [
        f"The third pair of rows has all durations times {build_['factor']}, to as much work; tools and headers are there."
    ]
    lines += ["No width makes a force shorter than the longest chain, times what Lambda's processor is slower."]
    lines += ["", "| Chromium's shape | here | original |", "|---|---|---|"]
    lines += [
        f"| {key} | {value:,} | |"
        for key, value in big.items()
        if key != "original" and not key.startswith(("CPU", "mem"))
    ]
    lines.append(f"| CPU seconds of the scheduler | {big['CPU seconds, scheduler alone']} | 193 |")
    lines.append(f"| with the simulator | {big['CPU seconds, scheduler and simulator']} | |")
    lines.append(f"| memory of the process, GB | {big['memory of the process, GB']} | 4.4 |")
    lines += ["", "| assumed | value | source |", "|---|---|---|"]
    lines += [f"| {row['what']} | {row['value']} | {row['source']} |" for row in result["assumed"]]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="recorded builds under virtual time")
    parser.add_argument("--graph", type=Path, default=FFMPEG)
    parser.add_argument("--recording", type=float, default=0.0, help="seconds that recording it took")
    report.add_options(parser)
    options = parser.parse_args()
    build_ = decode(zlib.decompress(options.graph.read_bytes()))
    result = {
        "machine": machine(),
        "recorded": recorded(build_, options.recording),
        "chromium": chromium(),
        "assumed": [row._asdict() for row in ASSUMED],
    }
    report.put(result, markdown(result), options)


if __name__ == "__main__":
    main()
