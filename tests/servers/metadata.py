"""The instance metadata service of a spot instance, on loopback: version 2 alone, with what a test has it say."""

from __future__ import annotations

import http.server
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ACTION = "/latest/meta-data/spot/instance-action"
_REBALANCE = "/latest/meta-data/events/recommendations/rebalance"


class Metadata:
    """One service. `answers`: bodies by path."""

    def __init__(self) -> None:
        self.tokens: set[str] = set()
        self.answers: dict[str, bytes] = {}
        self.refused = 0
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds") or ""
                if self.path != "/latest/api/token" or not (ttl.isdigit() and 1 <= int(ttl) <= 21600):
                    self._answer(400)
                    return
                token = secrets.token_urlsafe(40)
                service.tokens.add(token)
                self._answer(200, token.encode())

            def do_GET(self) -> None:
                if self.headers.get("X-aws-ec2-metadata-token") not in service.tokens:
                    service.refused += 1
                    self._answer(401)
                    return
                body = service.answers.get(self.path)
                self._answer(404 if body is None else 200, body or b"")

            def _answer(self, status: int, body: bytes = b"") -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def interrupt(self) -> None:
        """The notice of an interruption, two minutes ahead."""
        self.answers[_ACTION] = json.dumps({"action": "terminate", "time": "2026-11-30T01:02:03Z"}).encode()

    def rebalance(self) -> None:
        self.answers[_REBALANCE] = json.dumps({"noticeTime": "2026-11-30T01:00:00Z"}).encode()


@contextmanager
def metadata() -> Iterator[Metadata]:
    service = Metadata()
    thread = threading.Thread(target=service.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.server.shutdown()
        thread.join()
        service.server.server_close()
