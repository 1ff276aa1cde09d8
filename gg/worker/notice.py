"""Tells whether this machine is about to be taken away: a spot instance's metadata service (IMDSv2) says so.

Two minutes before an interruption, if AWS can, `spot/instance-action` says what AWS will do; a recommendation to rebalance comes
earlier, if it comes at all. Elsewhere than on EC2 no service answers, and the worker does not ask again.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from urllib.parse import urlsplit

ADDRESS = "http://169.254.169.254"
LOOK_S = 5.0
_TIMEOUT_S = 2.0
_TOKEN_S = 21600
_MOST = 4096
_ACTION = "/latest/meta-data/spot/instance-action"
_REBALANCE = "/latest/meta-data/events/recommendations/rebalance"


class Notices:
    """Asks one metadata service. For one thread."""

    def __init__(self, address: str = ADDRESS, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = urlsplit(address)
        self._clock = clock
        self._token = ""
        self._until = 0.0

    def there(self) -> bool:
        """Whether there is such a service."""
        try:
            return bool(self._have_token())
        except (OSError, http.client.HTTPException):
            return False

    def look(self) -> str:
        """Why work should leave this machine, for people; empty if there is no notice, or the service does not answer."""
        try:
            action = self._get(_ACTION)
            if action is not None:
                return f"it is interrupted: {_field(action, 'action')} at {_field(action, 'time')}"
            rebalance = self._get(_REBALANCE)
            return f"rebalance is recommended since {_field(rebalance, 'noticeTime')}" if rebalance is not None else ""
        except (OSError, http.client.HTTPException):
            return ""

    def _get(self, path: str) -> bytes | None:
        """The text at `path`; None if there is none."""
        for _ in range(2):
            status, body = self._ask("GET", path, {"X-aws-ec2-metadata-token": self._have_token()})
            if status == 200:
                return body
            if status != 401:
                return None
            self._token = ""
        return None

    def _have_token(self) -> str:
        if not self._token or self._clock() >= self._until:
            headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_S)}
            status, body = self._ask("PUT", "/latest/api/token", headers)
            if status != 200:
                raise OSError(f"the metadata service answers {status}")
            self._token, self._until = body.decode("latin-1"), self._clock() + _TOKEN_S / 2
        return self._token

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(
            self._address.hostname or "", self._address.port or 80, timeout=_TIMEOUT_S
        )
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_MOST)
        finally:
            connection.close()


def _field(body: bytes, name: str) -> str:
    try:
        found = json.loads(body)
        return "".join(c for c in str(found.get(name, "?"))[:40] if c.isprintable())
    except (ValueError, AttributeError, RecursionError):
        return "?"
