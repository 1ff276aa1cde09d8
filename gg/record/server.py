"""The recorder's socket: one thread, one selector, one request and one reply a connection."""

from __future__ import annotations

import os
import queue
import selectors
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from gg.errors import FormatError
from gg.record import protocol
from gg.record.protocol import RecorderRequest, SendReply

_MAX_REQUEST = 64 << 20  # an argument list and an environment; Linux allows a quarter of the stack limit, at most 6 MB
_SEND_SECONDS = 30.0
_NAME_MAX = 90  # as wire.c has it
RequestHandler = Callable[[RecorderRequest, SendReply], None]


class Server:
    """Listens at `path` from the start, and answers once `serve` is called. Replies may come from any thread."""

    def __init__(self, path: str, room: str) -> None:
        """`room`: what processes of this build have as GG_ROOM."""
        self._path = path
        self._room = room
        self._selector = selectors.DefaultSelector()
        self._replies: queue.SimpleQueue[tuple[socket.socket, bytes] | None] = queue.SimpleQueue()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._partial: dict[socket.socket, bytearray] = {}
        self._unanswered: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._bind()
        self._nameless = _bound_to_no_directory(path)
        for listener in self._listeners():
            listener.listen(1024)
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._stopped = False

    def _bind(self) -> None:
        """A socket's address holds 107 bytes (unix(7)); a longer one is reached through the open directory."""
        with suppress(FileNotFoundError):
            os.unlink(self._path)
        if len(os.fsencode(self._path)) < 100:
            self._listener.bind(self._path)
            os.chmod(self._path, 0o600)
            return
        directory = os.open(os.path.dirname(self._path), os.O_PATH | os.O_DIRECTORY)
        try:
            place = f"/proc/self/fd/{directory}/{os.path.basename(self._path)}"
            self._listener.bind(place)
            os.chmod(place, 0o600)
        finally:
            os.close(directory)

    def _listeners(self) -> list[socket.socket]:
        return [self._listener, *([self._nameless] if self._nameless else [])]

    def serve(self, handler: RequestHandler) -> None:
        """Answer by `handler` until stopped."""
        self._handler = handler
        while not self._stopped:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener or key.fileobj is self._nameless:
                    self._accept(key.fileobj)
                elif key.fd == self._wake_read:
                    self._send_replies()
                elif isinstance(key.fileobj, socket.socket):
                    self._read(key.fileobj, waited=True)

    def stop(self) -> None:
        """End `serve`; from any thread."""
        self._replies.put(None)
        self._wake()

    def close(self) -> None:
        """Who was not answered is told so by the end of the connection, and helps himself."""
        for connection in (*self._partial, *self._unanswered):
            connection.close()
        self._selector.close()
        for listener in self._listeners():
            listener.close()
        wake, self._wake_write = self._wake_write, -1
        os.close(self._wake_read)
        os.close(wake)
        with suppress(OSError):
            os.unlink(self._path)

    def _wake(self) -> None:
        with suppress(OSError):  # full: it is awake anyway; closed: nobody is there to wake
            os.write(self._wake_write, b"\0")

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # no more, or the caller has gone already
            if not self._may_ask(connection):
                connection.close()
                continue
            if listener is self._nameless:  # so that the caller knows whose name it is
                with suppress(OSError):
                    connection.send(self._room.encode())
            connection.setblocking(False)
            self._partial[connection] = bytearray()
            self._read(connection, waited=False)

    def _may_ask(self, connection: socket.socket) -> bool:
        """The same user, root, and other users' processes of this build: root's may give up its rights."""
        pid, uid, _ = _peer(connection)
        if uid in (0, os.geteuid()):
            return True
        from gg.record.hearers.callers import belongs

        return belongs(pid, self._room)

    def _read(self, connection: socket.socket, *, waited: bool) -> None:
        """Take what has come. `waited`: the selector tells of it; else it will, if there is more to come."""
        buffer = self._partial[connection]
        try:
            while True:
                piece = connection.recv(262144)
                if not piece:
                    self._drop(connection, waited)
                    return
                buffer += piece
                if len(buffer) >= 4 and len(buffer) - 4 >= struct.unpack_from("<I", buffer)[0]:
                    break
        except BlockingIOError:
            if not waited:
                self._selector.register(connection, selectors.EVENT_READ)
            return
        except OSError:
            self._drop(connection, waited)
            return
        length = struct.unpack_from("<I", buffer)[0]
        self._forget(connection, waited)
        if length > _MAX_REQUEST:
            connection.close()
            return
        self._handle(connection, bytes(buffer[4 : 4 + length]))

    def _forget(self, connection: socket.socket, waited: bool) -> None:
        if waited:
            self._selector.unregister(connection)
        del self._partial[connection]

    def _drop(self, connection: socket.socket, waited: bool) -> None:
        self._forget(connection, waited)
        connection.close()

    def _handle(self, connection: socket.socket, payload: bytes) -> None:
        try:
            request = protocol.parse_request(payload, *_peer(connection))
        except FormatError as error:
            self._send(connection, protocol.reply_exit(125, b"", f"gg: {error}. {error.hint}\n".encode()))
            return
        inside = True
        self._unanswered.add(connection)

        def reply(data: bytes) -> None:
            if inside:
                self._send(connection, data)
            else:
                self._replies.put((connection, data))
                self._wake()

        self._handler(request, reply)
        inside = False

    def _send_replies(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        while True:
            try:
                item = self._replies.get_nowait()
            except queue.Empty:
                return
            if item is None:
                self._stopped = True
            else:
                self._send(*item)

    def _send(self, connection: socket.socket, data: bytes) -> None:
        """Send and close; a caller that has gone does not matter."""
        self._unanswered.discard(connection)
        with suppress(OSError):
            connection.settimeout(_SEND_SECONDS)
            connection.sendall(data)
        connection.close()


def _peer(connection: socket.socket) -> tuple[int, int, int]:
    """The process that has called, 0 if it is in no namespace below this one, its user and its group."""
    pid, uid, gid = struct.unpack("<iii", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid, gid


def _bound_to_no_directory(path: str) -> socket.socket | None:
    """A socket by the end of `path` as its name, for who cannot reach the directory (unix(7): an abstract address)."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(b"\0" + os.fsencode(path)[-_NAME_MAX:])
    except OSError:  # somebody has that name
        listener.close()
        return None
    return listener
