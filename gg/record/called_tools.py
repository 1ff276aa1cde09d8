"""Which tool a request calls: the real program behind the name, the name of its model, and the call as a model sees it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from gg.light.named import NamedTuple
from gg.models.drafts import Call, Tool
from gg.models.tool_names import LAUNCHERS
from gg.record.launching.launchers import is_launcher, launched
from gg.record.outputs import joined, named
from gg.record.protocol import RecorderRequest

_SHIM = b"gg-shim"
_MOST_WORDS = 64 << 20  # bytes of a response file
Namer = Callable[[bytes, bytes, Sequence[bytes]], str | None]
"""A tool's canonical name, from the name it is called by, its file and argv. None: it has no model. Empty: it was only
caught because a declared one has its name, and runs as if nobody had looked."""
FindTool = Callable[[bytes, bytes, bytes], bytes | None]
"""The real program of a name or path, from PATH and the working directory."""

_NAMES_SECRETS = b"GG_SECRETS"
"""Tells which other variables no thunk is given (`gg.core.secrets`)."""


class Called(NamedTuple):
    """What a request calls. `name`: what the caller said. `request`: the request, or the one inside a launcher's.

    `program`: the real program; None: there is none. `call`: None where the program runs as if nobody had looked, with `argv`.
    """

    name: bytes
    request: RecorderRequest
    program: bytes | None = None
    argv: tuple[bytes, ...] = ()
    call: Call | None = None


class CalledTools:
    """Tells what requests call, in one session. `shims`: the directory of ours on PATH."""

    def __init__(self, find: FindTool, name: Namer, shims: bytes) -> None:
        self._find = find
        self._name = name
        self._shims = shims
        self._environment: tuple[Mapping[bytes, bytes], Mapping[bytes, bytes]] = ({}, {})

    def of(self, request: RecorderRequest) -> Called:
        """What `request` calls; a launcher's call is that of the tool which it was given."""
        called = request.path or request.argv[0] if request.argv else request.path
        inner = launched(request) if is_launcher(called) and not request.away else None
        if inner is not None:
            request, called = inner, inner.argv[0]
        program = self._program(request)
        if program is None:
            return Called(called, request)
        name = self._name(called, program, request.argv)
        argv = self._argv(request, program)
        if name == "" or name in LAUNCHERS or (inner is not None and name is None):
            return Called(called, request, program, argv)
        call = Call(Tool(name or "", program), argv, request.cwd, self.without_ours(request.env))
        return Called(called, request, program, argv, call)

    def without_ours(self, env: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
        """The caller's environment without what gg put there. Remembered: the calls of a make share theirs, as an object too."""
        raw, clean = self._environment
        if raw is not env:
            clean = _without_ours(env, self._shims)
            self._environment = env, clean
        return clean

    def _program(self, request: RecorderRequest) -> bytes | None:
        path, cwd = request.env.get(b"PATH", b""), request.cwd
        if request.path and request.away:
            return request.path
        if request.path:
            return self._find(named(request.path, cwd), path, cwd)
        argv0 = request.argv[0]
        if b"/" in argv0:
            full = named(argv0, cwd)
            if os.path.dirname(full) != self._shims and os.path.isfile(full):
                return self._find(full, path, cwd)
        return self._find(os.path.basename(argv0), path, cwd)

    def _argv(self, request: RecorderRequest, program: bytes) -> tuple[bytes, ...]:
        """The arguments, with the real tool's name for the shim's: a driver looks for its parts beside its own name."""
        if request.argv and os.path.dirname(request.argv[0]) == self._shims:
            return (program, *request.argv[1:])
        if request.path and os.path.basename(request.argv[0]) == _SHIM:  # valgrind names a program by its file
            return (request.path, *request.argv[1:])
        if request.argv and b"/" in request.argv[0] and request.argv[0] != program:
            from gg.models.toolchain import is_masquerade

            if is_masquerade(
                named(request.argv[0], request.cwd)
            ):  # which calls the compiler by the compiler's own name
                return (program, *request.argv[1:])
        return request.argv


def _without_ours(env: Mapping[bytes, bytes], shims: bytes) -> Mapping[bytes, bytes]:
    clean = {k: v for k, v in env.items() if not k.startswith(b"GG_") or k == _NAMES_SECRETS}
    clean.pop(b"LD_PRELOAD", None)
    path = env.get(b"PATH")
    if path and shims in path:
        clean[b"PATH"] = b":".join(part for part in path.split(b":") if part.rstrip(b"/") != shims)
    return clean


def operands(argv: Sequence[bytes], cwd: bytes) -> list[bytes]:
    """Everything among the arguments that may name a file: plain ones, and what is joined to an option."""
    found: list[bytes] = []
    for arg in argv[1:]:
        if arg.startswith(b"@"):
            found += _response_file(joined(arg[1:], cwd))
        for piece in arg.split(b","):
            found.append(piece)
            if b"=" in piece:
                found.append(piece.partition(b"=")[2])
    return found


def _response_file(path: bytes) -> list[bytes]:
    from gg.light.plain_files import read_plain

    try:
        return read_plain(path, _MOST_WORDS).split()
    except OSError:
        return []
