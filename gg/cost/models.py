"""The engines in an estimate: distributions, each with its source. `ASSUMED` is the one table of them all.

We have measured none of these figures on AWS ourselves. Times are seconds, sizes are bytes, rates are a second.
"""

from __future__ import annotations

from gg.light.named import NamedTuple
from gg.schedule.engine_model import EngineModel, LogNormal
from gg.schedule.events import EngineCaps, Ramp

MB = 1 << 20
RESERVE = 192 * MB  # of a function's memory that its commands do not get, as in gg.worker.handler
ONE_CPU_MB = 1769
LATENCY = LogNormal(0.06, 0.5)
START = LogNormal(0.30, 0.36)
FETCH = 2 * 0.1
BANDWIDTH = 60e6
SLOWNESS = 1.25
NOISE = LogNormal(1.0, 0.15)
STRAGGLERS, DRAG = 0.01, 3.0
RAMP = Ramp(1000, 100.0)
BATCH, CALL = 16, 0.0005  # as in gg.engines.awslambda.lambda_engine
SERIAL = 0.0006
UPLINK = 12.5e6
PACKED = 0.31
PACK = 32 * MB
COLD_GETS = 10
OUTPUT = 40_000
PUT_SHARE = 0.05
BOOT = LogNormal(75.0, 0.25)
MACHINE = 16
IDLE = 600.0
LOCAL_OVERHEAD = 0.01


class Assumed(NamedTuple):
    """One row of the table."""

    what: str
    value: str
    source: str


ASSUMED = (
    Assumed(
        "duration", "as remembered; else guessed", "each thunk's last run here, by what it makes (gg.store.durations)"
    ),
    Assumed(
        "Lambda's processor",
        f"{SLOWNESS} times this machine's time; one from {ONE_CPU_MB} MB on, a share below",
        "the factor is a guess; the share: AWS, Lambda developer guide, configure function memory",
    ),
    Assumed(
        "variation of a duration", "log-normal, sigma 0.15; 1% take 3 times as long", "a guess, as nothing is published"
    ),
    Assumed(
        "request and answer, warm",
        "log-normal, median 60 ms, sigma 0.5; not billed",
        "60 ms from a browser 1,000 km away (forum.serverless.com/t/lambda-call-latency/3891)",
    ),
    Assumed(
        "a new environment",
        "log-normal, median 0.30 s, 99% below 0.7 s; all of it billed",
        "Python from a zip with a few dependencies, p50 0.3 s, p99 0.7 s, in public tables of 2026; "
        "AWS: under 0.1 s to over 1 s (Operating Lambda, part 1); billed since August 2025",
    ),
    Assumed(
        "its first fetch of tools and headers",
        "2 round trips of 0.1 s, 10 GETs, and the bytes",
        "AWS: first byte of a small object after 0.1 to 0.2 s (S3 performance design patterns); gg's worker",
    ),
    Assumed("a function's bandwidth", "60 MB/s", "400 to 700 Mbit/s in published measurements of downloads from S3"),
    Assumed(
        "new environments", "1,000 at once, then 100 a second", "AWS, Lambda developer guide, scaling behavior (2026)"
    ),
    Assumed(
        "short thunks", f"up to {BATCH} share an invocation, 0.2 s in all", "gg's own scheduler (gg.schedule.policy)"
    ),
    Assumed("coordinator", "0.6 ms a thunk, one after the other", "gg's own budget of CPU (gg/DESIGN.md)"),
    Assumed(
        "sending tools and headers first",
        "100 Mbit/s; packed to 31%",
        "the line is a guess; the ratio: 89.2 MB became 27.4 (benchmarks/results/2026-11-22-s3.json)",
    ),
    Assumed("outputs", "40 kB each come here; 5% go by S3", "a guess"),
    Assumed(
        "spot machines",
        f"none runs before; {MACHINE} processors each, of Lambda's speed, there after 75 s (log-normal, sigma 0.25), none taken "
        f"back; paid from their start to {IDLE / 60:.0f} idle minutes after the end",
        "a guess: EC2's start, its system's, and gg's installation; gg spot up",
    ),
    Assumed("this machine", "10 ms a thunk besides its command, as many at once as processors", "benchmarks.figures"),
)


def lambda_model(
    width: int, memory_mb: tuple[int, ...], cold_bytes: int, limit_s: float = 900.0, price: float = 0.0
) -> EngineModel:
    """Functions of these sizes, `width` attempts at once; `cold_bytes`: what a new environment fetches, packed; `price`: dollars a
    second of the smallest.
    """
    classes = tuple(mb * MB - RESERVE for mb in memory_mb)
    return EngineModel(
        name="lambda",
        slots=width,
        caps=EngineCaps(
            memory_classes=classes,
            max_seconds=limit_s,
            overhead=0.15,
            slowness=SLOWNESS,
            ramp=RAMP,
            batch=BATCH,
            call=CALL,
            price=price,
            startup=START.median + FETCH,
        ),
        latency=LATENCY,
        cold=LogNormal(START.median + FETCH, START.sigma * START.median / (START.median + FETCH)),
        cold_bytes=cold_bytes,
        bandwidth=BANDWIDTH,
        noise=NOISE,
        stragglers=STRAGGLERS,
        straggler_factor=DRAG,
        ramp=RAMP._replace(burst=RAMP.burst * len(classes), rate=RAMP.rate * len(classes)),
        serial=SERIAL,
        whole=ONE_CPU_MB * MB - RESERVE,
    )


def local_model(width: int, memory: int) -> EngineModel:
    """This machine, `width` commands at once in `memory` bytes."""
    return EngineModel(
        name="local",
        slots=width,
        caps=EngineCaps(independent=False, memory_total=memory),
        latency=LogNormal(LOCAL_OVERHEAD),
        noise=NOISE,
    )


def spot_model(width: int, cold_bytes: int) -> EngineModel:
    """Spot machines with `width` processors, all started when the build begins; each fetches `cold_bytes` first."""
    return EngineModel(
        name="spot",
        slots=max(width, 256),
        caps=EngineCaps(
            max_seconds=900.0, overhead=0.2, slowness=SLOWNESS, announces=True, batch=10, call=CALL, queued=True
        ),
        latency=LogNormal(0.1, 0.5),
        bandwidth=BANDWIDTH,
        noise=NOISE,
        stragglers=STRAGGLERS,
        straggler_factor=DRAG,
        serial=SERIAL,
        workers=width,
        boot=LogNormal(BOOT.median + cold_bytes / BANDWIDTH, BOOT.sigma),
    )
