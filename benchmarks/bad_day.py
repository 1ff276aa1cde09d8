"""A bad day, on loopback: a build of many thunks in functions that fail, and what may befall a run in its middle.

    python -m benchmarks.bad_day [--thunks N] [--seeds S] [--answering] [--events NAME,… | none] [--json FILE]

*Faults*: of the invocations a tenth is throttled, a twentieth each is refused, hangs until the function's timeout, and is
lost after it has run; a fiftieth is answered with corrupt bytes. `gg-force --fallback never`, a seed at a time, from an empty
store: each must end with 0 and the bytes of a plain build. `invocations` were run, `repeated` are the attempts that gg made
again, by reason. With `--answering` functions only answer after 50 ms, 100 at once, and end what hangs after 900 s, so that
what is measured is gg alone; the bytes are compared with those of a run without faults, in front of it.

*Events*, each in the middle of a run whose invocations take two seconds: `stopped` (SIGSTOP for a minute), `expired` (the
token), `skewed` (the clock), `silent` (no answer for twenty seconds), `killed` (SIGKILL; then again), and a file system that
fills: `full-store` is that of gg's state, `full-tree` that of the tree, `full-tmp` that of TMPDIR, each with the rest elsewhere.
After those that end a run it is forced again, with room made. `late_s` are seconds from a full disk to the end, `dropped` the
invocations of a run that ended which brought it nothing, `twice` the thunks that both runs had an answer for.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from tests.e2e.project import SCRIPTS, Project
from tests.servers.deployed import Deployed, bare_project, deployed
from tests.servers.functions_for_tests import until
from tests.servers.lambda_service.client import LambdaService
from tests.servers.pretended import environment, made, pretended, recorded
from tests.servers.recorded_build import RecordedBuild, assembly
from tests.servers.seaweed import Seaweed, seaweed
from tests.servers.small_disk import SmallDisk

FAULTS: dict[str, Any] = {"throttle": 0.10, "server": 0.05, "hang": 0.05, "lost": 0.05, "corrupt": 0.02}
TIMEOUT_S = 20
WIDE = ("--jobs", "16", "--fallback", "never", "--json")
ANSWERING = ("--jobs", "100", "--fallback", "never", "--engine", "lambda", "--json")
ANSWER_S = 0.05
SLOW: dict[str, Any] = {"slow": 1.0, "slow_s": 2.0}
STOPPED_S, SILENT_S = 60.0, 20.0
ROOM = 16 << 20
Row = dict[str, Any]


def end(process: subprocess.Popen[bytes], began: float) -> Row:
    """What became of a run."""
    out, err = process.communicate()
    events = [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]
    last: Row = next((event for event in events if event["event"] == "run-finished"), {})
    notes = [event["text"] for event in events if event["event"] == "note"]
    repeated = last.get("retries", {})
    said = err.decode(errors="replace").strip().splitlines()
    done = [event["id"] for event in events if event["event"] == "thunk-done" and event["how"] == "ran"]
    row = {
        "status": process.returncode,
        "wall_s": round(time.monotonic() - began, 1),
        "ran": last.get("ran", len(done)),
    }
    return {**row, "repeated": repeated, "notes": sorted(set(notes))[:12], "said": said[:6], "done": done}


def met(functions: LambdaService) -> Row:
    """How many invocations met which fault."""
    state = functions.state()
    return {kind: state.get(f"fault {kind}", 0) for kind in FAULTS}


def answering(server: Seaweed, thunks: int, seed: int) -> Row:
    """A run in functions that only answer, under faults, and without any for comparison."""
    rows: list[Row] = []
    outputs: list[dict[str, bytes]] = []
    with tempfile.TemporaryDirectory() as top:
        place = Path(top) / "now"
        place.mkdir()
        project = recorded(place, thunks, ANSWER_S)
        shutil.copytree(place, Path(top) / "kept", symlinks=True)
        for faults in ({}, {**FAULTS, "seed": seed}):
            shutil.rmtree(place)
            shutil.copytree(Path(top) / "kept", place, symlinks=True)
            with pretended(server, place) as service:
                service.faults(**faults)
                command, env = [str(SCRIPTS / "gg-force"), *ANSWERING], project.env | environment(server, service)
                began, pipe = time.monotonic(), subprocess.PIPE
                row = end(subprocess.Popen(command, cwd=project.root, env=env, stdout=pipe, stderr=pipe), began)
                outputs.append({path.name: path.read_bytes() for path in (project.root / "out").iterdir()})
                del row["done"]
                row |= {"invocations": service.state()["invocations"], "met": met(service), "made": made(project)}
                rows.append(row)
    plain, row = rows
    row |= {"seed": seed, "same": outputs[0] == outputs[1] and row["made"] == thunks, "wall_s_without": plain["wall_s"]}
    return row | {"attempts": thunks + sum(row["repeated"].values()), "invocations_without": plain["invocations"]}


class Day:
    """One build and the functions that it is forced in."""

    def __init__(self, build: RecordedBuild, here: Deployed, thunks: int) -> None:
        self.build, self.here, self.thunks = build, here, thunks
        self._runs = 0
        self._disk: SmallDisk | None = None

    def fresh(self) -> None:
        """An empty store, and the build as it was recorded."""
        self._runs += 1
        self.build.restore(self.here.at(f"run{self._runs}"))

    def start(self, **env: str) -> subprocess.Popen[bytes]:
        project = self.build.project
        before = self._disk.enter(project.root) if self._disk else ()
        command = [*before, str(SCRIPTS / "gg-force"), *WIDE]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=project.root, env={**project.env, **env}, stdout=pipe, stderr=pipe, start_new_session=True
        )

    def invocations(self) -> int:
        return self.here.invocations()

    def same(self) -> bool:
        project = self.build.project
        if self._disk:
            project = Project(self._disk.inside(project.root), project.env)
        try:
            project.assert_tree(self.build.plain)
        except AssertionError:
            return False
        return True

    # Faults

    def under_faults(self, seed: int) -> Row:
        self.fresh()
        self.here.functions.faults(**FAULTS, seed=seed)
        began, before = time.monotonic(), self.invocations()
        row = end(self.start(), began)
        del row["done"]
        row |= {
            "seed": seed,
            "same": self.same(),
            "invocations": self.invocations() - before,
            "met": met(self.here.functions),
        }
        self.here.functions.faults()
        return row | {"attempts": self.thunks + sum(row["repeated"].values())}

    # Events

    def event(self, name: str) -> Row:
        self.fresh()
        self.here.functions.faults(**SLOW)
        self._disk = None
        before = self.invocations()
        happen: Callable[..., Row] = getattr(self, f"_{name.partition('-')[0]}")
        with ExitStack() as self._mounted:
            row = happen(time.monotonic(), *name.split("-")[1:])
            row["invocations"] = self.invocations() - before
            row["dropped"] = row["invocations"] - len(row["done"])
            if row["status"]:
                row |= self._again(row["done"], before)
            self.here.functions.faults()
            row |= {"event": name, "same": self.same()}
        del row["done"]
        return row

    def _again(self, done: Sequence[str], before: int) -> Row:
        self.here.functions.faults(**SLOW)
        again = end(self.start(), time.monotonic())
        twice = len({*done} & {*again.pop("done")})
        return {"again": again, "invocations_with_again": self.invocations() - before, "twice": twice}

    def _mid(self, process: subprocess.Popen[bytes]) -> None:
        """Until a third of the thunks is under way or done."""
        start = self.invocations()
        until(lambda: self.invocations() - start >= 24 or process.poll() is not None, timeout_s=120)

    def _none(self, began: float) -> Row:
        return end(self.start(), began)

    def _stopped(self, began: float) -> Row:
        process = self.start()
        self._mid(process)
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(STOPPED_S)
        os.kill(process.pid, signal.SIGCONT)
        return end(process, began)

    def _killed(self, began: float) -> Row:
        process = self.start()
        self._mid(process)
        os.killpg(process.pid, signal.SIGKILL)
        return end(process, began)

    def _for_a_while(self, began: float, **faults: object) -> Row:
        process = self.start()
        self._mid(process)
        self.here.functions.faults(**SLOW, **faults)
        return end(process, began)

    def _expired(self, began: float) -> Row:
        return self._for_a_while(began, expired=[(0.0, 600.0)])

    def _skewed(self, began: float) -> Row:
        return self._for_a_while(began, skewed=[(0.0, 600.0)])

    def _silent(self, began: float) -> Row:
        return self._for_a_while(began, silent=[(0.0, SILENT_S)])

    def _full(self, began: float, which: str) -> Row:
        """The file system of one place is filled in the middle of the run, and has room again when that has ended."""
        project = self.build.project
        home = Path(project.env["HOME"])
        (home / "tmp").mkdir()
        places = {"tree": project.root, "store": home / ".cache", "tmp": home / "tmp"}
        self._disk = disk = self._mounted.enter_context(SmallDisk(places[which], ROOM))
        process = self.start(TMPDIR=str(home / "tmp"))
        self._mid(process)
        disk.fill()
        filled = time.monotonic()
        row = end(process, began)
        disk.make_room()
        return row | {"late_s": round(time.monotonic() - filled, 1)}


EVENTS = ("none", "stopped", "expired", "skewed", "silent", "full-store", "full-tree", "full-tmp", "killed")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.bad_day", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--thunks", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--events", default=",".join(EVENTS))
    parser.add_argument("--slow-thunks", type=int, default=100, help="of the runs in which something happens")
    parser.add_argument("--answering", action="store_true", help="faults in functions that only answer, and no events")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    rows: list[Row] = []

    def keep(row: Row) -> None:
        rows.append(row)
        print(json.dumps(row), flush=True)
        if options.json:
            options.json.write_text(json.dumps({"machine": machine(), "faults": FAULTS, "rows": rows}, indent=1) + "\n")

    seeds = range(options.first, options.first + options.seeds)
    if options.answering:
        with seaweed() as server:
            for seed in seeds:
                keep(answering(server, options.thunks, seed))
        return 0 if all(_is_well(row) for row in rows) else 1
    with tempfile.TemporaryDirectory() as top, seaweed() as server, deployed(server, memory="1769") as here:
        _end_after(here, TIMEOUT_S)
        for thunks, work in (
            (options.thunks, [("faults", seed) for seed in seeds]),
            (options.slow_thunks, [("event", name) for name in options.events.split(",") if options.events]),
        ):
            if not work:
                continue
            place = Path(top) / f"{thunks}"
            place.mkdir()
            day = Day(RecordedBuild(bare_project(place, assembly(thunks, 4))), here, thunks + 5)
            for kind, what in work:
                keep(day.under_faults(int(what)) if kind == "faults" else day.event(str(what)))
    return 0 if all(_is_well(row) for row in rows) else 1


def _is_well(row: Row) -> bool:
    return bool(row["same"]) and (row.get("again") or row)["status"] == 0


def _end_after(here: Deployed, seconds: int) -> None:
    client = here.functions.client()
    for function in client.list_functions()["Functions"]:
        client.update_function_configuration(FunctionName=function["FunctionName"], Timeout=seconds)
        client.get_waiter("function_updated_v2").wait(FunctionName=function["FunctionName"])


if __name__ == "__main__":
    sys.exit(main())
