"""Reads an action's result. It becomes a `RunResult`, as of a worker of gg, so the same rules say what it means."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from gg.core.colour import marked
from gg.core.ids import BlobId, SandboxPath, sandbox_path
from gg.core.reduction import encode_reduction
from gg.core.thunk import File, Made, Thunk, Usage, Work
from gg.engines.reapi.action import REMOVED, REPORT, TOLD, WRITTEN, MadeAction
from gg.engines.reapi.cas import ReadBlobs, digest_of
from gg.engines.reapi.messages import ActionResult, Digest, DirectoryMessage, Tree, decode
from gg.errors import FormatError
from gg.light.named import NamedTuple
from gg.run.job import RunResult
from gg.run.reducing import Blame, blame, reduction_of
from gg.run.report import reported_in
from gg.run.runner import LOADER_FAILED
from gg.schedule.events import Fault
from gg.wire.reply import Refused, Succeeded, TaskResult, ToolFailed

_MOST_LINKS = 40
_MOST_DEPTH = 256
_MOST_TREE = 4 << 20  # bytes: of 40,000 files
_MOST_PATH = 4096
_MOST_WALK = 16 << 20  # bytes of all paths in a tree, whose directories may be in it many times
_AROUND = 100  # bytes that a path takes besides its own
_MOST_DIGITS = 15
_MOST_STATUS = 255
_FAULTS = {Blame.MEMORY: Fault.MEMORY, Blame.KILLED: Fault.LOST, Blame.SPACE: Fault.INFRA}


class _Output(NamedTuple):
    digest: Digest
    executable: bool


class ActionOutcome(NamedTuple):
    """How the command ended, and the bytes that it wrote."""

    ran: RunResult
    written: dict[SandboxPath, tuple[bytes, bool]]


def outcome_of(result: ActionResult, action: MadeAction, thunk: Thunk, read: ReadBlobs) -> ActionOutcome:
    """The outcome that a result describes; `read` gives blobs of the cluster. FormatError if gg-act did not write the result."""
    files = {file.path: file for file in result.output_files}
    told_file = files.get(TOLD)
    if told_file is None or told_file.digest is None:
        raise FormatError(_trouble(result, read))
    outputs, removed = _outputs(result, action, thunk, read)
    report = files[REPORT].digest if REPORT in files else None
    said = [d for d in (result.stdout_digest, result.stderr_digest) if d]
    blobs = read([told_file.digest, *([report] if report else []), *said, *[o.digest for o in outputs.values()]])
    line, _, marks = blobs[told_file.digest].partition(b"\n")
    words = line.split(b" ", 6)
    if len(words) != 7 or not all(word.isdigit() and len(word) <= _MOST_DIGITS for word in words[:6]):
        raise FormatError("a result that gg-act did not write")
    status, signal, wall, cpu, memory, _ = map(int, words[:6])
    if max(status, signal) > _MOST_STATUS:
        raise FormatError("a result that gg-act did not write")
    plainly = _Plainly(words[6])
    reported = reported_in(blobs[report] if report else b"")
    used = [action.entries[i] for i, mark in enumerate(marks) if mark & 1 and i < len(action.entries)]
    written = {path: (blobs[o.digest], o.executable) for path, o in outputs.items()}
    if thunk.work is Work.LINK:
        written.update({o.path: plainly.listed(written[o.path]) for o in thunk.outputs[1:] if o.path in written})
    stderr = plainly.said(_bytes(result.stderr_raw, result.stderr_digest, blobs))
    ran = RunResult(
        status=status,
        stdout=plainly.said(_bytes(result.stdout_raw, result.stdout_digest, blobs)),
        stderr=marked(stderr, action.asked),
        usage=Usage(wall, cpu, memory),
        written={path: ("", executable) for path, (_, executable) in written.items()},
        removed=removed,
        reads=None if action.plain else tuple([e for e in used if isinstance(e, File)]),
        missing=(*reported.missing, *(action.lacking if status and LOADER_FAILED in stderr else ())),
        signal=signal,
        static=reported.static,
    )
    return ActionOutcome(ran, written)


def reply_of(
    came: ActionOutcome, thunk: Thunk, extra: Iterable[File], universe: tuple[SandboxPath, ...], engine: str
) -> tuple[TaskResult, dict[BlobId, bytes]]:
    """The answer for the attempt, and the blobs that it names."""
    ran = came.ran
    if ran.status:
        why = blame(ran, lambda ran: True, lambda: True)
        if why is not Blame.OWN:
            return Refused(_FAULTS[why], f"the command {why.value} there"), {}
        return ToolFailed(ran.status, ran.stdout, ran.stderr, ran.usage, ran.missing), {}
    blobs = {path: BlobId.of(data) for path, (data, _) in came.written.items()}
    made = {path: Made(blobs[path], executable) for path, (_, executable) in came.written.items()}
    reduction = reduction_of(thunk, ran, made, tuple(extra), engine)
    return Succeeded(encode_reduction(reduction, universe), ran.missing), {
        blobs[path]: data for path, (data, _) in came.written.items()
    }


class _Plainly:
    """Temporary files have the names that a plain command's have."""

    def __init__(self, tmp: bytes) -> None:
        self._tmp = tmp

    def said(self, text: bytes) -> bytes:
        return text if self._tmp == b"/tmp" else text.replace(self._tmp, b"/tmp")

    def listed(self, written: tuple[bytes, bool]) -> tuple[bytes, bool]:
        """What a link writes about itself, with the names of a plain command's files, as in `Runner`."""
        data, executable = written
        return (data if b"\0" in data else self.said(data)), executable


def _outputs(
    result: ActionResult, action: MadeAction, thunk: Thunk, read: ReadBlobs
) -> tuple[dict[SandboxPath, _Output], tuple[SandboxPath, ...]]:
    """The files that the command wrote, by path, and the declared files that it removed."""
    if action.plain:
        declared = {os.fsdecode(o.path.lstrip(b"/")): o.path for o in thunk.outputs}
        return {
            declared[file.path]: _Output(file.digest or Digest(), file.is_executable)
            for file in result.output_files
            if file.path in declared
        }, ()
    trees = {d.path: d.tree_digest for d in result.output_directories if d.tree_digest and d.path in (WRITTEN, REMOVED)}
    if any(tree.size_bytes > _MOST_TREE for tree in trees.values()):
        raise FormatError("a result with a tree that is too big")
    blobs = read(trees.values())
    written: dict[bytes, _Output | bytes] = {}
    gone: dict[bytes, _Output | bytes] = {}
    for path, found in ((WRITTEN, written), (REMOVED, gone)):
        if path in trees:
            tree = decode(Tree, blobs[trees[path]])
            _TreeWalk({digest_of(child): child for child in tree.children}, found).walk(tree.root, b"")
    followed = {path: _followed(path, written) for path in written}
    return {SandboxPath(path): o for path, o in followed.items() if o is not None}, tuple(map(SandboxPath, gone))


class _TreeWalk:
    """Finds what is in a tree. `children`: its directories below the root, as they are encoded."""

    def __init__(self, children: Mapping[Digest, bytes], found: dict[bytes, _Output | bytes]) -> None:
        self._children = children
        self._found = found
        self._known: dict[bytes, DirectoryMessage] = {}
        self._room = _MOST_WALK

    def walk(self, data: bytes, at: bytes) -> None:
        if at.count(b"/") > _MOST_DEPTH:
            raise FormatError("a result with a tree that is too deep")
        directory = self._decoded(data)
        for file in directory.files:
            self._found[self._path(at, file.name)] = _Output(file.digest or Digest(), file.is_executable)
        for link in directory.symlinks:
            self._found[self._path(at, link.name)] = os.fsencode(link.target)
        for each in directory.directories:
            inner = self._children.get(each.digest or Digest())
            if inner is None:
                raise FormatError("a result that lacks a directory")
            self.walk(inner, self._path(at, each.name))

    def _decoded(self, data: bytes) -> DirectoryMessage:
        known = self._known.get(data)
        if known is None:
            known = self._known[data] = decode(DirectoryMessage, data)
            self._take(_AROUND * sum(map(len, known)))
        return known

    def _path(self, at: bytes, name: str) -> bytes:
        path = at + b"/" + _name(name)
        self._take(len(path) + _AROUND)
        if len(path) > _MOST_PATH:
            raise FormatError("a result with a tree that is too big")
        return path

    def _take(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise FormatError("a result with a tree that is too big")


def _name(text: str) -> bytes:
    if not text or "/" in text or "\0" in text or text in (".", ".."):
        raise FormatError("a result with a name that is none")
    return os.fsencode(text)


def _followed(path: bytes, found: Mapping[bytes, _Output | bytes]) -> _Output | None:
    """The file at a path. A link's target means what it meant to the command. None if the command did not write that file."""
    for _ in range(_MOST_LINKS):
        each = found.get(path)
        if not isinstance(each, bytes):
            return each
        path = sandbox_path(each, os.path.dirname(path))
    return None


def _bytes(raw: bytes, digest: Digest | None, blobs: Mapping[Digest, bytes]) -> bytes:
    return raw or (blobs[digest] if digest else b"")


def _trouble(result: ActionResult, read: ReadBlobs) -> str:
    """Why gg-act left no report, in its own words."""
    text = _bytes(result.stderr_raw, result.stderr_digest, read([result.stderr_digest]) if result.stderr_digest else {})
    line = text.strip().rpartition(b"\n")[2][:300].decode(errors="replace")
    return f"the action could not be run there, exit status {result.exit_code}: {line or 'nothing was said'}"
