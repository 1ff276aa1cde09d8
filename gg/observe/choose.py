"""Which sinks a run has. Only those that are used are imported."""

from __future__ import annotations

import sys
from typing import BinaryIO

from gg.observe.sink import Several, Sink, TextOutput


def choose(
    *,
    quiet: bool = False,
    as_json: bool = False,
    trace: str | None = None,
    out: BinaryIO | None = None,
    err: BinaryIO | None = None,
    tty: bool | None = None,
) -> Sink:
    """The sink for these options; `as_json` wins over `quiet`. UsageError when the trace cannot be written.

    `out` and `err` are standard output and error unless given; `tty`: `err` is a terminal (asked when None).
    """
    output = TextOutput(sys.stdout.buffer if out is None else out)
    stderr = sys.stderr.buffer if err is None else err
    error = TextOutput(stderr)
    sinks: list[Sink] = []
    if as_json:
        from gg.observe.jsonlines import JsonLines

        sinks.append(JsonLines(output))
    elif quiet:
        from gg.observe.quiet import Quiet

        sinks.append(Quiet(output, error))
    elif stderr.isatty() if tty is None else tty:
        from gg.observe.terminal import Terminal

        sinks.append(Terminal(output, error, stderr.fileno()))
    else:
        from gg.observe.plain import Plain

        sinks.append(Plain(output, error))
    if trace:
        from gg.observe.trace import Trace

        sinks.append(Trace(trace))
    return sinks[0] if len(sinks) == 1 else Several(sinks)
