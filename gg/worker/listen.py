"""A worker that coordinators connect to: TLS with a certificate that they know, a token, and frames (`gg.wire.frames`).

The worker does nothing for a connection that has not shown the right token. When a coordinator's connection ends, its requests
end. If a request needs objects that are not here, the worker asks the coordinator of that request for them, once for all slots
(`gg.worker.lent_objects`). Outputs that are too big for a reply go back to the coordinator.
"""

from __future__ import annotations

import asyncio
import gc
import hmac
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any, TypeVar

from gg.errors import FormatError
from gg.wire import frames
from gg.wire.compressed import pack_part, unpack_part
from gg.wire.frames import Frame, FrameKind, OtherVersion, RefusalReason, Welcome
from gg.wire.request import decode_request
from gg.worker.lent_objects import LentObjects
from gg.worker.slots import SlotRequest, Slots

T = TypeVar("T")

_HELLO_S = 10.0
_STRANGERS = 64  # connections that have not shown a token yet; before TLS, which takes 300 kB for each
_STRANGERS_OF_ONE = 32  # of one address, so that one machine alone does not keep others out
_SWEEP = 16  # strangers between two collections: Python 3.11.2 leaves 300 kB of a broken handshake in circles
_ANSWER_S = 120.0  # how long a coordinator may take to send an object on
_PARTS = 64  # parts of objects that have come and are not on disk yet
_WHY = {
    RefusalReason.WRONG_KEY: "the key is wrong",
    RefusalReason.LEAVING: "the worker is leaving",
    RefusalReason.OTHER_VERSION: "it is of gg {}, and you are of another one",
}
_TAKEN = frozenset({FrameKind.RUN, FrameKind.CANCEL, FrameKind.OBJECT, FrameKind.BYE, FrameKind.BEAT})
_MOST_WAITING = 100_000  # requests of one coordinator


class Listener:
    """Serves coordinators in one event loop. `say(text)` reports who comes and goes."""

    def __init__(
        self, slots: Slots, lent: LentObjects, token: bytes, welcome: Welcome, say: Callable[[str], None]
    ) -> None:
        self._slots = slots
        self._lent = lent
        self._token = token
        self._welcome = welcome
        self._say = say
        self._context: ssl.SSLContext | None = None
        self._strangers: Counter[str] = Counter()  # by address
        self._came = 0  # strangers, so far
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._leaving = False

    async def start(self, host: str, port: int, context: ssl.SSLContext) -> int:
        """Start to listen, and return the port. OSError."""
        self._context = context
        self._server = await asyncio.start_server(self._connected, host or None, port, limit=1 << 20)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def leave(self, seconds: float) -> None:
        """Take no more requests, let the running ones end for `seconds`, give back the rest, and close."""
        self._leaving = True
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.send_soon(FrameKind.LEAVING, 0)
        await asyncio.get_running_loop().run_in_executor(None, self._slots.leave, seconds)
        for connection in list(self._connections):
            await connection.flush()
            connection.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            name = await self._admitted(reader, writer)
            if name is not None:
                await self._serve(reader, writer, name)
        except (OSError, EOFError, FormatError, TimeoutError):
            pass  # the client has gone, or speaks another protocol
        except asyncio.CancelledError:
            pass  # the loop ends
        finally:
            writer.close()

    async def _admitted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str | None:
        """Check the token of a new connection. Returns the coordinator's name, or None if it may not come in."""
        who = _peer(writer)
        if self._strangers.total() >= _STRANGERS or self._strangers[who] >= _STRANGERS_OF_ONE or not self._context:
            return None
        self._strangers[who] += 1
        try:
            async with asyncio.timeout(_HELLO_S):
                await writer.start_tls(self._context)
                head = await reader.readexactly(frames.HEAD.size)
                _, _, _, length = frames.decode_head(head, frozenset({FrameKind.HELLO}))
                greeting = await reader.readexactly(length)
                try:
                    hello = frames.decode_hello(greeting)
                    refused = self._refusal(hello.token)
                except OtherVersion:
                    refused = RefusalReason.OTHER_VERSION
                if refused:
                    why = _WHY[refused].format(self._welcome.version)
                    writer.write(frames.encode_frames(FrameKind.REFUSED, refused, why.encode())[0])
                    await writer.drain()
                    self._say(f"{_peer(writer)} was refused: {why}")
                    return None
                writer.write(frames.encode_frames(FrameKind.WELCOME, 0, frames.encode_welcome(self._welcome))[0])
                await writer.drain()
                return hello.name
        finally:
            self._strangers -= Counter((who,))  # and none is left of who has gone
            self._came += 1
            if self._came % _SWEEP == 0:
                gc.collect()

    def _refusal(self, token: bytes) -> RefusalReason | None:
        if not hmac.compare_digest(token, self._token):
            return RefusalReason.WRONG_KEY
        return RefusalReason.LEAVING if self._leaving else None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> None:
        connection = _Connection(self._slots, self._lent, reader, writer)
        self._connections.add(connection)
        if name:  # a client that only asks what there is gives no name
            self._say(f"{name} ({_peer(writer)}) has come")
        beating = asyncio.get_running_loop().create_task(connection.beat())
        try:
            await connection.serve()
        finally:
            beating.cancel()
            connection.end()
            await asyncio.get_running_loop().run_in_executor(None, self._slots.drop, connection)
            self._connections.discard(connection)
            if name:
                self._say(f"{name} has gone, after {connection.served} thunks")


def _peer(writer: asyncio.StreamWriter) -> str:
    peer = writer.get_extra_info("peername")
    return str(peer[0]) if peer else "somebody"


class _Connection:
    """One coordinator that was let in."""

    def __init__(
        self, slots: Slots, lent: LentObjects, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._slots = slots
        self.lent = lent
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._whole = frames.Whole({FrameKind.RUN: frames.MOST_REQUEST})
        self._questions: dict[int, asyncio.Queue[bytes | None]] = {}
        self._last_question = 0
        self._under_way = 0
        self._sending: set[asyncio.Task[None]] = set()
        self._over = False
        self.served = 0

    # In the loop

    async def serve(self) -> None:
        """Serve the coordinator's requests until it goes."""
        while True:
            frame = await self._read()
            match frame.kind:
                case FrameKind.RUN:
                    request = self._whole.take(frame)
                    if request is not None:
                        self._run(frame.number, request)
                case FrameKind.CANCEL:
                    await self._loop.run_in_executor(None, self._slots.cancel, self, frame.number)
                case FrameKind.OBJECT:
                    question = self._questions.get(frame.number)
                    if question is not None:
                        await question.put(frame.data)
                case FrameKind.BYE:
                    return
                case _:
                    pass

    async def _read(self) -> Frame:
        async with asyncio.timeout(frames.DEAD_S):
            head = await self._reader.readexactly(frames.HEAD.size)
            kind, last, number, length = frames.decode_head(head, _TAKEN)
            return Frame(kind, number, last, await self._reader.readexactly(length))

    def _run(self, number: int, request: bytes) -> None:
        if self._under_way >= _MOST_WAITING:
            raise FormatError("too many requests at once")
        self._under_way += 1
        try:
            memory = decode_request(request).limits.memory
        except FormatError:
            memory = 0  # whoever handles the request reports the error

        def started() -> None:
            self._loop.call_soon_threadsafe(self.send_soon, FrameKind.STARTED, number)

        def done(reply: bytes | None) -> None:
            if reply is not None:
                self.lent.keep_outputs(reply, request)
            self._loop.call_soon_threadsafe(self._done, number, reply)

        self._slots.submit(SlotRequest(self, number, request, memory, _Coordinator(self, number), started, done))

    def _done(self, number: int, reply: bytes | None) -> None:
        self._under_way -= 1
        self.served += reply is not None
        self.send_soon(FrameKind.BACK if reply is None else FrameKind.REPLY, number, reply or b"")

    def send_soon(self, kind: FrameKind, number: int, data: bytes = b"") -> None:
        """Send a message soon. Call it in the loop."""
        if not self._over:
            task = self._loop.create_task(self._send_quietly(kind, number, data))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send_quietly(self, kind: FrameKind, number: int, data: bytes) -> None:
        try:
            await self.send(kind, number, data)
        except OSError:
            pass  # the reader will notice

    async def send(self, kind: FrameKind, number: int, data: bytes = b"") -> None:
        for frame in frames.encode_frames(kind, number, data):
            if self._over:
                raise OSError("the coordinator has gone")
            self._writer.write(frame)
            await self._writer.drain()

    async def send_part(self, kind: FrameKind, number: int, data: bytes, *, last: bool) -> None:
        """One frame of a message."""
        if self._over:
            raise OSError("the coordinator has gone")
        self._writer.write(frames.one(kind, number, data, last=last))
        await self._writer.drain()

    async def flush(self) -> None:
        """Wait until everything is sent, if the coordinator still takes it."""
        if self._sending:
            await asyncio.wait(list(self._sending), timeout=_HELLO_S)

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(frames.BEAT_S)
            await self._send_quietly(FrameKind.BEAT, 0, b"")

    def close(self) -> None:
        self._writer.close()

    def end(self) -> None:
        """The coordinator has gone: answer everything that waits for it with an error."""
        self._over = True
        for question in self._questions.values():
            while question.full():
                question.get_nowait()
            question.put_nowait(None)

    # From the threads of slots

    def call(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Do `work` in the loop. OSError when it takes too long."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except TimeoutError as error:
            future.cancel()
            raise OSError("the coordinator does not answer") from error

    async def ask(self, need: bytes) -> int:
        """Send a question, and return its number."""
        self._last_question += 1
        number = self._last_question
        self._questions[number] = asyncio.Queue(_PARTS)
        if self._over:
            raise OSError("the coordinator has gone")
        await self.send(FrameKind.NEED, number, need)
        return number

    async def part(self, number: int) -> bytes:
        """The next part of the answer to a question."""
        found = await self._questions[number].get()
        if found is None:
            raise OSError("the coordinator has gone")
        return found

    async def forget(self, number: int) -> None:
        question = self._questions.pop(number, None)
        while question is not None and not question.empty():  # so that a sender that waits for room goes on
            question.get_nowait()


class _Coordinator:
    """A coordinator as the relay of one request: it has the request's inputs, and takes its big outputs."""

    def __init__(self, connection: _Connection, number: int) -> None:
        self._connection = connection
        self._number = number
        self._passing = connection.lent.passing_outputs()

    def lend(self, need: bytes) -> Iterator[bytes]:
        """Answer a slot's question with what this machine keeps, and ask the coordinator for the rest. OSError."""
        return self._connection.lent.lend(need, self._asked)

    def _asked(self, need: bytes) -> Iterator[bytes]:
        """Pass a question on to the coordinator, and pass the parts of its answer back. OSError."""
        call = self._connection.call
        left = len(frames.decode_need(need))
        number = call(self._connection.ask(need), _ANSWER_S)
        try:
            while left:
                part = unpack_part(call(self._connection.part(number), _ANSWER_S), frames.MOST_FRAME)
                left -= frames.decode_object(part)[2]
                yield part
        finally:
            call(self._connection.forget(number), _ANSWER_S)

    def put_part(self, output: bytes, *, last: bool) -> None:
        """Pass a part of an output on to the coordinator, and keep it. OSError."""
        with suppress(OSError):
            self._passing.take(output, last=last)
        packed = pack_part(output)
        self._connection.call(self._connection.send_part(FrameKind.OUTPUT, self._number, packed, last=last), _ANSWER_S)

    def end(self) -> None:
        self._passing.drop()
