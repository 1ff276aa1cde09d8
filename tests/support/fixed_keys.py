"""Credentials for requests to the servers of the tests."""

from __future__ import annotations

from gg.aws.sign import Credentials


class FixedKeys:
    """A `KeySource` of credentials that do not change."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def current(self) -> Credentials:
        return self._credentials

    def renew(self) -> Credentials:
        return self._credentials
