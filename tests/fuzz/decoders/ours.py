"""The decoders of gg's own formats: what workers, buckets, colleagues and other processes of this machine may send."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO
from types import SimpleNamespace
from typing import TypeVar, cast

import zstandard
from blake3 import blake3
from msgpack import packb

from gg.core import codec, colour, ids, placeholder, reduction
from gg.core.ids import BlobId, GroupId, SandboxPath, ThunkId
from gg.core.jsontext import json_from
from gg.core.placeholder import PlaceholderWriter
from gg.core.thunk import File, Group, Made, Output, OutputOf, Reduction, Symlink, Thunk, Usage, Work
from gg.deploy import found as deployed
from gg.engines.awslambda import habits
from gg.engines.awslambda.function_list_cache import FunctionListCache
from gg.engines.remote.hosts import parse_host
from gg.errors import FormatError, GGError, UsageError
from gg.models.declared import tables as declared
from gg.models.declared.tables import BadTable
from gg.record import protocol
from gg.record.depfiles.softfiles import SoftFiles
from gg.record.memo.memo_state import CommandOutcome
from gg.record.recall import answers
from gg.run.report import ReportFile
from gg.share import keys as trust
from gg.share.s3 import log, pack, uri
from gg.store import durations
from gg.store.base import Key, Kind, Store
from gg.store.blobfiles import BlobFiles
from gg.store.directory import DirectoryStore
from gg.store.memory import MemoryStore
from gg.wire import frames, reply, request
from gg.wire.compressed import unpack_part
from gg.wire.pin import WorkerKey
from gg.workspace import history, outside
from gg.workspace import settings as config
from gg.workspace.workspace import Workspace
from tests.fuzz.decoders.target import Target, as_file, scratch

T = TypeVar("T")
PATH = SandboxPath(b"/src/x.c")
BLOB = BlobId(b"b" * 32, 5)
THUNK = Thunk(
    argv=(b"gcc", b"-c", b"x.c"),
    program=SandboxPath(b"/usr/bin/gcc"),
    cwd=SandboxPath(b"/src"),
    env=((b"LANG", b"C"), (b"PATH", b"/bin")),
    entries=(
        File(PATH, BLOB),
        OutputOf(SandboxPath(b"/src/y.h"), ThunkId(b"t" * 32), 1),
        Symlink(SandboxPath(b"/l"), b"x"),
    ),
    groups=(GroupId(b"g" * 32),),
    outputs=(Output(SandboxPath(b"/src/x.o")), Output(SandboxPath(b"/src/x.d"), soft=True)),
    work=Work.COMPILE,
    model="gcc/1",
)
UNIVERSE = (SandboxPath(b"/src/a.h"), PATH)
REDUCTION = Reduction(
    (Made(BLOB), None), b"out", b"err", Usage(1, 2, 3), "local", ((PATH, Made(BLOB, True)),), ((PATH, BLOB),), (PATH,)
)
ENCODED = codec.encode_thunk(THUNK)
REDUCED = reduction.encode_reduction(REDUCTION, UNIVERSE)
KEY = Key(Kind.BLOB, b"k" * 32)


def _reductions(data: bytes) -> None:
    for decode in (
        lambda: reduction.decode_reduction(data, UNIVERSE),
        lambda: reduction.decode_reduction(data, None),
        lambda: reduction.outline_reduction(data),
        lambda: reduction.ran_on(data, "lambda"),
    ):
        try:
            decode()
        except FormatError:
            pass


# The wire


def _request(data: bytes) -> None:
    asked = request.decode_request(data)
    for task in asked.tasks:
        codec.decode_thunk(task.thunk)


def _objects(data: bytes) -> None:
    for kind, _ in request.decode_objects(data):
        Kind(kind)


def _sealed_reply(data: bytes) -> None:
    asked = reply.asked(b"request")
    sealed = data + reply._seal(data, asked)
    for result in reply.decode_reply(sealed, asked).results:
        if isinstance(result, reply.Refused):
            [Kind(kind) for kind, _ in result.lacking]


def _frames(data: bytes) -> None:
    """Each of a worker's messages."""
    for kind, _ in _unless_refused(frames.decode_need, data) or ():
        Kind(kind)
    for decode in (frames.decode_hello, frames.decode_welcome, frames.decode_object, frames.decode_output):
        _unless_refused(decode, data)
    _unless_refused(lambda packed: frames.decode_object(unpack_part(packed, frames.MOST_FRAME)), data)
    if len(data) >= frames.HEAD.size:
        frames.decode_head(data[: frames.HEAD.size], frozenset(frames.FrameKind))


def _unless_refused(decode: Callable[[bytes], T], data: bytes) -> T | None:
    try:
        return decode(data)
    except FormatError:
        return None


def _recorder_request(data: bytes) -> None:
    asked = protocol.parse_request(data)
    protocol.streams(asked.streams)


REQUEST = request.encode_request(
    request.Request(
        (request.Task(ENCODED, (File(PATH, BLOB, True),), 5),), (request.PackReference(b"p" * 32, 100, 20),)
    )
)
REPLY = reply.encode_reply(
    reply.Reply(
        reply.WorkerInfo("0.1", "w", True, 1 << 30),
        (
            reply.Succeeded(REDUCED, (PATH,)),
            reply.ToolFailed(1, b"", b"no", Usage()),
            reply.Refused(reply._REFUSALS[0], "no"),
        ),
        (reply.Span("exec", 1, 2),),
    ),
    b"request",
)[:-16]
CALL = protocol._HEAD.pack(2, 0, 0, 18, 1, 2, 1, bytes(64)) + b"\0/src\0gcc\0-c\0A=b\0"


# The store


def _log_body(data: bytes) -> None:
    body = zstandard.compress(data)
    log.decode(log._ENTRY + bytes(packb([b"", b"", body])), lambda *_: True)


def _index(data: bytes) -> None:
    encoded = zstandard.compress(data)
    index = pack.decode_index(encoded, 8 + 40 + len(encoded) + pack.FOOTER_SIZE)
    index.spans(index.members)
    index.blocks_of(index.members)


def _pack_whole(data: bytes) -> None:
    index = pack.read_tail(data, len(data))
    if isinstance(index, pack.Index):
        pack.extract(index, list(index.members), {0: data})


def _whole_pack() -> bytes:
    out = BytesIO()
    writer = pack.Writer(out)
    for text in (b"one", b"two" * 100):
        writer.add(Key(Kind.BLOB, blake3(text).digest()), text)
    writer.seal()
    return out.getvalue()


def _block(data: bytes) -> None:
    pack.open_block(pack.Block(8, len(data), 0, 4096, 1), data)


ENTRY = log.encode(
    log.LogEntry(
        5,
        (log.PackNote(b"p" * 32, 10, 20, b"index"),),
        (log.LooseObject(KEY, 1, 2),),
        (KEY,),
        ((Key(Kind.REDUCTION, b"r" * 32), REDUCED), (KEY, None)),
    ),
    lambda _: (b"k" * 32, b"s" * 64),
)
BODY = packb(
    [5, [[b"p" * 32, 10, 20, b"i"]], [[b"\0" + b"k" * 32, 1, 2]], [b"\0" + b"k" * 32], [[b"\3" + b"r" * 32, b"d"]]]
)
INDEX = packb([b"\0", b"d" * 32, [40], b"\0", [40], [40]])


def _foreign_names(data: bytes) -> None:
    """Files of any name among the blobs."""
    name = data.replace(b"\0", b"").replace(b"/", b"")[:250]
    home = os.path.join(scratch(), "store")
    fan = os.path.join(os.fsencode(home), b"blobs", b"ab")
    os.makedirs(fan, exist_ok=True)
    path = os.path.join(fan, name)
    if name in (b"", b".", b".."):
        return
    with open(path, "wb"):
        pass
    try:
        blobs = _blob_files(home)
        list(blobs.keys())
    finally:
        os.unlink(path)


def _blob_files(home: str) -> BlobFiles:
    known = _stores.get(home)
    if known is None:
        known = _stores[home] = DirectoryStore(home)
    return known._blobs


_stores: dict[str, DirectoryStore] = {}


# What is kept on this machine


def _aliases(data: bytes, decode: str) -> None:
    store = cast("Store", MemoryStore())
    if decode == "durations":
        store.put({durations._KEY: data})
        durations.Durations(store).of(THUNK)
    else:
        from gg.record.depfiles.softfiles import soft_key

        store.put({soft_key(ThunkId(b"t" * 32)): data})
        SoftFiles(store).of([ThunkId(b"t" * 32)])


def _settings(data: bytes) -> None:
    path = as_file(data, "gg.toml")
    values, tables = config._file(path)
    config._check_engines(config._merge(config.Settings(), values, path))
    declared.read(tables, path)


def _outcome(data: bytes) -> None:
    value = json_from(data, "outcome")
    if isinstance(value, list):
        CommandOutcome.decode(value)


def _history(data: bytes) -> None:
    path = as_file(data, "history.jsonl")
    as_file(data, "calls.jsonl")
    workspace = cast("Workspace", SimpleNamespace(history=path, dot=scratch()))
    list(history.runs(workspace))
    history.real_runs(workspace)
    list(history.calls(workspace))


def _listed(data: bytes) -> None:
    as_file(data, "functions.json")
    FunctionListCache(scratch())._read()


def _deployed(data: bytes) -> None:
    as_file(data, deployed._FILE)
    deployed.remembered(scratch())


def _trusted(data: bytes) -> None:
    as_file(data, "trusted")
    trust.trusted(scratch())


def _keys(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for parse in (trust.parse_public, trust.parse_secret):
        try:
            parse(text)
        except UsageError:
            pass


OURS = (
    Target("thunk", codec.decode_thunk, (ENCODED,)),
    Target("thunk-outline", codec.outline_thunk, (ENCODED,)),
    Target("group", codec.decode_group, (codec.encode_group(Group((File(PATH, BLOB),), (GroupId(b"g" * 32),))),)),
    Target("reduction", _reductions, (REDUCED,)),
    Target("placeholder", placeholder.parse, (PlaceholderWriter(b"/bin/sh").encode(b"t" * 32, 3),), ()),
    Target("digest", lambda data: ids.parse_digest(data.decode("utf-8", "replace")), (b"ab" * 32,)),
    Target("request", _request, (REQUEST,)),
    Target("request-objects", _objects, (packb([0, b"one", 2, b"two"]),)),
    Target("reply", _sealed_reply, (REPLY,)),
    Target(
        "reply-unsealed", lambda data: reply.decode_reply(data, b"a" * 32), (REPLY, reply.encode_wrong_version("no"))
    ),
    Target(
        "frames",
        _frames,
        (frames.encode_hello(frames.Hello(b"t" * frames.TOKEN_SIZE, "me")), frames.encode_need([(0, b"d" * 32)])),
    ),
    Target(
        "worker-host",
        lambda data: parse_host(data.decode("utf-8", "surrogateescape")),
        (b"host:77/a2V5", b"[::1]:5", b"a:" + b"9" * 5000),
        (UsageError,),
    ),
    Target(
        "worker-key",
        lambda data: WorkerKey.parse(data.decode("utf-8", "surrogateescape")),
        (b"YQ" * 32,),
        (UsageError,),
    ),
    Target("reply-outputs", reply.decode_outputs, (packb([b"one", b"two"]),)),
    Target("recorder-request", _recorder_request, (CALL,), bricks=(b"\0", b"a=b\0")),
    Target("log-entry", lambda data: log.decode(data, trust.valid), (ENTRY,)),
    Target("log-body", _log_body, (BODY,)),
    Target("log-bundle", log.decode_bundle, (log.encode_bundle([(log.entry_name(5, ENTRY), ENTRY)]),)),
    Target("log-name", lambda data: log.stamp_of(data.decode("latin-1")), (log.entry_name(5, ENTRY).encode(),), ()),
    Target("pack-index", _index, (INDEX,)),
    Target("pack", _pack_whole, (_whole_pack(),)),
    Target("pack-block", _block, (zstandard.compress(bytes(4096)), zstandard.compress(b"x")), ()),
    Target(
        "store-uri",
        lambda data: uri.parse(data.decode("utf-8", "surrogateescape")),
        (b"s3://bucket/some/prefix?region=eu-north-1&expire=2.5&mode=read", b"s3://[::1/x"),
        (UsageError,),
        (b"&a=b", b"%41"),
    ),
    Target(
        "settings",
        _settings,
        (b'jobs = 4\nstore = "s3://b"\n[tool.flex]\noptions.output = ["-o: --outfile="]\noutputs = [{path = "a"}]\n',),
        (UsageError, BadTable),
        (b"[", b"a.", b"{a=", b"[[a]]\n"),
    ),
    Target("key", _keys, (str(trust.PublicKey("me", b"k" * 32)).encode(),), ()),
    Target("trusted-keys", _trusted, (str(trust.PublicKey("me", b"k" * 32)).encode() + b"\n# no\n",), (GGError,)),
    Target("report", lambda data: ReportFile(os.fsencode(as_file(data, "report"))).read(), (b"U/a\0M/b\0S/c\0",)),
    Target("blob-names", _foreign_names, (b"ab" * 32, b"g" * 64, b"\xff" * 64), ()),
    Target("habits", habits._decoded, (packb([1, {b"link\0/bin/cc": [b"/bin/nm", b"/usr/local/cuda"]}]),)),
    Target(
        "durations", lambda data: _aliases(data, "durations"), (packb([2, ["local"], {b"12345678": [5, 7, 0]}]),), ()
    ),
    Target(
        "soft-files", lambda data: _aliases(data, "soft"), (packb([2, b"/src/x.d", 1, 2, 3, 0, b"d" * 32, False]),), ()
    ),
    Target("outside-journal", lambda data: outside._read(BytesIO(data)), (b"5 17.0 /tmp/x.o\0",), ()),
    Target("history", _history, (b'{"what": "infer", "real": {"a": 1}}\n{"read": "x"}\n',), (), (b"[", b'{"a":')),
    Target("functions-known", _listed, (b'{"key": [1.5, [["gg-1", 5, 60.0, 1769, 512]]]}',), (), (b"[", b'{"a":')),
    Target(
        "deployment",
        _deployed,
        (
            b'{"version": 1, "deployments": [{"region": "r", "architecture": "a", "functions": [{"name": "n", "memory_mb": 5}],'
            b' "store": "s"}]}',
        ),
        (FormatError,),
        (b"[", b'{"a":'),
    ),
    Target(
        "remembered-outcome",
        _outcome,
        (b'[0, "b3V0", "", [["/a", "f", 420, ["' + b"ab" * 32 + b'", 5], ""]]]',),
        (ValueError, TypeError, AttributeError, FormatError),
        (b"[",),
    ),
    Target(
        "answers-known",
        lambda data: answers._load(os.fsencode(as_file(data, "answers"))),
        (packb([answers._VERSION, [[b"key", 0, b"out", b"err", []]]]),),
        (),
    ),
    Target(
        "words",
        lambda data: [colour.shown(data, look, by) for look in colour.ColourForm for by in colour.By],
        (b"\x1b_gg:cl\x1b\\\x1b[01;31m\x1b[Kerror\x1b[m\x1b[K \x1b]8;;http://x\x07link\x1b]8;;\x07",),
        (),
        (b"\x1b[", b"\x1b_gg:", b"\x1b]8;", b"\x1b[;"),
    ),
)
