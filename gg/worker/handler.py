"""The function that Lambda calls: the event is a request in base64, and so is the reply.

Lambda hands over JSON and wants JSON, so bytes travel as one string. Objects are made when the module is imported, because a
starting environment has a whole processor, whatever the function's memory.
"""

from __future__ import annotations

import base64
import os
from typing import Protocol

from gg.aws.sign import Credentials
from gg.worker.between import Spoilt
from gg.worker.fetching import S3
from gg.worker.hidden import CREDENTIALS, take
from gg.worker.serve import Worker

_RESERVE = 192 << 20  # bytes of the function's memory for the interpreter and the runtime
_MARGIN_S = 1.5  # to answer before the platform ends the environment

_taken = take(CREDENTIALS)  # the role's credentials; taken, so that no command finds them
_credentials = Credentials(*[_taken[name] for name in CREDENTIALS[:3]])
_s3 = S3(lambda: _credentials, os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "")
_memory = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "0")) << 20
_worker = Worker("/tmp/gg", _s3.connect, memory=max(0, _memory - _RESERVE), layer="/opt/gg/objects", alone=True)


class Context(Protocol):
    """The part of Lambda's context object that is used."""

    def get_remaining_time_in_millis(self) -> int: ...


def handler(event: str, context: Context) -> str:
    """One invocation."""
    seconds = context.get_remaining_time_in_millis() / 1000 - _MARGIN_S
    try:
        return base64.b64encode(_worker.handle(base64.b64decode(event), max(0.1, seconds))).decode()
    except Spoilt as error:
        print(f"this environment ends: a command has left {error}", flush=True)
        os._exit(1)
