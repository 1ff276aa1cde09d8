"""Calls boto's clients, turns their errors into gg's, and records what was found and done.

A dry run looks at what is there and changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from gg.aws import failures as errors
from gg.aws.connection import Response

if TYPE_CHECKING:
    from gg.aws.setup import AwsSession

ABSENT = frozenset(
    {
        "404", "NoSuchBucket", "NoSuchEntity", "NoSuchTagSet", "NoSuchLifecycleConfiguration", "NoSuchBucketPolicy",
        "NoSuchPublicAccessBlockConfiguration", "ResourceNotFoundException", "ServerSideEncryptionConfigurationNotFoundError",
    }
)  # fmt: skip
NOT_OFFERED = frozenset({"NotImplemented", "MethodNotAllowed"})


class ResourceAction(NamedTuple):
    """One thing of a deployment. `verb`: make, change, keep, remove; or lack, if the server does not offer it."""

    verb: str
    what: str
    detail: str = ""


class Refusal(Exception):
    """An error answer whose code the caller asked to see."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class AwsService:
    """One service in one region. `owner`: the account that each bucket must belong to."""

    def __init__(self, session: AwsSession, service: str, *, dry: bool, owner: str = "") -> None:
        self._owner = owner
        self.service = service
        self.dry = dry
        self._session = session
        self._client = session.client(service)

    @property
    def secure(self) -> bool:
        """Whether the service is reached over TLS."""
        return urlsplit(str(self._client.meta.endpoint_url)).scheme == "https"

    def ask(self, operation: str, *, seen: frozenset[str] = frozenset(), **arguments: Any) -> dict[str, Any]:
        """Call and return the answer. Refusal for an error whose code is in `seen`, GGError for any other."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**self._owned(operation, arguments))
        except ClientError as error:
            told = error.response.get("Error", {})
            if told.get("Code") in seen:
                raise Refusal(told["Code"], told.get("Message", "")) from error
            raise errors.from_reply(self._reply(error.response), self._asked(operation)) from error
        except BotoCoreError as error:
            raise errors.from_botocore(error) from error
        return answer

    def _owned(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if self._owner and "Bucket" in arguments and operation != "create_bucket":
            return {**arguments, "ExpectedBucketOwner": self._owner}
        return arguments

    def find(self, operation: str, **arguments: Any) -> dict[str, Any] | None:
        """The answer; None when what is asked for is not there."""
        try:
            return self.ask(operation, seen=ABSENT, **arguments)
        except Refusal:
            return None

    def change(self, operation: str, *, seen: frozenset[str] = frozenset(), **arguments: Any) -> dict[str, Any]:
        """Call, unless this is a dry run."""
        return {} if self.dry else self.ask(operation, seen=seen, **arguments)

    def pages(self, operation: str, key: str, **arguments: Any) -> list[Any]:
        """All items of an operation that answers in pages."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return [
                item
                for page in self._client.get_paginator(operation).paginate(**self._owned(operation, arguments))
                for item in page.get(key, ())
            ]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ABSENT:
                return []
            raise errors.from_reply(self._reply(error.response), self._asked(operation)) from error
        except BotoCoreError as error:
            raise errors.from_botocore(error) from error

    def _reply(self, response: Any) -> Response:
        told, meta = response.get("Error", {}), response.get("ResponseMetadata", {})
        body = json.dumps({"code": told.get("Code", ""), "message": told.get("Message", "")}).encode()
        return Response(int(meta.get("HTTPStatusCode", 0)), dict(meta.get("HTTPHeaders", {})), body)

    def _asked(self, operation: str) -> errors.RequestContext:
        keys = self._session.renew()
        action = "".join(word.capitalize() for word in operation.split("_"))
        host = urlsplit(str(self._client.meta.endpoint_url)).netloc
        right = f"{self.service}:{_RIGHTS.get(operation, action)}"
        return errors.RequestContext(f"call {action}", right, host, self._session.region(), keys.access_key)


_RIGHTS = {
    "get_bucket_lifecycle_configuration": "GetLifecycleConfiguration",
    "put_bucket_lifecycle_configuration": "PutLifecycleConfiguration",
    "get_bucket_encryption": "GetEncryptionConfiguration",
    "put_bucket_encryption": "PutEncryptionConfiguration",
    "get_public_access_block": "GetBucketPublicAccessBlock",
    "put_public_access_block": "PutBucketPublicAccessBlock",
}


def settle(
    calls: AwsService,
    what: str,
    current: Callable[[], object],
    wanted: object,
    put: Callable[[], object],
    detail: str = "",
) -> ResourceAction:
    """Make one setting as it is wanted: compare it, and put it if it differs."""
    try:
        if current() == wanted:
            return ResourceAction("keep", what, detail)
        put()
    except Refusal as refusal:
        return ResourceAction("lack", what, f"the S3 server at this endpoint does not offer it ({refusal.code})")
    return ResourceAction("change", what, detail)
