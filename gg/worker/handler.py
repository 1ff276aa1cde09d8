"""What Lambda calls: an event that is a request in base64, and a reply the same way.

Lambda hands over JSON and wants JSON, so bytes travel as one string. What the module makes when it is imported is made
while the environment starts, which has a whole processor whatever the function's memory.
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

_taken = take(CREDENTIALS)  # the role's: no command finds them
_credentials = Credentials(*[_taken[name] for name in CREDENTIALS[:3]])
_s3 = S3(lambda: _credentials, os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "")
_memory = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "0")) << 20
_worker = Worker("/tmp/gg", _s3.connect, memory=max(0, _memory - _RESERVE), layer="/opt/gg/objects", alone=True)


class Context(Protocol):
    """What of Lambda's context object is used."""

    def get_remaining_time_in_millis(self) -> int: ...


def handler(event: str, context: Context) -> str:
    """One invocation."""
    seconds = context.get_remaining_time_in_millis() / 1000 - _MARGIN_S
    try:
        return base64.b64encode(_worker.handle(base64.b64decode(event), max(0.1, seconds))).decode()
    except Spoilt as error:
        print(f"this environment ends: a command has left {error}", flush=True)
        os._exit(1)
