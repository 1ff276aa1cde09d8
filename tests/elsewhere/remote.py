"""A worker in a bare root, and a coordinator's part that is as small as can be: what it lacks is sent along."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterable, Sequence
from graphlib import TopologicalSorter
from pathlib import Path

import zstandard

from gg.core.codec import encode_thunk
from gg.core.ids import BlobId, GroupId, SandboxPath, ThunkId
from gg.core.reduction import decode_reduction
from gg.core.thunk import File, Reduction, Thunk
from gg.force.cone import Cone
from gg.host.filedb import FileDB
from gg.host.trees import hash_file
from gg.run.expand import Groups
from gg.store.base import Key, Kind, Store, blob_key
from gg.wire.reply import Reply, Succeeded, TaskResult, asked, decode_outputs, decode_reply
from gg.wire.request import ZSTD, Limits, Request, Task, decode_objects, encode_objects, encode_request
from tests.elsewhere.bare import Bare

_LENGTH = struct.Struct("!I")
_EVERYTHING = Limits(inline=1 << 30, reply=1 << 30)
_MILLISECONDS = 120_000


class Remote:
    """One worker process in its root."""

    def __init__(self, bare: Bare, store: Store) -> None:
        self.store = store
        self.groups = Groups(store)
        self.cone = Cone(store, self.groups, lambda: FileDB(None))
        self._sent: set[Key] = set()
        self._directories: set[SandboxPath] = set()
        self.learned: list[SandboxPath] = []
        self.runs = 0
        self._process = subprocess.Popen(
            bare.command("-m", "gg.worker.pipe", "/tmp/gg"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def close(self) -> None:
        assert self._process.stdin is not None
        with self._process:  # its input ends, and so it does
            pass

    def ask(self, request: bytes) -> Reply:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(_LENGTH.pack(len(request)) + request)
        self._process.stdin.flush()
        head = self._process.stdout.read(_LENGTH.size)
        assert len(head) == _LENGTH.size, "the worker died"
        return decode_reply(self._process.stdout.read(*_LENGTH.unpack(head)), asked(request))

    def run(self, thunk: Thunk) -> TaskResult:
        """Run a resolved thunk, again with what it turned out to need as long as there is such."""
        extra: dict[SandboxPath, File] = {}
        for _ in range(8):
            self.runs += 1
            reply = self.ask(encode_request(self._request(thunk, tuple(extra.values()))))
            (result,) = reply.results
            if not self._learn(result.missing, extra):
                self._take(reply)
                return result
        raise AssertionError(f"it asks for ever more: {self.learned}")

    def force(self, roots: Iterable[ThunkId]) -> None:
        """Run the cones of `roots` here and there, dependencies first."""
        self.cone.load(list(roots))
        below = {name: thunk.dependencies() for name, thunk in self.cone.thunks.items()}
        for name in TopologicalSorter(below).static_order():
            thunk = self.cone.resolve(name).thunk
            result = self.run(thunk)
            assert isinstance(result, Succeeded), result
            self.cone.remember(name, self.reduction(thunk, result))

    def reduction(self, thunk: Thunk, result: Succeeded) -> Reduction:
        return decode_reduction(result.reduction, self.groups.universe(thunk))

    def _request(self, thunk: Thunk, extra: tuple[File, ...]) -> Request:
        wanted: dict[Key, File | None] = {}
        stack: list[GroupId] = list(thunk.groups)
        from gg.core.codec import decode_group

        while stack:
            key = Key(Kind.GROUP, stack.pop())
            if key not in wanted:
                wanted[key] = None
                stack += decode_group(self.store.get([key])[key]).groups
        for file in (*self.groups.files(thunk).values(), *extra):
            wanted[blob_key(file.blob)] = file
        new = {key: file for key, file in wanted.items() if key not in self._sent}
        self._sent |= new.keys()
        objects = [(int(key.kind), self._bytes(key, file)) for key, file in new.items()]
        return Request(
            (Task(encode_thunk(thunk), extra, _MILLISECONDS),),
            limits=_EVERYTHING,
            directories=tuple(sorted(self._directories)),
            codec=ZSTD,
            objects=zstandard.compress(encode_objects(objects), 1),
        )

    def _bytes(self, key: Key, file: File | None) -> bytes:
        data = self.store.get([key]).get(key)
        if data is None:
            assert file is not None, key
            data = Path(os.fsdecode(file.path)).read_bytes()
            assert BlobId.of(data).digest == key.digest
        return data

    def _take(self, reply: Reply) -> None:
        data = zstandard.decompress(reply.objects) if reply.codec == ZSTD else reply.objects
        outputs = decode_outputs(data)
        self.store.put({blob_key(BlobId.of(output)): output for output in outputs})
        self._sent |= {blob_key(BlobId.of(output)) for output in outputs}

    def together(self, *thunks: Thunk, milliseconds: int = _MILLISECONDS, reply: int = 1 << 30) -> list[TaskResult]:
        """Run several in one request, again with what any of them turned out to need, and take what they made.

        `milliseconds` for each, `reply` bytes for their outputs.
        """
        extra: dict[SandboxPath, File] = {}
        for _ in range(8):
            answer = self.ask(encode_request(self._whole(thunks, tuple(extra.values()), milliseconds, reply)))
            if not self._learn([path for result in answer.results for path in result.missing], extra):
                self._take(answer)
                return list(answer.results)
        raise AssertionError(f"they ask for ever more: {self.learned}")

    def _whole(self, thunks: Sequence[Thunk], extra: tuple[File, ...], milliseconds: int, reply: int) -> Request:
        parts = [self._request(thunk, extra) for thunk in thunks]
        objects = [pair for part in parts for pair in decode_objects(zstandard.decompress(part.objects))]
        return parts[0]._replace(
            tasks=tuple([part.tasks[0]._replace(milliseconds=milliseconds) for part in parts]),
            limits=_EVERYTHING._replace(reply=reply),
            objects=zstandard.compress(encode_objects(objects), 1),
        )

    def _learn(self, missing: Sequence[SandboxPath], extra: dict[SandboxPath, File]) -> bool:
        """Whether some of this is here, and so is told of next time: files in `extra`, directories of all requests."""
        files = [p for p in missing if os.path.isfile(p) and p not in extra]
        directories = {p for p in missing if os.path.isdir(p)} - self._directories
        self._directories |= directories
        self.learned += [*files, *directories]
        extra.update({p: File(p, hash_file(os.fsdecode(p)), os.access(p, os.X_OK)) for p in files})
        return bool(files or directories)
