"""The scheduler alone: events a second on one core, and bytes a thunk.

    python -m benchmarks.scheduler [--thunks N] [--width W] [--json]

The graph has the shape of a real build: a few generators one after another, whose headers all compiles read; compiles
by the ten thousand, archived twenty to fifty at a time, archives linked into libraries, libraries into one program. The
driver here does nothing, so all the time is the scheduler's. Every event is one `step` and tells of one node: a Lookup
of many is answered one by one, the hardest way a driver can do it. Add and Want are timed apart.

Memory is what `tracemalloc` sees the scheduler take after Add and Want, and its peak up to the end; ids and specs are
the caller's (65 bytes an id). Time is the process's CPU time, measured in a run of its own without `tracemalloc`.
"""

from __future__ import annotations

import argparse
import gc
import heapq
import json
import random
import time
import tracemalloc
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import blake2b

from gg.core.thunk import Work
from gg.schedule.commands import Command, Done, Lookup, Start, WakeAt
from gg.schedule.events import Add, EngineCaps, EngineUp, Event, Miss, NodeSpec, Ran, Tick, Want
from gg.schedule.scheduler import Scheduler

BATCH = 1000


def name(index: int) -> bytes:
    """The id of a node: 32 bytes, as a thunk's."""
    return blake2b(index.to_bytes(8, "little"), digest_size=32).digest()


def build(thunks: int, seed: int = 1) -> list[NodeSpec]:
    """A build of about this many thunks, dependencies first; the last node is the program."""
    rng = random.Random(seed)
    nodes: list[NodeSpec] = []

    def add(work: Work, seconds: float, deps: list[bytes]) -> bytes:
        id = name(len(nodes))
        nodes.append(NodeSpec(id=id, deps=tuple(deps), work=work, seconds=seconds, memory=1 << 27, input_size=1 << 20))
        return id

    generators = [add(Work.OTHER, 0.5, [])]
    for _ in range(4):
        generators.append(add(Work.COMPILE, 1.0, generators[-1:]))
        generators.append(add(Work.LINK, 0.3, generators[-1:]))
    libraries: list[bytes] = []
    while len(nodes) < thunks - 1:
        archives = []
        for _ in range(10):
            objects = [
                add(Work.COMPILE, rng.lognormvariate(0.7, 0.8), [rng.choice(generators)])
                for _ in range(rng.randint(20, 50))
            ]
            archives.append(add(Work.ARCHIVE, 0.1, objects))
        libraries.append(add(Work.LINK, 1.0, archives + libraries[-3:]))
    add(Work.LINK, 5.0, libraries)
    return nodes


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run came to. `cpu_s`: seconds of CPU, of which `add_s` for Add and Want."""

    thunks: int
    edges: int
    width: int
    events: int
    commands: int
    add_s: float
    cpu_s: float
    events_per_s: float
    us_per_thunk: float


def opening(nodes: list[NodeSpec], width: int) -> Iterator[Event]:
    yield EngineUp(0.0, "lambda", width, EngineCaps())
    for at in range(0, len(nodes), BATCH):
        yield Add(0.0, tuple(nodes[at : at + BATCH]))
    yield Want(0.0, (nodes[-1].id,))


def drive(nodes: list[NodeSpec], width: int) -> Figures:
    """Run it all, one event a step, in virtual time."""
    seconds = {node.id: node.seconds or 1.0 for node in nodes}
    scheduler = Scheduler()
    pending: list[tuple[float, int, Event]] = []
    events = commands = 0
    add_s = spent = 0.0
    queue: deque[Event] = deque(opening(nodes, width))
    phase, done = len(queue), False
    while queue or not done:
        event = queue.popleft() if queue else heapq.heappop(pending)[2]
        began = time.process_time()
        out: list[Command] = scheduler.step(event)
        spent += time.process_time() - began
        events += 1
        commands += len(out)
        if events == phase:
            add_s = spent
        for command in out:
            match command:
                case Lookup():
                    queue.extend(Miss(scheduler.now, (id,)) for id in command.ids)
                case Start():
                    end = scheduler.now + seconds[command.id]
                    heapq.heappush(pending, (end, int(command.attempt), Ran(end, command.attempt, end - scheduler.now)))
                case WakeAt():
                    heapq.heappush(pending, (command.time, -commands, Tick(command.time)))
                case Done():
                    done = True
    assert scheduler.summary().ran == len(nodes), scheduler.summary()
    return Figures(
        thunks=len(nodes),
        edges=sum(len(node.deps) for node in nodes),
        width=width,
        events=events,
        commands=commands,
        add_s=round(add_s, 3),
        cpu_s=round(spent, 3),
        events_per_s=round((events - phase) / (spent - add_s)),
        us_per_thunk=round(spent / len(nodes) * 1e6, 1),
    )


def memory(thunks: int, width: int) -> tuple[float, float]:
    """Bytes a thunk after Add and Want, and at the peak of a run with all engines full."""
    nodes = build(thunks)
    count = len(nodes)
    gc.collect()
    tracemalloc.start()
    scheduler = Scheduler()
    for event in opening(nodes, width):
        out = scheduler.step(event)
    gc.collect()
    resting = tracemalloc.get_traced_memory()[0]
    queue: list[Event] = []
    while True:
        for command in out:
            if isinstance(command, Lookup):
                queue.append(Miss(scheduler.now, command.ids))
            elif isinstance(command, Start):
                queue.append(Ran(scheduler.now + 0.001, command.attempt, 1.0))
        if not queue:
            break
        out = scheduler.steps(queue[:BATCH])
        del queue[:BATCH]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return resting / count, peak / count


def main() -> None:
    parser = argparse.ArgumentParser(description="measure the scheduler alone")
    parser.add_argument("--thunks", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=1_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = drive(build(options.thunks), options.width)
    resting, peak = memory(options.thunks, options.width)
    result = {**asdict(figures), "bytes_per_thunk": round(resting), "peak_bytes_per_thunk": round(peak)}
    if options.json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:22} {value:>12,}")


if __name__ == "__main__":
    main()
