"""One connection to a worker: sends and takes frames, sends objects that the worker asks for, stores big outputs."""

from __future__ import annotations

import asyncio
import hmac
import os
import ssl
from collections.abc import Callable, Coroutine
from contextlib import suppress

from gg.engines.remote.hosts import Host
from gg.engines.remote.lending import Lending
from gg.errors import FormatError, GGError, SetupError
from gg.host.trees import hash_file
from gg.store.base import Store
from gg.wire import frames
from gg.wire.compressed import pack_part, unpack_part
from gg.wire.frames import Frame, FrameKind, Hello, RefusalReason, Welcome
from gg.wire.partial_outputs import PartialOutputs
from gg.wire.pin import fingerprint_of

CONNECT_S = 5.0
_CLOSE_S = 5.0
_READERS = 4  # questions that are answered at once
_MOST_QUESTIONS = 32 << 20  # bytes of those that wait for that: of a thousand slots, with all that one may ask for
_AROUND = 4096  # bytes that a question takes besides its own
_SAME_VERSION = "install the same version of gg on both sides, and start the worker again"
_HINTS: dict[int, str] = {
    RefusalReason.WRONG_KEY: "paste the line again that gg worker --listen has printed there",
    RefusalReason.LEAVING: "start it again when it has gone",
}
_SMALL = 16 << 10  # bytes that are compressed sooner than handed to another thread
_TAKEN = frozenset(
    {
        FrameKind.STARTED,
        FrameKind.NEED,
        FrameKind.OUTPUT,
        FrameKind.REPLY,
        FrameKind.BACK,
        FrameKind.LEAVING,
        FrameKind.BEAT,
    }
)
_GREETED = frozenset({FrameKind.WELCOME, FrameKind.REFUSED})


class OutstandingAttempt:
    """An attempt that was sent. `reply` becomes the reply's bytes, or None if the worker gives the attempt back."""

    __slots__ = ("outputs", "reply", "started", "tell")

    def __init__(self, tell: Callable[[], None], outputs: PartialOutputs) -> None:
        self.reply: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self.started = False
        self.tell = tell
        self.outputs = outputs


class Link:
    """A connection that was let in. It calls `leaving()` when the worker says that it goes, and `lost(self)` at its end.
    `useful`: it has brought a reply.
    """

    def __init__(
        self,
        host: Host,
        welcome: Welcome,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        lending: Lending,
        store: Store,
        tmp: str,
        leaving: Callable[[], None],
        lost: Callable[[Link], None],
    ) -> None:
        self.host = host
        self.welcome = welcome
        self.asked: dict[int, OutstandingAttempt] = {}
        self.left = self.useful = False
        self._reader = reader
        self._writer = writer
        self._lending = lending
        self._store = store
        self._tmp = tmp
        self._leaving = leaving
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._whole = frames.Whole({FrameKind.REPLY: frames.MOST_REPLY, FrameKind.NEED: frames.PART})
        self._lenders = asyncio.Semaphore(_READERS)
        self._questions = 0  # bytes
        self._tasks: set[asyncio.Task[None]] = set()
        self._writing: OutstandingAttempt | None = None
        self._closed = False
        self._ended = asyncio.Event()
        self._begin(self._serve())
        self._begin(self._beat())

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def expect(self, number: int, tell: Callable[[], None]) -> OutstandingAttempt:
        """The attempt of this number, from now on until `forget`. `tell()` is called when it has started."""
        asked = self.asked[number] = OutstandingAttempt(tell, PartialOutputs(self._tmp, self._store_output))
        return asked

    def forget(self, number: int) -> None:
        """Take nothing more of this attempt."""
        asked = self.asked.pop(number)
        if asked is not self._writing:
            asked.outputs.drop()

    async def send(self, kind: FrameKind, number: int, data: bytes = b"") -> None:
        """Send a message. OSError if the worker is gone."""
        for frame in frames.encode_frames(kind, number, data):
            if self._ended.is_set():
                raise ConnectionResetError(f"{self.host} is gone")
            self._writer.write(frame)
            await self._writer.drain()

    def send_soon(self, kind: FrameKind, number: int) -> None:
        if not self._ended.is_set():
            self._begin(self._send_quietly(kind, number))

    async def _send_quietly(self, kind: FrameKind, number: int) -> None:
        with suppress(OSError):
            await self.send(kind, number)

    async def close(self) -> None:
        """End all that runs there, and close the connection. Waits until both are done, but not for ever."""
        self._closed = True
        await self._send_quietly(FrameKind.BYE, 0)
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self._ended.wait()
        await hang_up(self._writer)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Frames that come in

    async def _serve(self) -> None:
        try:
            while True:
                await self._take(await _read(self._reader, _TAKEN))
        except (OSError, EOFError, GGError):
            pass
        finally:
            self._ended.set()
            self._writer.close()
            if not self._closed:
                self._lost(self)

    async def _take(self, frame: Frame) -> None:
        asked = self.asked.get(frame.number)
        match frame.kind:
            case FrameKind.STARTED:
                if asked is not None and not asked.started:
                    asked.started = True
                    asked.tell()
            case FrameKind.REPLY:
                if asked is None:
                    self._whole.drop(frame)
                elif (data := self._whole.take(frame)) is not None and not asked.reply.done():
                    self.useful = True
                    asked.reply.set_result(data)
            case FrameKind.BACK:
                if asked is not None and not asked.reply.done():
                    asked.reply.set_result(None)
            case FrameKind.OUTPUT:
                if asked is not None:
                    await self._take_output(asked, frame)
            case FrameKind.NEED:
                question = self._whole.take(frame)
                if question is not None:
                    self._questioned(frame.number, question)
            case FrameKind.LEAVING:
                if not self.left:
                    self.left = True
                    self._leaving()
            case _:
                pass

    def _questioned(self, number: int, question: bytes) -> None:
        """Take a question. FormatError if too many wait: who asks for so much does not take what he is sent."""
        self._questions += len(question) + _AROUND
        if self._questions > _MOST_QUESTIONS:
            raise FormatError("too many questions at once")
        frames.decode_need(question)
        self._begin(self._lend(number, question))

    async def _lend(self, number: int, question: bytes) -> None:
        """Send the objects of a question, in its order."""
        try:
            await self._send_objects(number, question)
        finally:
            self._questions -= len(question) + _AROUND

    async def _send_objects(self, number: int, question: bytes) -> None:
        async with self._lenders:
            with suppress(OSError):
                for index, (kind, digest) in enumerate(frames.decode_need(question)):
                    data = await self._loop.run_in_executor(None, self._lending.read, kind, digest)
                    size = len(data) if data is not None else 0
                    for at in range(0, max(size, 1), frames.PART):
                        part = data[at : at + frames.PART] if data is not None else None
                        whole = frames.encode_object(index, part, at + frames.PART >= size)
                        packed = await self._packed(whole)
                        self._writer.write(_object(number, packed))
                        await self._writer.drain()

    async def _packed(self, part: bytes) -> bytes:
        if len(part) < _SMALL:
            return pack_part(part)
        return await self._loop.run_in_executor(None, pack_part, part)

    async def _beat(self) -> None:
        while not self._ended.is_set():
            await asyncio.sleep(frames.BEAT_S)
            await self._send_quietly(FrameKind.BEAT, 0)

    # Outputs; in a thread, one part after the other

    async def _take_output(self, asked: OutstandingAttempt, frame: Frame) -> None:
        self._writing = asked
        try:
            await self._loop.run_in_executor(None, _write, asked.outputs, frame)
        finally:
            self._writing = None
            if frame.number not in self.asked:
                asked.outputs.drop()

    def _store_output(self, digest: bytes, path: str) -> None:
        """Put an output into the store if its bytes are right."""
        blob = hash_file(path)
        if blob.digest == digest:
            self._store.put_files({blob: os.fsencode(path)}, consume=True)


def _write(outputs: PartialOutputs, frame: Frame) -> None:
    outputs.take(unpack_part(frame.data, frames.MOST_FRAME), last=frame.last)


def _object(number: int, data: bytes) -> bytes:
    return frames.HEAD.pack(FrameKind.OBJECT, 1, number, len(data)) + data


async def _read(reader: asyncio.StreamReader, taken: frozenset[FrameKind]) -> Frame:
    async with asyncio.timeout(frames.DEAD_S):
        kind, last, number, length = frames.decode_head(await reader.readexactly(frames.HEAD.size), taken)
        return Frame(kind, number, last, await reader.readexactly(length))


async def knock(host: Host, name: str) -> tuple[Welcome, asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a worker that shows the pinned certificate, and be let in. SetupError if the certificate is another one, the
    worker does not let us in, or has another processor (keys can be moved); OSError, TimeoutError if nobody answers.
    """
    async with asyncio.timeout(CONNECT_S):
        reader, writer = await asyncio.open_connection(host.address, host.port, ssl=_context(), limit=1 << 20)
        try:
            await _check(host, writer)
            writer.write(frames.encode_frames(FrameKind.HELLO, 0, frames.encode_hello(Hello(host.key.token, name)))[0])
            await writer.drain()
            frame = await _read(reader, _GREETED)
            if frame.kind is FrameKind.REFUSED:
                why = frame.data[:200].decode("utf-8", "replace")
                hint = _HINTS.get(frame.number, _SAME_VERSION)
                raise SetupError(f"the worker on {host} does not let us in: {why}", hint=hint)
            return _fitting(frames.decode_welcome(frame.data), host), reader, writer
        except FormatError as error:
            await hang_up(writer)
            raise SetupError(f"what listens on {host} is no worker, or of another version of gg") from error
        except BaseException:
            await hang_up(writer)
            raise


def _fitting(welcome: Welcome, host: Host) -> Welcome:
    here = os.uname().machine
    if welcome.machine != here:
        raise SetupError(f"the worker on {host} has another processor: {welcome.machine}, and this is {here}")
    return welcome


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close a connection, whatever the other side does."""
    if not writer.transport.is_closing():  # else Python 3.11.2 has forgotten what there is to abort
        writer.transport.abort()
    with suppress(OSError, TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), 1.0)


async def _check(host: Host, writer: asyncio.StreamWriter) -> None:
    tls = writer.get_extra_info("ssl_object")
    shown = fingerprint_of(tls.getpeercert(binary_form=True) if tls else None)
    if not hmac.compare_digest(shown, host.key.fingerprint):
        raise SetupError(
            f"{host} shows another certificate than its key says: nothing was sent there",
            hint="if the worker was set up anew, paste the line that gg worker --listen prints now",
        )


def _context() -> ssl.SSLContext:
    """A context that takes any certificate: `_check` compares it with the pinned one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
