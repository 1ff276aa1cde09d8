"""An engine without processes, disks or clocks: a maintained fake for tests of the driver.

It runs *fake commands*, which are functions of their declared inputs' bytes:

    concat [TEXT...]        writes all its inputs, in the order of their paths, then TEXT, to its first output
    say STATUS OUT ERR      prints, and exits with STATUS
    read PATH               as `concat`, of an undeclared PATH, which is looked up in `world`
    become THUNK            writes a placeholder of that thunk (64 hexadecimal digits) to its first output
    hang                    does not end by itself

`trouble(submission)` may give a Failure in the command's stead, or `HANG`. All is done inside `submit`, but for what hangs, and
what finds no slot free.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import Enum

from gg.core.ids import BlobId, SandboxPath
from gg.core.placeholder import Placeholder, PlaceholderWriter
from gg.core.thunk import File, Made, Reduction, Thunk, Usage
from gg.engines.engine import Answer, Failure, Post, Submission, Tell
from gg.schedule.events import EngineCaps, Fault
from gg.store.base import Store, blob_key


class Hang(Enum):
    HANG = 0


HANG = Hang.HANG
Result = Reduction | Failure
World = Mapping[bytes, bytes | Placeholder]


class FakeEngine:
    """See the head of this module. `started` is every attempt that was begun, in order. For one thread."""

    def __init__(
        self,
        store: Store,
        *,
        name: str = "fake",
        slots: int = 2,
        caps: EngineCaps | None = None,
        world: World | None = None,
        trouble: Callable[[Submission], Failure | Hang | None] = lambda submission: None,
    ) -> None:
        self.name = name
        self.slots = slots
        self.caps = caps or EngineCaps()
        self.started: list[Submission] = []
        self._store = store
        self._world = world or {}
        self._trouble = trouble
        self._hanging: dict[int, tuple[Submission, Post]] = {}
        self._waiting: deque[tuple[Submission, Post]] = deque()

    def expect(self, thunks: Sequence[Thunk]) -> None:
        pass

    def follow(self, tell: Tell) -> None:
        self.tell = tell

    def submit(self, submission: Submission, post: Post) -> None:
        self._waiting.append((submission, post))
        self._serve()

    def cancel(self, attempt: int) -> None:
        found = self._hanging.pop(attempt, None)
        for item in self._waiting:
            if item[0].attempt == attempt:
                found = item
        if found is not None:
            if found in self._waiting:
                self._waiting.remove(found)
            found[1](Answer(attempt, Failure(Fault.CANCELLED, "cancelled")))
            self._serve()

    def close(self) -> None:
        self._hanging.clear()
        self._waiting.clear()

    @property
    def hanging(self) -> list[int]:
        return list(self._hanging)

    def release(self, attempt: int) -> None:
        """Let one that hangs end as its command does."""
        submission, post = self._hanging.pop(attempt)
        result = self._run(submission)
        assert not isinstance(result, Hang)
        post(Answer(attempt, result))
        self._serve()

    def _serve(self) -> None:
        while self._waiting and len(self._hanging) < self.slots:
            submission, post = self._waiting.popleft()
            self.started.append(submission)
            result = self._trouble(submission) or self._run(submission)
            if isinstance(result, Hang):
                if submission.deadline is None:
                    self._hanging[submission.attempt] = (submission, post)
                    continue
                result = Failure(Fault.TIMEOUT, "took too long")
            post(Answer(submission.attempt, result))

    # Commands

    def _run(self, submission: Submission) -> Result | Hang:
        thunk = submission.thunk
        inputs: dict[bytes, bytes] = {}
        for entry in sorted((e for e in thunk.entries if isinstance(e, File)), key=lambda e: e.path):
            data = self._store.get([blob_key(entry.blob)]).get(blob_key(entry.blob))
            if data is None:
                return Failure(Fault.MISSING_INPUT, f"no blob for {entry.path!r}")
            inputs[entry.path] = data
        match thunk.argv[0], thunk.argv[1:]:
            case b"concat", text:
                return self._made(thunk, b"".join([*inputs.values(), *text]))
            case b"say", (status, out, err):
                return self._said(thunk, int(status), out, err)
            case b"read", (path,):
                return self._read(submission, path, inputs)
            case b"become", (name,):
                return self._made(thunk, PlaceholderWriter(b"/launcher").encode(bytes.fromhex(name.decode()), 0))
            case b"hang", ():
                return HANG
        raise AssertionError(thunk.argv)

    def _made(
        self, thunk: Thunk, data: bytes, out: bytes = b"", err: bytes = b"", extra: tuple[File, ...] = ()
    ) -> Result:
        blob = BlobId.of(data)
        self._store.put({blob_key(blob): data})
        return Reduction(
            outputs=(Made(blob), *(None for _ in thunk.outputs[1:])),
            stdout=out,
            stderr=err,
            usage=Usage(wall_ns=1_000_000),
            engine=self.name,
            extra_inputs=tuple((f.path, f.blob) for f in extra),
            reads=tuple(sorted(e.path for e in thunk.entries if isinstance(e, File))),
        )

    def _said(self, thunk: Thunk, status: int, out: bytes, err: bytes) -> Result:
        return Failure(Fault.TOOL, "failed", status, out, err) if status else self._made(thunk, out, out, err)

    def _read(self, submission: Submission, path: bytes, inputs: Mapping[bytes, bytes]) -> Result:
        name = SandboxPath(path)
        if path in inputs:
            return self._made(submission.thunk, b"".join(inputs.values()))
        found = self._world[path]
        if isinstance(found, Placeholder):
            return Failure(
                Fault.UNDECLARED, "reads what is not made yet", needs=((name, found),), extra=submission.extra
            )
        file = File(name, BlobId.of(found))
        return self._made(submission.thunk, b"".join([*inputs.values(), found]), extra=(file,))
