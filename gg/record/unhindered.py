"""A bug in the recorder costs the one request that met it, and no recording: a tool runs for real, and the build goes on.

Whoever has asked is answered in any case. If nothing can be said, the connection is closed: shim and interposer then help
themselves, as where no recorder is left.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress

from gg.errors import GGError, machine_error
from gg.light.shown import encoded
from gg.record import protocol
from gg.record.protocol import Op, RecorderRequest, SendReply

RunAnyway = Callable[[RecorderRequest, str, SendReply], None]
"""Has the real tool of a request run. The text says why."""


def answer_instead(
    error: Exception, request: RecorderRequest, reply: SendReply, run_anyway: RunAnyway, *, tell: bool
) -> None:
    """Answer a request that has raised `error`. `reply` passes one answer on and drops any other."""
    known = error if isinstance(error, GGError) else machine_error(error)
    why = str(known) if known else f"internal error: {type(error).__name__}: {error}{_place(error)}"
    if tell:
        _tell(why if known else f"{why}. This is a bug in gg")
    if request.op == Op.END:  # its calls may have failed, and nobody will know before it has ended
        reply(protocol.reply_exit(GGError.exit_code, b"", encoded(f"gg: {why}\n")))
        return
    if request.op == Op.CALL:
        with suppress(Exception):
            run_anyway(request, why, reply)
            return  # maybe when a force has ended
    reply(protocol.HANG_UP)


def _tell(text: str) -> None:
    with suppress(OSError, ValueError):
        sys.stderr.write(f"gg: {text}. Calls that meet it run for real\n")
        sys.stderr.flush()


def _place(error: Exception) -> str:
    """Where in the code it was raised."""
    at, place = error.__traceback__, ""
    while at is not None:
        place, at = f" ({os.path.basename(at.tb_frame.f_code.co_filename)}:{at.tb_lineno})", at.tb_next
    return place
