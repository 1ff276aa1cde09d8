"""A worker's way to SQS and S3, which can be cut, and on which answers are lost or sent twice: plain HTTP, a request at a time."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from functools import partial
from urllib.parse import urlsplit

from tests.servers.ports import free_ports

_HEADER = b"\r\n\r\n"


class RoughProxy:
    """In a thread of its own. `cut`: nothing passes. `twice`, `never`: so many batches of answers are to suffer that."""

    def __init__(self, sqs: str, s3: str, host: str = "127.0.0.1") -> None:
        self.cut = False
        self.twice = self.never = 0
        self.done: Counter[str] = Counter()
        self.ports = free_ports(2)
        self._loop = asyncio.new_event_loop()
        self._serving: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        ready = threading.Event()
        ends = [(urlsplit(each).hostname, urlsplit(each).port) for each in (sqs, s3)]

        async def begin() -> None:
            for index, (name, port) in enumerate(ends):
                serve = partial(self._serve, host=name or "", port=port or 0, queues=index == 0)
                self._servers.append(await asyncio.start_server(serve, host, self.ports[index]))
            ready.set()

        def run() -> None:
            self._loop.run_until_complete(begin())
            self._loop.run_forever()
            self._loop.run_until_complete(self._end())
            self._loop.close()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        ready.wait(10)

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, host: str, port: int, queues: bool
    ) -> None:
        there: asyncio.StreamWriter | None = None
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)  # the loop itself keeps no task alive
        try:
            back, there = await asyncio.open_connection(host, port)
            while True:
                request = await _message(reader)
                await self._while_cut()
                answer = await self._passed(request, back, there, queues=queues)
                await self._while_cut()
                writer.write(answer)
                await writer.drain()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass
        finally:
            self._serving.discard(task)
            for each in (writer, there):
                if each is not None:
                    each.close()

    async def _while_cut(self) -> None:
        while self.cut:
            await asyncio.sleep(0.05)

    async def _passed(
        self, request: bytes, back: asyncio.StreamReader, there: asyncio.StreamWriter, *, queues: bool
    ) -> bytes:
        answers = queues and b"-replies-" in request and b"SendMessageBatch" in request
        if answers and self.never > 0:
            self.never -= 1
            self.done["never"] += 1
            entries = json.loads(request.partition(_HEADER)[2])["Entries"]
            sent = [{"Id": each["Id"], "MessageId": "0", "MD5OfMessageBody": "0"} for each in entries]
            body = json.dumps({"Successful": sent, "Failed": []}).encode()
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        times = 1
        if answers and self.twice > 0:
            self.twice -= 1
            self.done["twice"] += 1
            times = 2
        answer = b""
        for _ in range(times):
            there.write(request)
            await there.drain()
            answer = await _message(back, head=request.startswith(b"HEAD "))
        return answer


async def _message(reader: asyncio.StreamReader, *, head: bool = False) -> bytes:
    """A request or an answer, whole."""
    start = await reader.readuntil(_HEADER)
    low = start.lower()
    if head or low.startswith((b"http/1.1 204", b"http/1.1 304")):
        return start
    at = low.find(b"\r\ncontent-length:")
    if at >= 0:
        size = int(low[at + 17 : low.index(b"\r\n", at + 2)])
        return start + await reader.readexactly(size)
    if b"\r\ntransfer-encoding: chunked" not in low:
        return start
    body = b""
    while True:
        line = await reader.readline()
        data = await reader.readexactly(int(line.split(b";")[0], 16) + 2)
        body += line + data
        if line.strip() == b"0":
            return start + body
