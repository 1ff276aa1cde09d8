"""Queues of SQS by its JSON protocol: as few requests as can be, ten messages in each.

What may pass is `Passing`; what is wrong with the set-up is SetupError or AccessError (`gg.aws.failures`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gg.aws.failures import RequestContext, from_no_answer, from_reply
from gg.aws.http import Client
from gg.aws.trouble import NoAnswer
from gg.core.jsontext import json_from
from gg.errors import FormatError, GGError, SetupError

MOST_MESSAGE = 256 << 10  # bytes of one message, and of all in a batch
MOST_WAIT_S = 20
_BATCH = 10
_AT_ONCE = 8  # batches
_MARGIN_S = 15.0
_MOST_ANSWER = 8 << 20
_NO_QUEUE = ("QueueDoesNotExist", "NonExistentQueue")
_DAMAGED = (KeyError, ValueError, TypeError, AttributeError, OverflowError)  # what comes of an answer of another shape


class Message(NamedTuple):
    """`handle`: what it is deleted or kept by. `received`: how often it was received, this time included."""

    handle: str
    body: str
    received: int


class Queues:
    """SQS in one region. For one event loop."""

    def __init__(self, client: Client, asked: RequestContext) -> None:
        self._client = client
        self._asked = asked

    async def close(self) -> None:
        await self._client.close()

    async def url(self, name: str) -> str:
        """Of the queue of that name; what is a URL already is given back. SetupError when there is none."""
        if "://" in name:
            return name
        return str((await self._call("GetQueueUrl", QueueName=name))["QueueUrl"])

    async def create(self, name: str, attributes: Mapping[str, str]) -> str:
        """Have a queue; its URL."""
        return str((await self._call("CreateQueue", QueueName=name, Attributes=dict(attributes)))["QueueUrl"])

    async def remove(self, url: str) -> None:
        await self._call("DeleteQueue", QueueUrl=url)

    async def send(self, url: str, bodies: Sequence[str]) -> list[str]:
        """Send messages; why each was refused, empty for those that were not. What befalls all of them is raised."""
        refused = [""] * len(bodies)
        batches = list(_batches(bodies))
        found: list[dict[int, str] | BaseException] = []
        for at in range(0, len(batches), _AT_ONCE):
            work = [self._send_some(url, bodies, each) for each in batches[at : at + _AT_ONCE]]
            found += await asyncio.gather(*work, return_exceptions=True)
        for some, why in zip(batches, found, strict=True):
            if isinstance(why, BaseException):
                if not isinstance(why, GGError) or all(isinstance(each, BaseException) for each in found):
                    raise why
                why = dict.fromkeys(some, why.what)
            for n, what in why.items():
                refused[n] = what
        return refused

    async def _send_some(self, url: str, bodies: Sequence[str], some: Sequence[int]) -> dict[int, str]:
        entries = [{"Id": str(n), "MessageBody": bodies[n]} for n in some]
        answer = await self._call("SendMessageBatch", QueueUrl=url, Entries=entries)
        try:
            failed = {
                int(e["Id"]): str(e.get("Message") or e.get("Code") or "refused") for e in answer.get("Failed", ())
            }
        except _DAMAGED as error:
            raise FormatError("what SQS has answered is damaged") from error
        return {n: why for n, why in failed.items() if n in some}

    async def receive(self, url: str, most: int, wait_s: int, visible_after_s: int) -> list[Message]:
        """Up to ten messages, as soon as there is one, or none after `wait_s`."""
        answer = await self._call(
            "ReceiveMessage",
            idle_s=wait_s + _MARGIN_S,
            QueueUrl=url,
            MaxNumberOfMessages=min(most, _BATCH),
            WaitTimeSeconds=wait_s,
            VisibilityTimeout=visible_after_s,
            AttributeNames=["ApproximateReceiveCount"],
        )
        try:
            return [_message(each) for each in answer.get("Messages") or ()]
        except _DAMAGED as error:
            raise FormatError("what SQS has answered is damaged") from error

    async def waiting(self, url: str) -> int:
        """About how many messages nobody has taken."""
        name = "ApproximateNumberOfMessages"
        answer = await self._call("GetQueueAttributes", QueueUrl=url, AttributeNames=[name])
        try:
            return int(answer["Attributes"][name])
        except _DAMAGED as error:
            raise FormatError("what SQS has answered is damaged") from error

    async def delete(self, url: str, handles: Sequence[str]) -> None:
        """These are dealt with."""
        for at in range(0, len(handles), _BATCH):
            entries = [{"Id": str(n), "ReceiptHandle": h} for n, h in enumerate(handles[at : at + _BATCH])]
            await self._call("DeleteMessageBatch", QueueUrl=url, Entries=entries)

    async def keep(self, url: str, handles: Sequence[str], seconds: int) -> None:
        """Nobody else is to see these for so long from now on; 0: give them back."""
        for at in range(0, len(handles), _BATCH):
            entries = [
                {"Id": str(n), "ReceiptHandle": h, "VisibilityTimeout": seconds}
                for n, h in enumerate(handles[at : at + _BATCH])
            ]
            await self._call("ChangeMessageVisibilityBatch", QueueUrl=url, Entries=entries)

    async def _call(self, operation: str, idle_s: float = 30.0, **arguments: Any) -> dict[str, Any]:
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"AmazonSQS.{operation}"}
        body = json.dumps(arguments, separators=(",", ":")).encode()
        try:
            reply = await self._client.request(
                "POST", "/", headers=headers, body=body, idle_s=idle_s, most=_MOST_ANSWER, repeat=True
            )
        except NoAnswer as error:
            raise from_no_answer(error) from error
        if reply.status != 200:
            if any(name.encode() in reply.body[:4096] for name in _NO_QUEUE):
                name = arguments.get("QueueName") or arguments.get("QueueUrl")
                raise SetupError(
                    f"there is no queue {name} in {self._asked.region}", hint="make one; see docs/workers.md"
                )
            raise from_reply(reply, self._asked)
        try:
            found = json_from(reply.body, "answer of SQS") if reply.body else {}
        except FormatError:
            found = None
        if not isinstance(found, dict):
            raise FormatError("what SQS has answered is damaged")
        return found


def _message(raw: Mapping[str, Any]) -> Message:
    received = (raw.get("Attributes") or {}).get("ApproximateReceiveCount", 1)
    return Message(str(raw["ReceiptHandle"]), str(raw["Body"]), int(received))


def _batches(bodies: Sequence[str]) -> Iterator[list[int]]:
    """Which of them go together: ten at most, and not too long all together."""
    some: list[int] = []
    room = MOST_MESSAGE
    for n, body in enumerate(bodies):
        size = len(body.encode())
        if some and (len(some) == _BATCH or size > room):
            yield some
            some, room = [], MOST_MESSAGE
        some.append(n)
        room -= size
    if some:
        yield some


def fits(bodies: Iterable[str]) -> bool:
    """Whether each of them can be a message."""
    return all(len(body.encode()) <= MOST_MESSAGE for body in bodies)
