"""The coordinator alone: `gg-force --engine lambda` against functions that only wait, on this machine.

    python -m benchmarks.coordinator [--thunks N] [--jobs W] [--sleep S] [--repeats R] [--json FILE] [--profile FILE]

Without `--thunks`, both measurements: 1,000 thunks that each take 2 s, 1,000 at once; 10,000 that take no time, 2,000 at once.

A recorded thunk has one small source of its own and the files of a program as a group; its answer is an output of its own.
The functions are those of the Lambda service's fast mode, which checks each signature and runs nothing, in a process of its
own; S3 is seaweedfs. Each turn begins with a new workspace, whose group is in the bucket already.

*Wall* and *CPU* are those of the whole command, user and system time, from its start to its end: finding placeholders,
deciding, asking, checking and storing what is made, putting it in its place. `service_most_per_s` is how many the service
could answer on a core of its own, by the CPU that it took: the measure's own limit. `invocations`
are those of the thunks: fewer than thunks where short ones share one, more where stragglers were asked for twice. On a machine
that does other things at the same time wall is noise, and CPU a half more than it would be.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.coordinator.workload import make, tell
from benchmarks.machine import machine
from benchmarks.timing import clean_environment, run
from tests.servers.functions_for_tests import create
from tests.servers.lambda_service.client import LambdaService, beside, lambda_service
from tests.servers.lambda_service.config import Config, Limits
from tests.servers.seaweed import REGION, Seaweed, seaweed

FUNCTION = f"gg-worker-{'arm64' if os.uname().machine == 'aarch64' else os.uname().machine}-1769"


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked for. `seconds`: what each thunk takes."""

    thunks: int
    jobs: int
    seconds: float


LOADS = (Load(1_000, 1_000, 2.0), Load(10_000, 2_000, 0.0))


@dataclass(frozen=True, slots=True)
class Turn:
    """What one run came to."""

    wall_s: float
    cpu_s: float
    thunks_per_s: float
    cpu_ms_per_thunk: float
    memory_mib: int
    service_most_per_s: int
    invocations: int


@contextmanager
def service(server: Seaweed, load: Load, told: Path) -> Iterator[LambdaService]:
    limits = Limits(concurrency=max(load.jobs, 1000), ramp=max(load.jobs, 1000))
    config = beside(server, Config(fast="benchmarks.coordinator.worker:answer", limits=limits))
    environment = (*config.worker_environment, ("GG_BENCH", str(told)))
    with lambda_service(replace(config, worker_environment=environment)) as made:
        create(made.client(), FUNCTION, MemorySize=1769, Timeout=900)
        yield made


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def turn(server: Seaweed, load: Load, bucket: str, profile: str = "") -> Turn:
    """One run in a new workspace."""
    with tempfile.TemporaryDirectory(prefix="gg-bench-") as scratch:
        root, told = Path(scratch).resolve() / "tree", Path(scratch) / "told"
        paths = make(root, load.thunks + 1)
        tell(told, paths, load.seconds)
        with service(server, load, told) as lambda_:
            env = clean_environment(
                {
                    **lambda_.environment(),
                    "AWS_ENDPOINT_URL_S3": server.endpoint,
                    "GG_STORAGE_URI": f"s3://{bucket}/bench?region={REGION}",
                    "HOME": scratch,
                }
            )
            gg = [str(Path(sys.executable).with_name("gg-force"))]
            watched = [sys.executable, "-m", "benchmarks.coordinator.profiled", profile] if profile else []
            words = ["--engine", "lambda", "--fallback", "never", "--jobs", str(load.jobs)]
            log = Path(scratch) / "log"
            run([*gg, *words, f"out/{load.thunks}"], root, env, log, check=True)
            before = _cpu(lambda_.pid)
            ran = run([*watched, *gg, *words, "out"], root, env, log, check=True)
            used = _cpu(lambda_.pid) - before
            state = lambda_.state()
        _check(root, load)
    return Turn(
        wall_s=round(ran.wall, 3),
        cpu_s=round(ran.cpu, 3),
        thunks_per_s=round(load.thunks / ran.wall),
        cpu_ms_per_thunk=round(ran.cpu / load.thunks * 1000, 3),
        memory_mib=ran.memory >> 10,
        service_most_per_s=round(load.thunks / used) if used else 0,
        invocations=state["invocations"] - 1,
    )


def _check(root: Path, load: Load) -> None:
    """That all was done: every output is there, and is another."""
    made = {path.read_bytes() for path in (root / "out").iterdir()}
    if len(made) != load.thunks + 1 or any(len(data) != 64 for data in made):
        raise SystemExit(f"{len(made)} outputs of {load.thunks + 1}")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.coordinator", description="measure the coordinator alone"
    )
    parser.add_argument("--thunks", type=int)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--sleep", type=float, default=0.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--profile", default="")
    options = parser.parse_args(argv)
    loads = [Load(options.thunks, options.jobs, options.sleep)] if options.thunks else LOADS
    results: list[dict[str, object]] = []
    with seaweed() as server:
        bucket = server.make_bucket()
        for load in loads:
            turns = [turn(server, load, bucket, options.profile) for _ in range(options.repeats)]
            for each in turns:
                print(load, each, file=sys.stderr)
            middle = {name: statistics.median(asdict(t)[name] for t in turns) for name in asdict(turns[0])}
            results.append({"load": asdict(load), "median": middle, "turns": [asdict(t) for t in turns]})
            print(json.dumps(middle))
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
