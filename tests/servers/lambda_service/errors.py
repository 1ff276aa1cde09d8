"""Lambda's refusals: a status, an error type and a message, and the reason of a throttle."""

from __future__ import annotations

import json

from tests.servers.lambda_service.http import Response


class Refused(Exception):
    """An answer of the service that is an error of the caller, or of the service."""

    def __init__(self, status: int, kind: str, message: str, *, reason: str = "") -> None:
        super().__init__(f"{kind}: {message}")
        self.status = status
        self.kind = kind
        self.message = message
        self.reason = reason

    def response(self, request_id: str) -> Response:
        owner = "Service" if self.status >= 500 else "User"
        body = {"Reason": self.reason} if self.reason else {}
        body |= {"Type": owner, "message": self.message}
        headers = (
            ("Content-Type", "application/json"),
            ("x-amzn-RequestId", request_id),
            ("x-amzn-ErrorType", self.kind),
        )
        return Response(self.status, json.dumps(body).encode(), headers)


def not_found(what: str) -> Refused:
    return Refused(404, "ResourceNotFoundException", what)


def throttled(reason: str) -> Refused:
    return Refused(429, "TooManyRequestsException", "Rate Exceeded.", reason=reason)


def too_large(limit: int, operation: str) -> Refused:
    text = f"Request must be smaller than {limit} bytes for the {operation} operation"
    return Refused(413, "RequestEntityTooLargeException", text)


def invalid(message: str) -> Refused:
    return Refused(400, "InvalidParameterValueException", message)


def conflict(message: str) -> Refused:
    return Refused(409, "ResourceConflictException", message)
