"""Makes the letters by which a worker answers builds, and keeps what they bring for other workers. For any thread."""

from __future__ import annotations

from contextlib import suppress

from gg.errors import FormatError
from gg.schedule.events import Fault
from gg.wire.build_key import here_id
from gg.wire.letters import AnswerLetter, encode_answer, fits
from gg.wire.peers import MOST_HELD, Holding
from gg.wire.reply import Refused, Reply, WorkerInfo, asked, decode_reply, encode_reply, outputs_of
from gg.wire.request import BucketLocation, decode_request
from gg.worker.s3_relay import S3Relay, SharedObjects


class AnswerLetters:
    """Of the worker `name`, of gg's `version`."""

    def __init__(self, bucket: SharedObjects, name: str, version: str) -> None:
        self._bucket = bucket
        self._name = name
        self._version = version

    def replied(self, id: str, request: bytes, place: BucketLocation, relay: S3Relay, reply: bytes) -> str:
        """A job's reply, which goes by the store if a message has no room for it."""
        answer = AnswerLetter(id, self._name, "reply", reply, self._kept(request, relay, reply))
        letter = encode_answer(answer)
        if fits(letter):
            return letter
        try:
            return encode_answer(answer._replace(data=self._bucket.store_body(place, reply)))
        except OSError as error:
            return self.refused(id, request, Fault.INFRA, f"its answer cannot be stored: {error}")

    def refused(self, id: str, request: bytes, fault: Fault, why: str) -> str:
        """A job that has no reply."""
        results = tuple([Refused(fault, why)] * len(decode_request(request).tasks))
        reply = encode_reply(Reply(WorkerInfo(self._version, self._name), results), request)
        return encode_answer(AnswerLetter(id, self._name, "reply", reply))

    def started(self, id: str) -> str:
        """A job that has been running for a while."""
        return encode_answer(AnswerLetter(id, self._name, "started"))

    def back(self, id: str) -> str:
        """A job that is given back."""
        return encode_answer(AnswerLetter(id, self._name, "back"))

    def here(self, key: bytes, slots: int) -> str:
        """For the build with this key, which has called."""
        return encode_answer(AnswerLetter(here_id(key), self._name, "here", slots=slots))

    def _kept(self, request: bytes, relay: S3Relay, reply: bytes) -> tuple[Holding, ...]:
        """Keep a reply's outputs for other workers. Returns which are kept."""
        if self._bucket.server is None:
            return ()
        digests = list(relay.put)
        with suppress(FormatError):
            digests += self._bucket.keep(outputs_of(decode_reply(reply, asked(request))).values())
        return (Holding(self._bucket.server.peer, tuple(digests[:MOST_HELD])),) if digests else ()
