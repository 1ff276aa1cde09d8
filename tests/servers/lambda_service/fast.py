"""Fast mode: a function is a Python callable in the server, and the time that it takes is a timer. It measures who calls.

A worker is a callable that is given the payload and returns the answer, or a `Sleep` with the answer and how long it took. It must
not block: it runs on the server's loop. `--fast MODULE:NAME` names one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from tests.servers.lambda_service.config import Limits
from tests.servers.lambda_service.runtimeapi import Answer


class Sleep(NamedTuple):
    """An answer that comes after so many seconds."""

    seconds: float
    payload: bytes


Worker = Callable[[bytes], bytes | Sleep]


def load(name: str) -> Worker:
    """The worker that `module:name` names."""
    module, _, attribute = name.partition(":")
    worker: Worker = getattr(import_module(module), attribute)
    return worker


def echo(payload: bytes) -> bytes:
    """Answers what it was asked, at once."""
    return payload


def sleeper(payload: bytes) -> Sleep:
    """Answers what it was asked, after the seconds that the request has under "sleep"."""
    return Sleep(float(json.loads(payload).get("sleep", 0)), payload)


class Crowd:
    """Environments that are only counted: how many of a function are idle, and since when the oldest ones."""

    def __init__(self, worker: Worker, limits: Limits) -> None:
        self.worker = worker
        self._limits = limits
        self._idle: dict[str, list[float]] = {}

    def take_idle(self, name: str, now: float) -> bool:
        """Whether one was idle; it is busy now."""
        waiting = self._idle.get(name)
        if not waiting:
            return False
        if waiting[-1] < now - self._limits.idle_s:
            waiting.clear()
            return False
        waiting.pop()
        return True

    def put(self, name: str, now: float) -> None:
        self._idle.setdefault(name, []).append(now)

    def answer(self, payload: bytes) -> tuple[float, Answer]:
        """Seconds, and the answer. A worker that raises is a function that does."""
        try:
            made = self.worker(payload)
        except Exception as error:
            text = json.dumps({"errorType": type(error).__name__, "errorMessage": str(error)})
            return 0.0, Answer(text.encode(), "Unhandled")
        return (made.seconds, Answer(made.payload)) if isinstance(made, Sleep) else (0.0, Answer(made))
