"""Why a request got no answer: one exception, whose cause is an enum that tables can list."""

from __future__ import annotations

from enum import Enum


class Cause(Enum):
    """Why there is no answer."""

    NAME = "name resolution"
    CONNECT = "connecting"
    TLS = "TLS"
    CERTIFICATE = "certificate"
    PROXY = "proxy"
    LOST = "connection lost"
    TIMEOUT = "no answer in time"
    GARBLED = "no HTTP"
    TOO_LONG = "too long an answer"


class NoAnswer(Exception):
    """A request had no answer, or not all of it. `host` is who was asked, `detail` what the system said.

    `begun`: something of the answer has come, so the request was received for certain.
    """

    def __init__(self, cause: Cause, host: str, detail: str = "", *, begun: bool = False) -> None:
        super().__init__(f"{host}: {cause.value}" + (f": {detail}" if detail else ""))
        self.cause = cause
        self.host = host
        self.detail = detail
        self.begun = begun
