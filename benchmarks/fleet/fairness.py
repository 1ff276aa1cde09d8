"""Two builds on one fleet: what each gets of it in any ten seconds in which both have work.

    python -m benchmarks.fleet.fairness --sqs COMMAND [--json FILE]

The first build comes early and puts all that it has into the queue at once; the second comes twelve seconds later, with fewer
at once. Four workers with four slots each answer and run nothing, so this machine's load matters little. A build has work
from its first call (the second one: seen by reading the queue) until its last thunk was begun. Shares are of slots' seconds:
of those used by both, and of all that there are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.fleet.crew import Crew, Ran, build, crew, wait
from benchmarks.machine import machine

WORKERS, SLOTS = 4, 4
WINDOW_S, STEP_S, LATER_S = 10.0, 0.25, 12.0


class Case(NamedTuple):
    """Thunks, seconds and width of two builds; `weight`: the second one's."""

    name: str
    first: tuple[int, float, int]
    second: tuple[int, float, int]
    weight: float = 1.0


CASES = (
    Case("same thunks", (3000, 0.2, 2500), (900, 0.2, 100)),
    Case("long against short", (800, 1.0, 700), (4000, 0.1, 1500)),
    Case("short against long", (6000, 0.1, 5000), (240, 1.0, 120)),
    Case("weight 2", (3000, 0.2, 2500), (1400, 0.2, 200), 2.0),
)


def _calls(fleet: Crew) -> Any:
    import boto3

    endpoint = fleet.env["AWS_ENDPOINT_URL_SQS"]
    return boto3.session.Session().client(
        "sqs", endpoint_url=endpoint, aws_access_key_id="x", aws_secret_access_key="y", region_name="us-east-1"
    )


def _second_calls(fleet: Crew, second: subprocess.Popen[bytes]) -> float:
    """When a second build is heard."""
    client = _calls(fleet)
    url = client.get_queue_url(QueueName="crew")["QueueUrl"]
    while second.poll() is None:
        found = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", [])
        if len({json.loads(each["Body"])["build"] for each in found}) > 1:
            return time.time()
        time.sleep(0.05)
    raise SystemExit("the second build has ended too soon")


def shares(ran: list[Ran], trees: tuple[str, str], begin: float, end: float) -> list[tuple[float, float, float]]:
    """A row for each window: its begin, and what each build had of all slots' time in it."""
    rows = []
    at = begin
    while at + WINDOW_S <= end:
        had = [
            sum([max(0.0, min(r.end, at + WINDOW_S) - max(r.begin, at)) for r in ran if r.tree == tree])
            for tree in trees
        ]
        rows.append((at - begin, *(each / (WINDOW_S * WORKERS * SLOTS) for each in had)))
        at += STEP_S
    return [(a, b, c) for a, b, c in rows]


def measured(case: Case, command: str) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as scratch, crew(command) as fleet:
        tops = [
            build(Path(scratch).resolve() / name, each[0], each[1])
            for name, each in (("a", case.first), ("b", case.second))
        ]
        fleet.start(WORKERS, SLOTS)
        first = fleet.force(tops[0], case.first[2])
        time.sleep(LATER_S)
        fleet.env["GG_QUEUE"] = f"crew?weight={case.weight}"
        second = fleet.force(tops[1], case.second[2])
        begin = _second_calls(fleet, second)
        wait(second, tops[1], case.second[0])
        wait(first, tops[0], case.first[0])
        fleet.end()
        trees = (str(tops[0] / "tree"), str(tops[1] / "tree"))
        end = min(max(r.begin for r in fleet.ran if r.tree == tree) for tree in trees)
        rows = shares(fleet.ran, trees, begin, end)
        until = min(r.begin for r in fleet.ran if r.tree == trees[1])
    of_used = [(a / (a + b), b / (a + b)) for _, a, b in rows]
    return {
        "case": case.name,
        "both_s": round(end - begin, 1),
        "windows": len(rows),
        "first_thunk_after_s": round(until - begin, 2),
        "least_of_used": [round(min(each), 3) for each in zip(*of_used, strict=True)],
        "least_of_all": [round(min(each), 3) for each in zip(*[(a, b) for _, a, b in rows], strict=True)],
        "mean_of_all": [round(sum(each) / len(rows), 3) for each in zip(*[(a, b) for _, a, b in rows], strict=True)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.fleet.fairness")
    parser.add_argument("--sqs", required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for case in CASES:
        if options.only in case.name:
            rows.append(measured(case, options.sqs))
            print(json.dumps(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
