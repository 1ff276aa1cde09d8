"""Workers that die, freeze, are cut off, are interrupted, have full disks and spoilt caches, and answers that come twice or never.

    python -m benchmarks.fleet.chaos --sqs COMMAND [--rounds 50] [--seed 1] [--kinds kill,pause,…] [--json FILE]

A round: a new build of 48 thunks that each take 0.7 s, in eight that join six each and one that joins these; `gg-force --engine
spot --fallback never` over four real workers of two slots, and events from the seed. One comes every 1 to 4 s, but not before three
more thunks are done than at the last one: on a slow machine a build must not meet more events than on a quick one. All that a
build must still be: the same bytes as a plain make's, status 0, in time. `begun` are the jobs that slots began, `lost` is the
share of slots' seconds whose answer was nobody's: of jobs that were killed, given back, or done twice. The visibility timeout is
8 s. Workers exchange what they keep, and give a job to whoever has more of what it reads (`given`), however little that is.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.fleet.rough_proxy import RoughProxy
from benchmarks.fleet.servers import KEYS, sqs
from benchmarks.machine import machine
from benchmarks.timing import communicate
from tests.e2e.project import SCRIPTS
from tests.servers.metadata import Metadata, metadata
from tests.servers.seaweed import REGION, Seaweed, seaweed

KINDS = ("kill", "cut", "pause", "interrupt", "full", "spoil", "twice", "never")
WORKERS, SLOTS, VISIBLE_S = 4, 2, 8
THUNKS, JOINED, MILLISECONDS = 48, 6, 700
BETWEEN = 3  # thunks, at least, that are done between two events
LIMIT_S = 240.0
_WORKER = str(Path(__file__).with_name("chaos_worker.py"))  # by its path, so that gg is the one that is installed
SLOW = r"""
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int main(int n, char **v) {
  long ms = atol(v[1]); struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  unsigned long long h = 14695981039346656037ull;
  nanosleep(&t, 0);
  for (int i = 2; i < n - 1; i++) {
    FILE *f = fopen(v[i], "r"); int c;
    if (!f) return 3;
    while ((c = getc(f)) != EOF) h = (h ^ (unsigned char)c) * 1099511628211ull;
    fclose(f);
  }
  FILE *o = fopen(v[n - 1], "w");
  for (int i = 0; i < 64; i++) fprintf(o, "%016llx\n", h = h * 6364136223846793005ull + 1);
  return fclose(o) != 0;
}
"""


class Member:
    """A worker with a proxy, a disk and a metadata service of its own. It is started again when it has ended."""

    def __init__(self, top: Path, number: int, endpoint: str, bucket: Seaweed, service: Metadata) -> None:
        self.home = top / f"worker{number}"
        self.home.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "none", self.home], check=True)
        self.log = top / f"log{number}"
        self.service = service
        self.proxy = RoughProxy(endpoint, bucket.endpoint)
        one, two = (f"http://127.0.0.1:{port}" for port in self.proxy.ports)
        self.env = {
            **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            **KEYS,
            **bucket.environment(),
            "AWS_ENDPOINT_URL_SQS": one,
            "AWS_ENDPOINT_URL_S3": two,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": service.address,
            "HOME": str(self.home),
        }
        self._over = False
        self.process = self._start()
        threading.Thread(target=self._watch, daemon=True).start()

    def _start(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-P", _WORKER, str(self.log), str(VISIBLE_S)]
        words += ["--queue", "chaos", "--jobs", str(SLOTS), "--grace", "3", "--exchange", "127.0.0.1"]
        with open(f"{self.log}.said", "ab") as said:
            return subprocess.Popen(
                words, env=self.env, stdin=subprocess.DEVNULL, stderr=said, stdout=said, process_group=0
            )

    def _watch(self) -> None:
        while not self._over:
            self.process.wait()
            time.sleep(1.0)
            self.service.answers.clear()
            if not self._over:
                self.process = self._start()

    def end(self) -> None:
        self._over = True
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.proxy.close()
        subprocess.run(["umount", "-l", self.home], check=False)

    def signal(self, number: signal.Signals) -> None:
        """To the worker, its slots, and what they run."""
        with suppress(OSError):
            for pid in [self.process.pid, *_below(self.process.pid)]:
                os.kill(pid, number)

    # What befalls it

    def kill(self, chance: random.Random) -> None:
        with open(self.log, "a") as log:
            log.write(f"killed {self.process.pid} {time.time()}\n")
        self.signal(signal.SIGKILL)

    def cut(self, chance: random.Random) -> None:
        self.proxy.cut = True
        self._later(chance.uniform(1.0, VISIBLE_S + 4.0), lambda: setattr(self.proxy, "cut", False))

    def pause(self, chance: random.Random) -> None:
        self.signal(signal.SIGSTOP)
        self._later(VISIBLE_S + chance.uniform(1.0, 4.0), lambda: self.signal(signal.SIGCONT))

    def interrupt(self, chance: random.Random) -> None:
        self.service.interrupt()

    def full(self, chance: random.Random) -> None:
        ballast = self.home / ".ballast"
        with suppress(OSError), open(ballast, "wb") as file:
            while True:
                file.write(bytes(1 << 20))
        self._later(chance.uniform(2.0, 6.0), lambda: ballast.unlink(missing_ok=True))

    def spoil(self, chance: random.Random) -> None:
        files = [
            path for path in self.home.glob(".cache/gg/worker/*/**/*") if path.parent.name in ("objects", "bucket")
        ]
        for path in chance.sample(sorted(files), min(len(files), 20)):
            with suppress(OSError):
                path.chmod(0o700)
                data = bytearray(path.read_bytes())
                if data:
                    data[chance.randrange(len(data))] ^= 1
                    path.write_bytes(data)

    def twice(self, chance: random.Random) -> None:
        self.proxy.twice += 2

    def never(self, chance: random.Random) -> None:
        self.proxy.never += 1

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, act)
        timer.daemon = True
        timer.start()


def befall(
    members: Sequence[Any],
    seed: int,
    kinds: Sequence[str],
    every: tuple[float, float],
    told: Path,
    over: threading.Event,
) -> Counter[str]:
    """Have events befall the members until it is over. `told`: what gg-force has told until now. Returns how many of each kind."""
    chance, events, further = random.Random(seed), Counter[str](), 0
    while kinds and not over.wait(chance.uniform(*every)):
        while _done(told) < further:
            if over.wait(0.05):
                return events
        kind, member = chance.choice(kinds), chance.choice(members)
        further = _done(told) + BETWEEN
        events[kind] += 1
        getattr(member, kind)(chance)
    return events


def _done(told: Path) -> int:
    """How many thunks are done, by what gg-force has told until now."""
    return told.read_bytes().count(b'"thunk-done"')


def _below(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            children = Path(f"/proc/{pid}/task/{task}/children").read_text().split()
            for child in map(int, children):
                found += [child, *_below(child)]
    return found


class Chaos:
    """`top`: a directory for all."""

    def __init__(self, top: Path, endpoint: str, bucket: Seaweed, members: list[Member], thunks: int) -> None:
        self.top = top
        self.thunks = thunks
        self.members = members
        self._home = top / "home"
        (self._home / ".config" / "gg").mkdir(parents=True)
        (self._home / ".config" / "gg" / "gg.toml").write_text(
            '[tool.slow]\noperands = ["value", "input...", "output"]\n'
        )
        store = f"s3://{bucket.make_bucket()}/p?region={REGION}"  # each member has its own way there
        self.env = {"PATH": os.environ["PATH"], "LC_ALL": "C", **KEYS, **bucket.environment()}
        self.env |= {"HOME": str(self._home), "AWS_ENDPOINT_URL_SQS": endpoint, "GG_STORAGE_URI": store}
        self.env |= {"GG_QUEUE": "chaos", "GG_SILENCE": "60"}
        subprocess.run(["cc", "-O1", "-o", top / "slow", "-x", "c", "-"], input=SLOW.encode(), check=True)

    def tree(self, name: str, seed: int) -> Path:
        """What is built, in a directory of this name."""
        tree = self.top / name
        (tree / "in").mkdir(parents=True)
        shutil.copy(self.top / "slow", tree / "slow")
        rules, joins = [], []
        for n in range(self.thunks):
            (tree / "in" / f"{n}").write_text(f"{seed} {n}\n")
            rules.append(f"u{n}: in/{n}\n\t./slow {MILLISECONDS} in/{n} u{n}\n")
        for n in range(0, self.thunks, JOINED):
            some = " ".join(f"u{each}" for each in range(n, n + JOINED))
            joins.append(f"j{n}")
            rules.append(f"j{n}: {some}\n\t./slow {MILLISECONDS} {some} j{n}\n")
        every = " ".join(joins)
        rules.insert(0, f"all: {every}\n\t./slow 100 {every} all\n")
        (tree / "Makefile").write_text("".join(rules))
        return tree

    def round(self, seed: int, kinds: tuple[str, ...], every: tuple[float, float]) -> dict[str, Any]:
        tree, plain = self.tree(f"r{seed}", seed), self.tree(f"p{seed}", seed)
        quiet = {"stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
        subprocess.run(["make", "-s", "-j64"], cwd=plain, check=True)
        subprocess.run([SCRIPTS / "gg-infer", "make", "-s"], cwd=tree, env=self.env, check=True, **quiet)  # type: ignore[call-overload]
        begin, began = time.time(), time.monotonic()
        words = [str(SCRIPTS / "gg-force"), "--engine", "spot", "--fallback", "never", "--json"]
        told = self.top / f"told{seed}"
        with open(told, "wb") as out:
            process = subprocess.Popen(
                words, cwd=tree, env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE
            )
        over = threading.Event()
        with ThreadPoolExecutor() as pool:
            events = pool.submit(befall, self.members, seed, kinds, every, told, over)
            try:
                _, err = communicate(process, LIMIT_S)
            finally:
                over.set()
        took = time.monotonic() - began
        same = self.same(tree, plain)
        row = self._row(told.read_bytes(), begin, time.time())
        row |= {
            "seed": seed,
            "status": process.returncode,
            "same": same,
            "wall_s": round(took, 1),
            "events": dict(events.result()),
        }
        if process.returncode or not same:
            row["said"] = err.decode(errors="replace")[-600:]
        shutil.rmtree(tree)
        shutil.rmtree(plain)
        return row

    def same(self, tree: Path, plain: Path) -> bool:
        """Whether both trees have the same outputs."""
        names = [*(f"u{n}" for n in range(self.thunks)), *(f"j{n}" for n in range(0, self.thunks, JOINED)), "all"]
        return all((tree / name).read_bytes() == (plain / name).read_bytes() for name in names)

    def _row(self, out: bytes, begin: float, end: float) -> dict[str, Any]:
        events = [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]
        last: dict[str, Any] = next((event for event in events if event["event"] == "run-finished"), {})
        attempts = Counter(event["id"] for event in events if event["event"] == "thunk-started")
        begun, given, lost, done = 0, 0, 0.0, list[float]()
        for member in self.members:
            running: dict[str, float] = {}
            for line in member.log.read_text().splitlines() if member.log.exists() else ():
                what, name, when = line.split()
                if not begin <= float(when) <= end:
                    continue
                if what == "killed":
                    for each in [each for each in running if each.startswith(f"{name}-")]:
                        lost += float(when) - running.pop(each)
                elif what == "given":
                    given += 1
                elif what == "begin":
                    begun += 1
                    running[name] = float(when)
                elif name in running:
                    seconds = float(when) - running.pop(name)
                    if what == "end":
                        done.append(seconds)
                    else:
                        lost += seconds
        total = self.thunks + self.thunks // JOINED + 1
        done.sort(reverse=True)  # what was refused at once took no time
        lost += sum(done[total:])
        used = sum(done[:total])
        return {
            "ran": last.get("ran"),
            "retries": last.get("retries"),
            "most_attempts": max(attempts.values(), default=0),
            "attempts": sum(attempts.values()),
            "begun": begun,
            "given": given,
            "lost": round(lost / max(used + lost, 0.001), 4),
        }


@contextmanager
def chaos_of(sqs_command: str, thunks: int) -> Iterator[Chaos]:
    """Servers, a queue and the members, which have built once: toolchains are there."""
    with ExitStack() as stack:
        top = Path(stack.enter_context(tempfile.TemporaryDirectory())).resolve()
        bucket = stack.enter_context(seaweed())
        endpoint, _ = stack.enter_context(sqs(sqs_command))
        make_queue(endpoint)
        members = []
        for number in range(WORKERS):
            members.append(Member(top, number, endpoint, bucket, stack.enter_context(metadata())))
            stack.callback(members[-1].end)
        chaos = Chaos(top, endpoint, bucket, members, thunks)
        chaos.round(0, (), (1, 1))
        yield chaos


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.fleet.chaos")
    parser.add_argument("--sqs", required=True)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--thunks", type=int, default=THUNKS)
    parser.add_argument("--every", default="1,4", help="seconds between two events, at least and at most")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    least, most = map(float, options.every.split(","))
    rows: list[dict[str, Any]] = []
    with chaos_of(options.sqs, options.thunks) as chaos:
        kinds = tuple(filter(None, options.kinds.split(",")))
        for seed in range(options.seed, options.seed + options.rounds):
            rows.append(chaos.round(seed, kinds, (least, most)))
            print(json.dumps(rows[-1]), flush=True)
            if options.json:
                options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
        print(json.dumps(summary(rows)))
    return 0 if all(row["same"] and row["status"] == 0 for row in rows) else 1


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    events: Counter[str] = Counter()
    for row in rows:
        events.update(row["events"])
    walls = [row["wall_s"] for row in rows]
    return {
        "rounds": len(rows),
        "well": sum(row["same"] and row["status"] == 0 for row in rows),
        "events": dict(events),
        "wall_s": [min(walls), statistics.median(walls), max(walls)],
        "most_attempts": max(row["most_attempts"] for row in rows),
        "lost": round(statistics.mean(row["lost"] for row in rows), 4),
    }


def make_queue(endpoint: str) -> None:
    import boto3

    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": REGION}
    boto3.session.Session().client("sqs", endpoint_url=endpoint, **keys).create_queue(QueueName="chaos")


if __name__ == "__main__":
    sys.exit(main())
