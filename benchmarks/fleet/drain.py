"""Workers that are told of an interruption in the middle of a build: what they begin afterwards, and when they are gone.

    python -m benchmarks.fleet.drain --sqs COMMAND [--rounds 4]

The build and the workers are those of `benchmarks.fleet.chaos`; the metadata service of one worker after the other says that it is
interrupted. A worker asks it twice a second there, and every five seconds elsewhere; that is in `gone_s`. As root.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.fleet.chaos import WORKERS, Member, chaos_of


def drained(member: Member) -> dict[str, Any]:
    """Tell it, and look until it is gone."""
    process, begin = member.process, time.time()
    member.interrupt(random.Random(0))
    process.wait(120)
    end = time.time()
    said = Path(f"{member.log}.said").read_text()
    lines = [line.split() for line in member.log.read_text().splitlines()]
    own = [(what, float(when)) for what, name, when in lines if name.startswith(f"{process.pid}-")]
    last = [when for what, when in own if what == "begin"]
    ended = [when - begin for what, when in own if what in ("end", "back") and when >= begin]
    return {
        "gone_s": round(end - begin, 2),
        "told": "it is interrupted" in said,
        "last_begun_after_s": round(max(last, default=begin) - begin, 2),
        "finished_after": sum(what == "end" and when >= begin for what, when in own),
        "given_back": sum(what == "back" and when >= begin for what, when in own),
        "last_ended_after_s": round(max(ended, default=0.0), 2),
        "left": sum(what == "begin" for what, _ in own) - sum(what in ("end", "back") for what, _ in own),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.fleet.drain")
    parser.add_argument("--sqs", required=True)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    with chaos_of(options.sqs, 96) as chaos:
        well = True
        for number in range(options.rounds):
            row: dict[str, Any] = {}
            member = chaos.members[number % WORKERS]
            begun = member.log.read_text().count("begin")
            build = threading.Thread(target=lambda n=number, r=row: r.update(chaos.round(100 + n, (), (1, 1))))
            build.start()
            while member.log.read_text().count("begin") < begun + 4:
                time.sleep(0.1)
            found = drained(member)
            build.join()
            print(
                json.dumps(found | {"status": row["status"], "same": row["same"], "wall_s": row["wall_s"]}), flush=True
            )
            well &= row["same"] and not found["left"]
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
