"""`python -m benchmarks.fleet.exchange`: a link of many objects on a fleet, with workers that give each other what they keep
(`gg worker --exchange`), and with all of it by the bucket. Both by turns, side by side.

Then one unit is edited, and the program is linked again, --edits times: where workers exchange, the link runs at a worker that has
most of its objects already. The bucket answers each request 30 ms late (--delay), as from far away; the workers are on loopback.
Told are the bytes that workers read from the bucket for a link, and how long the link took, from its start to its answer.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine import machine
from benchmarks.timing import clean_environment
from gg.core.ids import BlobId
from gg.share.s3.pack import blob_name
from tests.e2e.project import SCRIPTS
from tests.servers.moto import moto
from tests.servers.seaweed import REGION, Seaweed, seaweed
from tests.servers.server import Answer, Seen, Server, pass_on

_KEPT = re.compile("(etag|content-range|x-amz-bucket-region|date)$")
_LEAST_SAVED = 0.9


class Link(NamedTuple):
    """One link: bytes that workers read from the bucket for it, and seconds."""

    read: int
    seconds: float


def write_tree(top: Path, units: int, size: int) -> None:
    """Units with `size` bytes each that nobody can compress, and one program of them."""
    top.mkdir()
    for number in range(units):
        (top / f"d{number}").write_bytes(os.urandom(size))
        text = f'__asm__(".section .rodata\\n.globl d{number}\\nd{number}: .incbin \\"d{number}\\"\\n");\n'
        (top / f"u{number}.c").write_text(text)
    (top / "main.c").write_text("int main(void) { return 0; }\n")
    objects = " ".join(f"u{number}.o" for number in range(units))
    (top / "Makefile").write_text(f"prog: main.o {objects}\n\tgcc -o $@ $^\n%.o: %.c\n\tgcc -c -o $@ $<\n")


class Bucket:
    """The bucket as workers see it: far away, and counted."""

    def __init__(self, real: Seaweed, delay: float) -> None:
        self._port = int(real.endpoint.rpartition(":")[2])
        self._delay = delay
        self.read: dict[str, int] = {}

    def respond(self, seen: Seen) -> Answer:
        answer = pass_on(seen, self._port, _KEPT)
        by_worker = "accept-encoding" in {
            name.lower() for name in seen.headers
        }  # as the standard library's client says
        if by_worker and seen.method == "GET" and answer.status in (200, 206):
            name = seen.target.partition("?")[0]
            self.read[name] = self.read.get(name, 0) + len(answer.body)
        return answer._replace(delay=self._delay)


@contextmanager
def workers(count: int, env: dict[str, str], where: Path, exchange: bool) -> Iterator[None]:
    words: list[str | Path] = [SCRIPTS / "gg", "worker", "--queue", "links", "--jobs", "1"]
    words += ["--exchange", "127.0.0.1"] if exchange else []
    started = []
    try:
        for number in range(count):
            home = where / f"worker{number}"
            home.mkdir()
            all_env = clean_environment({**env, "HOME": str(home), "XDG_CACHE_HOME": str(home)})
            started.append(subprocess.Popen(words, env=all_env, stderr=subprocess.PIPE))
        for each in started:
            assert each.stderr is not None
            line = each.stderr.readline()
            if b"takes work from" not in line:
                raise SystemExit(line.decode())
        yield
    finally:
        for each in started:
            each.terminate()
        for each in started:
            each.communicate()


class Links(NamedTuple):
    """The first link of a build, and those after an edit."""

    first: Link
    again: list[Link]


def run(args: argparse.Namespace, exchange: bool, top: Path) -> Links:
    """One build from an empty bucket, with workers that know nothing, and builds after an edit."""
    with ExitStack() as stack:
        real, cloud = stack.enter_context(seaweed()), stack.enter_context(moto())
        far = Bucket(real, args.delay / 1000)
        proxy = stack.enter_context(Server(far.respond))
        env = {**real.environment(), **cloud.environment("SQS"), "GG_QUEUE": "links", "GG_SHARE": "false"}
        import boto3

        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": REGION}
        boto3.session.Session().client("sqs", endpoint_url=cloud.endpoint, **keys).create_queue(QueueName="links")
        bucket = real.make_bucket()
        write_tree(top / "tree", args.units, args.size)
        env = clean_environment({**env, "HOME": str(top), "XDG_CACHE_HOME": str(top / "cache")})
        env["GG_STORAGE_URI"] = f"s3://{bucket}/p?region={REGION}"
        env["AWS_ENDPOINT_URL_S3"] = f"http://127.0.0.1:{proxy.port}"
        tree = top / "tree"
        _infer(tree, env)
        stack.enter_context(workers(args.workers, env, top, exchange))
        link = partial(_link, args, tree, env, far, f"/{bucket}/p/")
        first, again = link(), []
        for number in range(args.edits):
            with (tree / f"u{number}.c").open("a") as file:
                file.write(f"int edited{number};\n")
            _infer(tree, env)
            again.append(link())
        return Links(first, again)


def _infer(tree: Path, env: dict[str, str]) -> None:
    subprocess.run([SCRIPTS / "gg-infer", "make"], cwd=tree, env=env, check=True, capture_output=True)


def _link(args: argparse.Namespace, tree: Path, env: dict[str, str], far: Bucket, prefix: str) -> Link:
    """Force the program."""
    far.read.clear()
    words = ["gg-force", "--json", "--engine", "spot", "--fallback", "never", "--jobs", str(args.workers), "prog"]
    done = subprocess.run([SCRIPTS / words[0], *words[1:]], cwd=tree, env=env, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.decode()[-2000:])
    subprocess.run([tree / "prog"], check=True)
    digests = [BlobId.of(path.read_bytes()).digest for path in tree.glob("*.o")]
    return Link(sum(far.read.get(prefix + blob_name(digest), 0) for digest in digests), _took(done.stdout))


def _took(events: bytes) -> float:
    """Seconds from when the last thunk, the link, was begun to the end of it."""
    told = [json.loads(line) for line in events.splitlines() if line.startswith(b"{")]
    begun = {each["id"]: each["t"] for each in told if each["event"] == "thunk-started"}
    ends = [each for each in told if each["event"] == "thunk-done" and each["label"] == "prog"]
    return float(ends[0]["t"] - begun[ends[0]["id"]])


def main() -> int:
    assert __doc__
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet.exchange", description=__doc__.partition("\n")[0])
    parser.add_argument("--units", type=int, default=300)
    parser.add_argument("--size", type=int, default=64 << 10, help="bytes of data in each unit")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--delay", type=float, default=30.0, help="milliseconds that the bucket takes longer to answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--edits", type=int, default=5, help="after each of which the program is linked again")
    args = parser.parse_args()
    found: dict[str, list[Links]] = {"by the bucket": [], "exchanged": []}
    for _ in range(args.rounds):
        for way, runs in found.items():
            with tempfile.TemporaryDirectory(prefix="gg-exchange-") as top:
                runs.append(run(args, way == "exchanged", Path(top).resolve()))
            print(f"{way}: {_words([runs[-1].first])}; after an edit {_words(runs[-1].again)}", flush=True)
    least = 1.0
    for what in ("first", "again"):
        links = {way: [link for each in runs for link in _of(each, what)] for way, runs in found.items()}
        read = {way: statistics.mean(link.read for link in some) for way, some in links.items()}
        saved = 1 - read["exchanged"] / max(read["by the bucket"], 1)
        least = min(least, saved)
        print(f"{what}: {saved:.1%} fewer bytes;", *[f"{way}: {_words(some)};" for way, some in links.items()])
    if args.json:
        told = {"machine": machine(), "arguments": vars(args) | {"json": None}, "links": found}
        args.json.write_text(json.dumps(told, indent=1) + "\n")
    return 0 if least >= _LEAST_SAVED else 1


def _of(links: Links, what: str) -> list[Link]:
    return [links.first] if what == "first" else links.again


def _words(links: list[Link]) -> str:
    """The mean of the bytes, for which worker links is chance where nothing is exchanged, and the median of the seconds."""
    read, seconds = statistics.mean(link.read for link in links), statistics.median(link.seconds for link in links)
    return f"{read:,.0f} bytes from the bucket, {seconds:.2f} s"


if __name__ == "__main__":
    sys.exit(main())
