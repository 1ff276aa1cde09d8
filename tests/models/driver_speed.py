"""Prints what an answer of the drivers' model costs: `python -m tests.models.driver_speed`.

Microseconds of CPU time a call, warm, the best of five rounds, against the real disk and the machine's gcc.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from gg.models.drafts import Draft
from gg.models.driver.model import DriverModel
from tests.models.test_driver_truth import _call, _Probe, _workspace

LINES = {
    "compile, 40 words": (
        "gcc -DHAVE_CONFIG_H -I. -I.. -Isrc -I../include -Iobj -D_GNU_SOURCE -DFOO=1 -DBAR -Wall -Wextra -Wno-unused "
        "-Wformat -Wshadow -Wstrict-prototypes -O2 -g -pipe -fPIC -fstack-protector-strong -fno-strict-aliasing "
        "-fdebug-prefix-map=/a=. -std=gnu11 -pthread -MT obj/a.o -MD -MP -MF obj/a.Tpo -c -o obj/a.o src/a.c -DX=2 "
        "-Wdate-time -D_FORTIFY_SOURCE=2 -fvisibility=hidden -Wundef"
    ),
    "compile, 4 words": "gcc -O2 -c src/a.c",
    "question": "gcc -print-prog-name=ld",
    "link of one object": "gcc obj/a.o -o prog -lm",
}
ROUNDS, CALLS = 5, 200


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        top = _workspace(Path(directory) / "ws")
        (top / "obj/a.o").write_bytes(b"\x7fELF")
        model, probe = DriverModel(), _Probe()
        for name, line in LINES.items():
            call = _call(line, top)
            answer = model(call, probe)
            times = []
            for _ in range(ROUNDS):
                start = time.process_time_ns()
                for _ in range(CALLS):
                    model(call, probe)
                times.append((time.process_time_ns() - start) / CALLS / 1000)
            kind = "Draft" if isinstance(answer, Draft) else "RunReal"
            print(f"{name:20} {kind:8} {len(call.argv):3} words {min(times):8.1f} us")


if __name__ == "__main__":
    main()
