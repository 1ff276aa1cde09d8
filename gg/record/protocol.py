"""What the shim and the interposer say to the recorder, and what it answers. Version 2.

Both sides are on one machine and of one installation, over a Unix stream socket whose path is in `GG_SOCKET`. One
request and one reply a connection. All integers are little-endian. Strings are bytes without NUL, each ended by one.

request   u32 length of what follows
          u8 version (2), u8 op, u16 flags, u32 umask, u32 pid, u32 argc, u32 envc          (20 bytes)
          u64 device, u64 inode, u64 special device, u32 mode, u32 links                (32 bytes)
          of standard output, and the same of standard error: as stat has it, zeros for one that is closed
          path, cwd, argv[0] … argv[argc-1], env[0] … env[envc-1]                       (strings)

  flags         1 AWAY: the caller is in another mount namespace than the recorder, or below another root
  op 0 CALL     a tool was called. `path` is the program that the caller executed by name with a slash, as the
                interposer saw it (`GG_EXEC_PATH`, which the shim takes out of the environment), or empty.
  op 1 FORCE    a process is about to read the placeholder at `path` (absolute), or, where that is empty, nobody will see
                what a program that is about to start reads: all of the workspace is forced; argv holds that process's own
                argv[0]; envc is 0.
  op 2 UNWATCHED  a program was started, `path`, whose reads of placeholders nobody sees: linked statically, on a kernel
                that does not tell of its calls. What its arguments name is forced before. Answered by EXIT 0.
  op 3 END      a make whose calls were deferred is about to end (`gg/record/whole_makes.py`). Answered by EXIT when they have
                ended: 0, or the status of a failure.
  op 4 LOOK     a process is about to see which files are in the directory `path` (absolute), or whether that file is there;
                "/" stands for all that there is. Answered by READY when the calls have ended whose status was dropped and
                whose outputs are among these (`gg/record/excused_outputs.py`).

reply     u32 length of what follows
          u8 kind, 3 zero bytes, then
  kind 0 EXIT   i32 status, u32 n, u32 m, n bytes for standard output, m bytes for standard error
                (a negative status is the signal that ended the tool: the shim ends by it too)
  kind 1 EXEC   u32 argc, u32 envc, then strings: the program's path, argv, and environment edits:
                "NAME=value" sets, "NAME" alone unsets
  kind 2 READY  (answers FORCE and LOOK) the placeholder has been replaced by the real file: open it again
  kind 3 FAILED (answers FORCE) i32 status, u32 0, u32 m, m bytes for standard error: it could not be forced

By the name that is in no directory the recorder speaks first: the value of GG_ROOM. Who hears anything else hangs up.

Where the recorder is gone, or answers nonsense, the shim runs the real tool, and gg-force makes the placeholders that are
read (`toolchain-wrappers/shim/no_recorder.c`). `cwd` is empty where the working directory has been removed.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from functools import lru_cache

from gg.errors import FormatError
from gg.light.named import NamedTuple
from gg.light.slotted import slotted

VERSION = 2
_HEAD = struct.Struct("<BBHIIII64s")
_AWAY = 1
NULL = os.makedev(1, 3)
_STREAM = struct.Struct("<QQQII")
_NO_STREAMS = bytes(64)
_LENGTH = struct.Struct("<I")

SendReply = Callable[[bytes], None]
"""Sends a reply to whoever made the request, from any thread."""


class Op(IntEnum):
    CALL = 0
    FORCE = 1
    UNWATCHED = 2
    END = 3
    LOOK = 4


@slotted()
class RecorderRequest:
    """One request, as it arrived. `pid` is what the caller has for its own; `streams`: standard output and error (`streams`).

    `away`: its paths are those of another mount namespace, or of another root. `uid`, `gid`: the user
    and group whose process it is, if known.
    """

    op: Op
    umask: int
    pid: int
    path: bytes
    cwd: bytes
    argv: tuple[bytes, ...]
    env: Mapping[bytes, bytes]
    streams: bytes = _NO_STREAMS
    away: bool = False
    uid: int = -1
    gid: int = -1


def parse_request(payload: bytes, pid: int = 0, uid: int = -1, gid: int = -1) -> RecorderRequest:
    """The request in `payload` (without its length); FormatError when it is of another version or damaged.

    `pid`: the caller's number as this process has it, which in another namespace is not the caller's own.
    """
    if len(payload) < _HEAD.size:
        raise FormatError("a request to the recorder is cut short")
    version, op, flags, umask, own_pid, argc, envc, streams = _HEAD.unpack_from(payload)
    if version != VERSION:
        raise FormatError(
            f"the shim speaks version {version} and this recorder {VERSION}",
            hint="reinstall gg, then start gg-infer again",
        )
    strings = payload[_HEAD.size :].split(b"\0", argc + 2)
    if len(strings) != argc + 3 or strings[-1].count(b"\0") != envc or op not in Op._value2member_map_:
        raise FormatError("a request to the recorder is damaged")
    argv = tuple(strings[2:-1])
    if op == Op.CALL and not argv:
        raise FormatError("a request to the recorder calls nothing")
    env = _environment(strings[-1])
    away = bool(flags & _AWAY)
    return RecorderRequest(Op(op), umask, pid or own_pid, strings[0], strings[1], argv, env, streams, away, uid, gid)


@lru_cache(maxsize=64)
def _environment(text: bytes) -> Mapping[bytes, bytes]:
    """Most calls of a make have the same, and get the same object. FormatError if it ends within a string."""
    strings = text.split(b"\0")
    if strings.pop():
        raise FormatError("a request to the recorder is damaged")
    env: dict[bytes, bytes] = {}
    for item in strings:
        name, eq, value = item.partition(b"=")
        if eq:
            env.setdefault(name, value)
    return env


class CallerStream(NamedTuple):
    """What a descriptor is: as stat(2) has it. Zeros: it is closed."""

    device: int
    inode: int
    special: int
    mode: int
    links: int


def stream_of(info: os.stat_result) -> CallerStream:
    return CallerStream(info.st_dev, info.st_ino, info.st_rdev, info.st_mode, min(info.st_nlink, 0xFFFFFFFF))


def streams(told: bytes) -> tuple[CallerStream, CallerStream]:
    """Standard output and error of a request's caller, from `RecorderRequest.streams`."""
    half = _STREAM.size
    return CallerStream(*_STREAM.unpack(told[:half])), CallerStream(*_STREAM.unpack(told[half:]))


def own_streams() -> bytes:
    """What the request of a call that was given the streams of this process tells as `RecorderRequest.streams`."""
    told = b""
    for descriptor in (1, 2):
        try:
            told += _STREAM.pack(*stream_of(os.fstat(descriptor)))
        except OSError:
            told += bytes(_STREAM.size)
    return told


def _framed(payload: bytes) -> bytes:
    return _LENGTH.pack(len(payload)) + payload


def reply_exit(status: int, stdout: bytes = b"", stderr: bytes = b"") -> bytes:
    return _framed(struct.pack("<B3xiII", 0, status, len(stdout), len(stderr)) + stdout + stderr)


def reply_exec(program: bytes, argv: Sequence[bytes], env_edits: Sequence[bytes]) -> bytes:
    strings = b"".join(s + b"\0" for s in (program, *argv, *env_edits))
    return _framed(struct.pack("<B3xII", 1, len(argv), len(env_edits)) + strings)


def edits_for_real(env: Mapping[bytes, bytes]) -> list[bytes]:
    """What is changed in the environment of a program that runs past us: a PATH without our shims, if it has one."""
    return [b"GG_BYPASS=1", *(b"PATH=" + path for path in [env.get(b"PATH")] if path is not None)]


HANG_UP = b""
"""No reply: the connection is closed, and the caller does as if there were no recorder."""


def reply_ready() -> bytes:
    return _framed(struct.pack("<B3x", 2))


UNMADE = 67
"""The status of a reader's reply when the command of its file has failed, and nobody drops its status: without gg no reader
would have come. An older file may stand there again.
"""


def reply_failed(status: int, stderr: bytes) -> bytes:
    return _framed(struct.pack("<B3xiII", 3, status, 0, len(stderr)) + stderr)
