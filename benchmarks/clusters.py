"""What gg adds to an action of a cluster that does nothing: `gg-force --engine reapi` beside casd's own time for the same action.

    python -m benchmarks.clusters [--actions N] [--rounds R] [--json FILE]

buildbox-casd on loopback, input root as `/`. In each round N new thunks, each a shell that creates an empty file, are forced
one at a time (`--jobs 1`); what one took is the time between two of the ends that gg tells. Then a small client without gg has
the cluster run the very same actions once more, one at a time, no cache looked at: gg's own part in the action (its runner, the
path map, its files in the input root) is in both. And N actions of one static program that does nothing, which is the least that
this cluster does.

Medians over all rounds. CPU is gg-force's own: a run of N thunks less one of a single thunk.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import grpc

from benchmarks.machine import machine
from benchmarks.timing import clean_environment, run
from gg.engines.reapi import messages as m
from gg.engines.reapi.cas import digest_of
from gg.engines.reapi.grpc_channel import CAS, EXECUTION, OPTIONS
from gg.errors import FormatError
from tests.servers.casd import casd

_PROGRAM = Path("/usr/bin/busybox")
_MAKE = """
import sys, gg
with gg.Session() as session:
    for n in range(int(sys.argv[2])):
        thunk = session.thunk(["sh", "-c", ': >"$0"', gg.out("out"), sys.argv[1], str(n)])
        session.placeholder(thunk, f"{sys.argv[1]}/{n}")
"""


class Client:
    """Actions without gg."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, options=OPTIONS)

    def send(self, *blobs: bytes) -> None:
        """Into the cluster's store, one after the other: batches have a limit."""
        call = self._channel.unary_unary(CAS + "BatchUpdateBlobs", request_serializer=m.encode)
        for blob in blobs:
            done = m.decode(
                m.BatchUpdateBlobsResponse,
                call(m.BatchUpdateBlobsRequest("", (m.BlobToUpdate(digest_of(blob), blob),))),
            )
            assert not (done.responses[0].status or m.Status()).code, done

    def took(self, action: m.Digest) -> float:
        """Seconds from asking to the result."""
        began = time.perf_counter()
        call = self._channel.unary_stream(EXECUTION + "Execute", request_serializer=m.encode)
        *_, last = call(m.ExecuteRequest("", True, action))
        seconds = time.perf_counter() - began
        operation = m.decode(m.Operation, last)
        assert operation.response is not None, operation
        result = m.decode(m.ExecuteResponse, operation.response.value).result
        assert result is not None, operation
        assert not result.exit_code, result
        return seconds

    def close(self) -> None:
        self._channel.close()


@contextmanager
def _client(address: str) -> Iterator[Client]:
    client = Client(address)
    try:
        yield client
    finally:
        client.close()


def through_gg(tree: Path, name: str, actions: int, address: str) -> tuple[list[float], float]:
    """What each action took, and gg's own CPU seconds, all in all. One action comes first, whose inputs are sent."""
    env = clean_environment({"HOME": str(tree.parent), "XDG_CACHE_HOME": str(tree.parent / "cache")})
    tree.joinpath(name).mkdir(parents=True)
    run([sys.executable, "-c", _MAKE, name, str(actions)], tree, env, tree.parent / "log", check=True)
    force = [str(Path(sys.executable).with_name("gg-force")), "--engine", f"reapi=grpc://{address}"]
    force += ["--fallback", "never", "--jobs", "1", "--json", name]
    out = tree.parent / f"{name}.jsonl"
    ran = run(force, tree, env, out, check=True)
    events = [json.loads(line) for line in out.read_text().splitlines() if line.startswith("{")]
    ends = [event["t"] for event in events if event["event"] == "thunk-done"]
    assert len(ends) == actions, f"{len(ends)} of {actions} are done"
    return [after - before for before, after in pairwise(ends)], ran.cpu


def actions_in(cas: Path) -> set[m.Digest]:
    """The actions among the blobs of casd's store: those whose command and input root are blobs there too."""
    blobs = {path.parent.name + path.name: path for path in (cas / "cas" / "objects").glob("??/*")}
    found: set[m.Digest] = set()
    for name, path in blobs.items():
        if path.stat().st_size > 400:
            continue
        try:
            action = m.decode(m.ActionMessage, path.read_bytes())
        except (FormatError, UnicodeError):
            continue
        parts = (action.command_digest, action.input_root_digest)
        if all(isinstance(each, m.Digest) and each.hash in blobs for each in parts):
            found.add(m.Digest(name, path.stat().st_size))
    return found


def bare(client: Client, actions: int, round_: int) -> list[float]:
    """A static program that does nothing."""
    program = _PROGRAM.read_bytes()
    root = m.encode(m.DirectoryMessage((m.FileNode("busybox", digest_of(program), True),)))
    made: list[m.Digest] = []
    client.send(program, root)
    for number in range(actions + 1):
        command = m.encode(m.CommandMessage(("/busybox", "true", f"{round_} {number}")))
        action = m.encode(m.ActionMessage(digest_of(command), digest_of(root)))
        client.send(command, action)
        made.append(digest_of(action))
    return [client.took(action) for action in made][1:]


def figures(seconds: Sequence[float]) -> dict[str, Any]:
    low, _, high = quantiles(seconds, n=4)
    return {
        "actions": len(seconds),
        "median ms": round(median(seconds) * 1000, 1),
        "quartiles ms": [round(low * 1000, 1), round(high * 1000, 1)],
    }


def measure(where: Path, actions: int, rounds: int) -> dict[str, Any]:
    ours: list[float] = []
    same: list[float] = []
    least: list[float] = []
    cpu: list[float] = []
    with casd(where / "casd", jobs=1) as address, _client(address) as client:
        known: set[m.Digest] = set()
        for round_ in range(rounds):
            _, one = through_gg(where / "tree", f"single{round_}", 1, address)
            known = actions_in(where / "casd" / "cas")
            took, used = through_gg(where / "tree", f"round{round_}", actions + 1, address)
            made = sorted(actions_in(where / "casd" / "cas") - known)
            assert len(made) == actions + 1, f"{len(made)} actions for {actions + 1} thunks"
            ours += took
            cpu.append((used - one) / actions)
            same += [client.took(action) for action in made][1:]
            least += bare(client, actions, round_)
    return {
        "gg-force": figures(ours),
        "the same actions without gg": figures(same),
        "a static program": figures(least),
        "gg adds ms": round((median(ours) - median(same)) * 1000, 1),
        "gg CPU ms": round(median(cpu) * 1000, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="what gg adds to an action that does nothing")
    parser.add_argument("--actions", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gg-clusters-") as scratch:
        found = {"machine": machine(), **measure(Path(scratch).resolve(), options.actions, options.rounds)}
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
