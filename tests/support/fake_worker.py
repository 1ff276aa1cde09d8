"""A worker without processes, for the Lambda service's fast mode: it speaks the wire's protocol and runs fake commands.

The commands are those of `tests.support.fake_engine`, but `become`; one that hangs ends at its deadline, one that dies takes
the worker with it. All inputs must have come with the request.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from gg.core.codec import decode_thunk
from gg.core.ids import BlobId, SandboxPath
from gg.core.reduction import encode_reduction
from gg.core.thunk import File, Made, Reduction, Thunk, Usage
from gg.schedule.events import Fault
from gg.wire.compressed import decompress
from gg.wire.reply import Refused, Reply, Succeeded, TaskResult, ToolFailed, WorkerInfo, encode_outputs, encode_reply
from gg.wire.request import RAW, Task, decode_objects, decode_request
from tests.servers.lambda_service.fast import Sleep

_USAGE = Usage(1_000_000, 1_000_000, 1 << 20)
_FOREVER_S = 600.0


def answer(payload: bytes) -> bytes | Sleep:
    """A callable for fast mode."""
    encoded = base64.b64decode(payload[1:-1])
    request = decode_request(encoded)
    raw = request.objects if request.codec == RAW else decompress(request.objects, 1 << 28)
    objects = {BlobId.of(data): data for _, data in decode_objects(raw)}
    hung, results, outputs = 0.0, list[TaskResult](), list[bytes]()
    for task in request.tasks:
        thunk = decode_thunk(task.thunk)
        if thunk.argv[0] == b"hang":
            seconds = min(task.milliseconds / 1000, _FOREVER_S)
            hung += seconds
            results.append(Refused(Fault.TIMEOUT, f"took longer than {seconds:g} s"))
        elif thunk.argv[0] == b"die":
            raise SystemError("the worker is gone")
        else:
            result, made = run_fake(thunk, task, objects)
            results.append(result)
            outputs += made
    reply = encode_reply(Reply(WorkerInfo("test"), tuple(results), objects=encode_outputs(outputs)), encoded)
    text = b'"' + base64.b64encode(reply) + b'"'
    return Sleep(hung, text) if hung else text


def run_fake(thunk: Thunk, task: Task, objects: Mapping[BlobId, bytes]) -> tuple[TaskResult, list[bytes]]:
    extra = {file.path: objects[file.blob] for file in task.extra}
    declared = {e.path: objects[e.blob] for e in thunk.entries if isinstance(e, File)}
    match thunk.argv[0], thunk.argv[1:]:
        case b"concat", text:
            return _made(thunk, task, b"".join([*(declared[path] for path in sorted(declared)), *text]))
        case b"far", text:  # its output is in the store, it says
            return _made(thunk, task, b"".join(text), reads=False)[0], []
        case b"say", (b"0", out, err):
            return _made(thunk, task, out, out, err)
        case b"say", (status, out, err):
            return ToolFailed(int(status), out, err, _USAGE), []
        case b"read", (path,):
            name = SandboxPath(path)
            if name in extra:
                return _made(thunk, task, extra[name])
            return ToolFailed(1, b"", b"no such file\n", _USAGE, (name,)), []
    raise AssertionError(thunk.argv)


def _made(
    thunk: Thunk, task: Task, data: bytes, out: bytes = b"", err: bytes = b"", *, reads: bool = True
) -> tuple[TaskResult, list[bytes]]:
    universe = sorted(e.path for e in thunk.entries if isinstance(e, File))
    reduction = Reduction(
        outputs=(Made(BlobId.of(data)),),
        stdout=out,
        stderr=err,
        usage=_USAGE,
        engine="",
        extra_inputs=tuple((f.path, f.blob) for f in task.extra),
        reads=tuple(universe) if reads else None,
    )
    return Succeeded(encode_reduction(reduction, universe)), [data]
