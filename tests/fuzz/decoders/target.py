"""One decoder, and what is asked of it whatever it is given: no exception but those that it documents, little time and memory."""

from __future__ import annotations

import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from gg.errors import FormatError

MOST_SECONDS = 1.0
MOST_MEMORY = 50 << 20


class Target(NamedTuple):
    """`refused`: how it says that the bytes are none of its own. `bricks`: what is repeated, to see that time does not grow
    as the square of a text's length.
    """

    name: str
    decode: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    refused: tuple[type[Exception], ...] = (FormatError,)
    bricks: tuple[bytes, ...] = ()


class TooDear(Exception):
    """An input that took too much of something."""


def check(target: Target, data: bytes) -> None:
    """Decode `data`. What escapes, an exception of another kind or `TooDear`, is a finding."""
    begun = time.process_time()
    try:
        target.decode(data)
    except target.refused:
        pass
    took = time.process_time() - begun
    if took > MOST_SECONDS:
        raise TooDear(f"{target.name}: {took:.1f} s for {len(data)} bytes")


def check_memory(target: Target, data: bytes) -> None:
    """As `check`, with the peak of what Python allocates; some three times slower, and not timed."""
    tracemalloc.start()
    try:
        target.decode(data)
    except target.refused:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    if peak > MOST_MEMORY:
        raise TooDear(f"{target.name}: {peak >> 20} MiB for {len(data)} bytes")


@cache
def scratch() -> str:
    """A directory of this process for what reads files only."""
    kept = tempfile.TemporaryDirectory(prefix="gg-fuzz-")
    _kept.append(kept)
    return kept.name


_kept: list[tempfile.TemporaryDirectory[str]] = []


def as_file(data: bytes, name: str = "input") -> str:
    """The path of a file with these bytes."""
    path = os.path.join(scratch(), name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def apart(*command: str | os.PathLike[str]) -> tuple[str | os.PathLike[str], ...]:
    """`command` as the child of a shell, so that its peak of memory is its own.

    The kernel keeps a process's peak (getrusage, ru_maxrss) over execve, and the child of a vfork shares its parent's memory until
    then: libFuzzer, which holds ru_maxrss against its limit, would count what the tests' own process once took.
    """
    return ("sh", "-c", '"$@"; exit $?', "sh", *command)
