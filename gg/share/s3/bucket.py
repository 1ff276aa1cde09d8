"""A bucket of S3: the operations of `gg.share.bucket_service`, retried and paced, with clear errors."""

from __future__ import annotations

import asyncio
import base64
import html
import re
import time
from collections.abc import Callable, Mapping, Sequence

from gg.aws import dates
from gg.aws import failures as errors
from gg.aws.connection import MOST_BODY
from gg.aws.http import Client, Endpoint, KeySource, Response
from gg.aws.setup import AwsSession
from gg.aws.sign import Scope, query_string, quote_path
from gg.aws.trouble import Cause, NoAnswer
from gg.errors import GGError, SetupError, StoreError, Unreachable
from gg.host.machine import file_places
from gg.share.bucket_service import PART, ListedObject
from gg.share.s3.limit import Adaptive, pause
from gg.share.s3.uri import StoreUri
from gg.store.base import TransientStoreError

_MOST_LISTING = 8 << 20  # bytes; a page has a thousand names of at most 1,024 bytes
_MOST_LISTED = 1_000_000
_CONNECTIONS = 64
_LONGEST = 4096  # characters of a name in a listing, escaped as it may be
_TRIES = 8
_FIRST_TRIES = 3  # of a connection, before any was ever made
_RIGHTS = {"GET": "s3:GetObject", "PUT": "s3:PutObject", "POST": "s3:PutObject", "DELETE": "s3:DeleteObject"}
_VERBS = {"GET": "read", "HEAD": "read", "PUT": "write", "POST": "write", "DELETE": "delete in"}


class S3Bucket:
    """The objects of one store. All methods run in one event loop. `sleep` takes seconds."""

    def __init__(
        self,
        where: StoreUri,
        endpoint: Endpoint,
        region: str,
        keys: KeySource,
        *,
        path_style: bool = True,
        amazon: bool = False,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.where = where
        self.region = region
        self._base = "" if not path_style else f"/{where.bucket}"
        if not path_style:
            endpoint = endpoint._replace(host=f"{where.bucket}.{endpoint.host}")
        self._keys = keys
        self._amazon = amazon
        connections = file_places(_CONNECTIONS)
        self._client = Client(endpoint, Scope(region, "s3"), keys, limit=connections)
        self.limit = Adaptive(time.monotonic)
        self._reached = False
        self._has_read = False
        self.retried = 0
        self.calls: dict[str, int] = {}
        self.received = 0
        self.server_time: float | None = None
        """What the server's clock said, in seconds since the epoch, when it last listed; None if it did not tell."""

    @classmethod
    def open(cls, where: StoreUri, session: AwsSession) -> S3Bucket:
        """The bucket as this user reaches it. Takes its time: botocore is loaded."""
        endpoint = session.endpoint_of(where.endpoint) if where.endpoint else session.endpoint("s3")
        style = session.s3_addressing()
        amazon = re.search(r"\.amazonaws\.com(\.cn)?$", endpoint.host) is not None
        path_style = style == "path" or (style != "virtual" and (not amazon or "." in where.bucket))
        return cls(where, endpoint, session.region(), session, path_style=path_style, amazon=amazon)

    async def close(self) -> None:
        await self._client.close()

    # Objects

    async def get(self, name: str, span: tuple[int, int] | None = None, *, most: int = MOST_BODY) -> bytes | None:
        """The object, or its bytes from `span[0]` up to `span[1]`; None if it is not there, has more than `most` bytes, or
        cannot be read though others can.
        """
        headers = {} if span is None else {"Range": f"bytes={span[0]}-{span[1] - 1}"}
        reply = await self._read(name, headers, most)
        if reply is None or reply.status == 416:
            return None
        if span is None:
            return reply.body
        body = reply.body if reply.status == 206 else reply.body[span[0] : span[1]]
        return body if len(body) == span[1] - span[0] else None

    async def whole(self, name: str, *, most: int) -> bytes | None:
        """An object of unknown size, read in parts, as large as the server says that it is. None if it is not there, or has more
        than `most` bytes.
        """
        reply = await self._read(name, {"Range": f"bytes=0-{PART - 1}"}, MOST_BODY)
        if reply is None:
            return None
        if reply.status == 416:  # there is no first byte
            return b""
        size = _whole_size(reply)
        if size > most:
            return None
        if size <= len(reply.body):
            return reply.body
        spans = [(at, min(at + PART, size)) for at in range(len(reply.body), size, PART)]
        parts = await asyncio.gather(*[self.get(name, span) for span in spans])
        return None if None in parts else b"".join([reply.body, *[part for part in parts if part is not None]])

    async def put(self, name: str, body: bytes | Sequence[bytes], *, unique: bool = True) -> float | None:
        """Write an object whole. The answer is when its life ends, in seconds since the epoch, if the bucket tells.

        `unique`: the name is a digest of the bytes. An object that is there already, and has these bytes as far as the server
        tells, is left as it is.
        """
        headers = {"If-None-Match": "*"} if unique else {}
        reply = await self._ask("PUT", name, headers=headers, body=body, calm=(412,))
        if reply.status == 412 and not await self._has_bytes(name, body):
            reply = await self._ask("PUT", name, body=body)
        return _expiry(reply.headers)

    async def _has_bytes(self, name: str, body: bytes | Sequence[bytes]) -> bool:
        """Whether the object that is there has the size of these bytes, and their tag where the tag is a digest. An object
        whose tag is another kind of digest (a customer's key encrypted it) counts as different, and is sent once more.
        """
        from hashlib import md5

        parts = [body] if isinstance(body, bytes) else body
        reply = await self._ask("HEAD", name, calm=(404,))
        if reply.status == 404 or reply.headers.get("content-length") != str(sum(map(len, parts))):
            return False
        tag = reply.headers.get("etag", "").strip('"')
        digest = md5(usedforsecurity=False)
        for part in parts:
            digest.update(part)
        return "-" in tag or tag == digest.hexdigest()

    async def _read(self, name: str, headers: Mapping[str, str], most: int) -> Response | None:
        """The response, which may say that there is no such range; None if this object is not there or cannot be read."""
        try:
            reply = await self._ask("GET", name, headers=headers, calm=(404, 416), most=most, lone=True)
        except _Unsound:
            return None
        if reply.status < 300:
            self._has_read = True
        return reply if reply.status in (200, 206, 416) else None

    async def put_large(self, name: str, read: Callable[[int, int], bytes], size: int) -> float | None:
        """Write an object in parts. `read(offset, length)` gives its bytes."""
        begun = await self._ask("POST", name, query="uploads=")
        upload = _tag(begun.body, "UploadId")
        try:
            parts = await asyncio.gather(
                *[
                    self._part(name, upload, n + 1, read, at, min(PART, size - at))
                    for n, at in enumerate(range(0, size, PART))
                ]
            )
            listed = "".join(
                [
                    f"<Part><PartNumber>{n}</PartNumber><ETag>{html.escape(tag)}</ETag></Part>"
                    for n, tag in enumerate(parts, 1)
                ]
            )
            text = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>"
            reply = await self._ask("POST", name, query=query_string([("uploadId", upload)]), body=text.encode())
            return _expiry(reply.headers)
        except BaseException:
            await asyncio.shield(self._abort(name, upload))
            raise

    async def touch(self, name: str) -> bool:
        """Begin the object's life anew, by a copy onto itself in the bucket. False if it is not there."""
        source = quote_path(f"/{self.where.bucket}/{self.where.name(name)}")
        headers = {"x-amz-copy-source": source, "x-amz-metadata-directive": "REPLACE"}
        reply = await self._ask("PUT", name, headers=headers, calm=(404,))
        return reply.status != 404

    async def list(self, prefix: str, after: str = "") -> list[ListedObject]:
        """The objects whose names begin with `prefix` and come after `after`, in order. Names are below the store's prefix."""
        found: list[ListedObject] = []
        token = ""
        skip = len(self.where.name(""))
        while True:
            pairs = [("list-type", "2"), ("prefix", self.where.name(prefix))]
            pairs += [("start-after", self.where.name(after))] if after else []
            pairs += [("continuation-token", token)] if token else []
            reply = await self._ask(
                "GET", None, query=query_string(pairs), ends=b"</ListBucketResult>", most=_MOST_LISTING
            )
            self.server_time = dates.seconds(reply.headers.get("date", ""))
            last = found[-1].name if found else after
            page = [
                ListedObject(name[skip:], size)
                for name, size in _contents(reply.body)
                if name[skip:].startswith(prefix)
            ]
            found += [one for one in page if one.name > last]
            token = _tag(reply.body, "NextContinuationToken")
            if not token:
                return found
            endless = not page or page[-1].name <= last or len(found) > _MOST_LISTED
            if endless or len(token) > _LONGEST:
                trouble = errors.not_s3(self._asked("GET"))
                raise TransientStoreError(trouble.what, hint=trouble.hint)
            token = html.unescape(token)

    async def delete(self, names: Sequence[str]) -> None:
        """Take objects away; those that are not there are no error."""
        from hashlib import md5

        for start in range(0, len(names), 1000):
            keys = [html.escape(self.where.name(name)) for name in names[start : start + 1000]]
            listed = "".join([f"<Object><Key>{key}</Key></Object>" for key in keys])
            body = f"<Delete><Quiet>true</Quiet>{listed}</Delete>".encode()
            digest = base64.b64encode(md5(body, usedforsecurity=False).digest()).decode()
            reply = await self._ask(
                "POST", None, query="delete=", headers={"Content-MD5": digest}, body=body, verb="DELETE"
            )
            if b"<Error>" in reply.body:
                raise errors.from_reply(reply._replace(status=403), self._asked("DELETE"))

    async def _part(
        self, name: str, upload: str, number: int, read: Callable[[int, int], bytes], at: int, size: int
    ) -> str:
        query = query_string([("partNumber", str(number)), ("uploadId", upload)])
        reply = await self._ask("PUT", name, query=query, body=lambda: read(at, size))
        return reply.headers.get("etag", "")

    async def _abort(self, name: str, upload: str) -> None:
        try:
            await self._ask("DELETE", name, query=query_string([("uploadId", upload)]), calm=(404,))
        except (StoreError, SetupError):
            pass  # the bucket's lifecycle removes uploads that were not completed

    # Requests

    async def _ask(
        self,
        method: str,
        name: str | None,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes | Sequence[bytes] | Callable[[], bytes] = b"",
        calm: Sequence[int] = (),
        verb: str = "",
        ends: bytes = b"",
        most: int = MOST_BODY,
        lone: bool = False,
    ) -> Response:
        """Make one request, repeated for as long as the trouble may pass. A status in `calm` is no error. The text of a success
        ends with `ends`, or it was cut short. `lone`: a refusal that concerns this object alone raises `_Unsound`."""
        failures, path = 0, self._base + ("" if name is None else "/" + quote_path(self.where.name(name)))
        while True:
            try:
                async with self.limit:
                    sent = body() if callable(body) else body
                    reply = await self._once(method, path or "/", query, headers, sent, most)
            except NoAnswer as error:
                if lone and error.cause is Cause.TOO_LONG:
                    raise _Unsound from error
                found, unmet = errors.from_no_answer(error), error.cause in (Cause.NAME, Cause.CONNECT)
                last = _FIRST_TRIES if unmet and not self._reached else _TRIES
            else:
                self._reached = True
                refused = reply.status >= 300 or (method == "POST" and b"<Error>" in reply.body and not verb)
                whole = refused or reply.body.rstrip().endswith(ends)
                if whole and (not refused or (reply.status in calm and errors.code_of(reply) != "NoSuchBucket")):
                    self.limit.went_well()
                    return reply
                if lone and whole and self._is_its_own(reply):
                    raise _Unsound
                found, last = self._refusal(reply, whole, verb or method), _TRIES
            failures += 1
            self._count_retry(found, failures, last)
            await asyncio.sleep(pause(failures))

    def _refusal(self, reply: Response, whole: bool, method: str) -> GGError:
        """The error that a failed response means. A response that is not `whole` did not come from S3."""
        asked = self._asked(method)
        found = errors.from_reply(reply, asked) if whole else errors.not_s3(asked)
        if reply.status == 403 and (owner := self.owner()) and isinstance(found, SetupError):
            found.hint += f"; the bucket must belong to account {owner}, for another one say &owner=ACCOUNT"
        return found

    def _is_its_own(self, reply: Response) -> bool:
        """Whether a refusal concerns this object alone: it is archived, encrypted with somebody's key, or closed to us while
        others are not. Anybody who writes to the bucket can put such objects there.
        """
        code = errors.code_of(reply)
        own = code in ("InvalidObjectState", "InvalidRequest") or code.startswith("KMS.")
        return own or (code == "AccessDenied" and self._has_read)

    async def _once(
        self,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str] | None,
        body: bytes | Sequence[bytes],
        most: int,
    ) -> Response:
        kind = _kind(method, query)
        self.calls[kind] = self.calls.get(kind, 0) + 1
        if self._amazon and not self._keys.current():
            await asyncio.get_running_loop().run_in_executor(None, self._keys.renew)
        owner = self.owner()
        if owner:
            headers = {**(headers or {}), "x-amz-expected-bucket-owner": owner}
        reply = await self._client.request(
            method, path, query=query, headers=headers, body=body, most=most, repeat=True
        )
        self.received += len(reply.body)
        return reply

    def owner(self) -> str:
        """The account that the bucket must belong to: the one that the URI names, else, at Amazon, the account of our key."""
        key = self._keys.current() if self._amazon and not self.where.owner else None
        return self.where.owner or (key.account if key else "")

    def _count_retry(self, found: GGError, failures: int, last: int) -> None:
        """Count a failed try, and raise its error unless another try is worth while."""
        if not isinstance(found, errors.Passing):
            raise found
        if found.throttled:
            self.limit.slow_down()
        if failures >= last:
            if not self._reached:
                raise Unreachable(found.what, hint=found.hint)
            raise TransientStoreError(f"{found.what} (tried {failures} times)", hint=found.hint or "try again later")
        self.retried += 1

    def _asked(self, method: str) -> errors.RequestContext:
        key = self._keys.current()
        return errors.RequestContext(
            f"{_VERBS.get(method, 'use')} {self.where}",
            f"{_RIGHTS.get(method, 's3:*')} on arn:aws:s3:::{self.where.bucket}/{self.where.name('*')}",
            self._client.endpoint.name,
            self.region,
            key.access_key if key else "",
        )


class _Unsound(Exception):
    """An object that cannot be read, though the bucket is well."""


def _whole_size(reply: Response) -> int:
    """The size of the whole object, from a response with its first bytes."""
    total = reply.headers.get("content-range", "").rpartition("/")[2]
    return int(total) if reply.status == 206 and total.isascii() and total.isdigit() else len(reply.body)


def _kind(method: str, query: str) -> str:
    """The kind of a request by which S3 prices it: its method, but listing costs what putting costs, and deleting nothing."""
    if method == "GET" and "list-type=" in query:
        return "LIST"
    return "DELETE" if query == "delete=" else method


def _tag(text: bytes, name: str) -> str:
    found = re.search(rf"<{name}>([^<]*)</{name}>".encode(), text)
    return found[1].decode(errors="replace") if found else ""


def _contents(listing: bytes) -> list[tuple[str, int]]:
    """The names and sizes of the objects in a listing. An entry without a valid name or size is left out."""
    found: list[tuple[str, int]] = []
    for part in listing.split(b"<Contents>")[1:]:
        entry = part.partition(b"</Contents>")[0]
        size = re.search(rb"<Size>(\d{1,15})</Size>", entry)
        name = _tag(entry, "Key")
        if size and len(name) <= _LONGEST:
            found.append((html.unescape(name), int(size[1])))
    return found


def _expiry(headers: Mapping[str, str]) -> float | None:
    found = re.search(r'expiry-date="([^"]*)"', headers.get("x-amz-expiration", ""))
    return dates.seconds(found[1]) if found else None
