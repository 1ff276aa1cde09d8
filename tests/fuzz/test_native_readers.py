"""The C readers of bytes from elsewhere, fuzzed by coverage with address and undefined behaviour sanitizers (libFuzzer).

Longer: compile a harness of tests/fuzz/native as `built` does, and run it with -max_total_time=1800 and a directory for what it
learns. What it finds goes to tests/fuzz/regressions/native-NAME, where it is tried again first.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gg.core.placeholder import PlaceholderWriter
from gg.record import protocol
from tests.fuzz.decoders.foreign import ELF, ELF_32, OBJECT
from tests.fuzz.decoders.target import apart

HERE = Path(__file__).parent
SECONDS = 3
MOST_MIB = 1024  # the sanitizers' own included, of which 16 are kept to tell what is used after it was freed
FILES = (
    ELF,
    ELF_32,
    OBJECT,
    b"#! /bin/sh -e x \n",
    b"#!/proc/self/exe\n",
    PlaceholderWriter(b"/bin/sh").encode(b"t" * 32, 3),
)
REPLIES = (
    protocol.reply_exit(1, b"out", b"err"),
    protocol.reply_exec(b"/bin/gcc", (b"gcc", b"-c"), (b"A=b",)),
    protocol.reply_ready(),
    protocol.reply_failed(2, b"no"),
)
SEEDS = {"program": FILES, "needed": FILES, "reply": tuple(reply[4:] for reply in REPLIES)}
FLAGS = (
    "-std=gnu11",
    "-g",
    "-O1",
    "-U_FORTIFY_SOURCE",
    "-fsanitize=fuzzer,address,undefined",
    "-fno-sanitize-recover=all",
)


@pytest.mark.parametrize("name", SEEDS)
def test_a_short_round(name: str, tmp_path: Path) -> None:
    harness = tmp_path / name
    subprocess.run(["clang", *FLAGS, "-o", harness, HERE / "native" / f"{name}.c"], check=True)
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(SEEDS[name]):
        (corpus / str(number)).write_bytes(seed)
    found = [path for path in (HERE / "regressions" / f"native-{name}",) if path.is_dir()]
    limits = [f"-max_total_time={SECONDS}", "-timeout=5", f"-rss_limit_mb={MOST_MIB}", "-max_len=8192"]
    done = subprocess.run(
        apart(harness, *limits, corpus, *found),
        cwd=tmp_path,
        env={**os.environ, "ASAN_OPTIONS": "quarantine_size_mb=16"},
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stderr[-4000:]
