"""A worker that answers and runs nothing: `python -m benchmarks.fleet.answering QUEUE SLOTS`, with AWS's configuration.

It is gg's worker up to the slot; what a slot says is what `benchmarks.coordinator.worker` says. How long a thunk takes stands in
the file `told` beside its tree. When it is told to end (SIGTERM) it prints, a line each, what it ran: begin, end, tree.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path
from typing import cast

import gg
from benchmarks.coordinator.worker import reply_to
from gg.aws.failures import RequestContext
from gg.aws.http import Client
from gg.aws.setup import AwsSession
from gg.aws.sign import Scope
from gg.aws.sqs import Queues
from gg.core.codec import outline_thunk
from gg.wire.request import decode_request
from gg.worker.queue_worker import QueueWorker
from gg.worker.s3_relay import SharedObjects
from gg.worker.slot_front import Relay
from gg.worker.slots import Slots
from tests.support.no_bucket import NoBucket

RAN: list[tuple[float, float, str]] = []


class Answering:
    """A slot."""

    pid = 0

    def __init__(self, directory: str) -> None:
        pass

    def handle(self, data: bytes, *, relay: Relay, stop: threading.Event) -> bytes:
        begin = time.time()
        tasks = decode_request(data).tasks
        tree = os.fsdecode(outline_thunk(tasks[0].thunk).outputs[0].path).rpartition("/out/")[0]
        seconds = _seconds(tree) * len(tasks)
        if seconds:
            stop.wait(seconds)
        reply = reply_to(data, Path(tree).with_name("told"))
        RAN.append((begin, time.time(), tree))
        return reply

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        pass


@cache
def _seconds(tree: str) -> float:
    return float(json.loads(Path(tree).with_name("told").read_text())["seconds"])


async def serve(queue: str, cpus: int) -> None:
    session = AwsSession(os.environ["AWS_DEFAULT_REGION"])
    endpoint, region = session.endpoint("sqs"), session.region()
    asked = RequestContext(what="take", right="sqs:*", host=endpoint.name, region=region, access_key="x")
    queues = Queues(Client(endpoint, Scope(region, "sqs"), session), asked)
    with tempfile.TemporaryDirectory() as directory:
        slots = Slots(directory, cpus=cpus, memory=cpus << 30, make=Answering)
        bucket = cast("SharedObjects", NoBucket())
        url = await queues.url(queue)
        worker = QueueWorker(slots, queues, url, bucket, f"answering-{os.getpid()}", gg.__version__, _say)
        worker.start()
        told = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
        print("ready", flush=True)
        await told.wait()
        await worker.leave(0.0)
        slots.close()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
    for begin, end, tree in RAN:
        print(begin, end, tree)


if __name__ == "__main__":
    main()
