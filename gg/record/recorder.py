"""Answers each call of a tool: with a placeholder, or by letting the real tool run.

The recorder is single-threaded: one call is modelled at a time, in a millisecond or less. What must wait for a force
is handed to the session's force service and answered when that is done, so other calls go on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from gg.errors import GGError, StoreError
from gg.light.slotted import slotted
from gg.models.drafts import Answer, Call, Draft, Model, RunReal, Tool
from gg.models.tool_names import LAUNCHERS
from gg.record import protocol
from gg.record.capture import Capture, Captured
from gg.record.hearers.callers import here, why_real
from gg.record.launching.launchers import is_launcher, launched
from gg.record.launching.limits import Limits
from gg.record.leave import CannotLeave, Leaver
from gg.record.outputs import IN_PLACE, joined, named
from gg.record.protocol import Op, Request

if TYPE_CHECKING:
    from gg.record.calls import Calls, Read
    from gg.record.depfiles.rules import Rules
    from gg.record.hearers.audience import Audience
    from gg.record.hearers.branches import Branches
    from gg.record.world import World
    from gg.workspace.ledger import Ledger

_SHIM = b"gg-shim"
Reply = Callable[[bytes], None]
Namer = Callable[[bytes, bytes, Sequence[bytes]], str | None]
"""A tool's canonical name, from the name it is called by, its file and argv. None: it has no model. Empty: it was only
caught because a declared one has its name, and runs as if nobody had looked."""


@slotted()
class Forced:
    """How a force of some paths ended. 0: none of them is a placeholder any more, each is the real file, or gone because its
    command failed, as its user was told. Else gg's own trouble, and what is to be said of it.
    """

    status: int = 0
    stderr: bytes = b""


class ForceService(Protocol):
    """Forces placeholders in the background of a session.

    `broken`: what a bug in it has raised. `reads`: who was answered; `forced`: thunks whose files are in their places.
    """

    broken: Exception | None
    reads: list[Read]
    forced: set[bytes]

    def force(self, paths: Sequence[bytes], then: Callable[[Forced], None], reader: bytes = b"") -> None:
        """Force all of `paths`, then call `then` from any thread. `reader`: the program that waits for them."""
        ...

    def now(self, paths: Sequence[bytes]) -> None:
        """Force and wait; OSError when it fails, for a model treats it like a file it cannot read."""
        ...


class Recorder:
    """One session's answers."""

    def __init__(
        self,
        *,
        world: World,
        capture: Capture,
        models: Mapping[str, Model],
        names: Namer,
        real: Callable[[bytes, bytes, bytes], bytes | None],
        leaver: Leaver,
        calls: Calls,
        rules: Rules,
        ledger: Ledger,
        forces: ForceService,
        shims: bytes,
        always_real: frozenset[str] = frozenset(),
        listener: Callable[[Call, Captured], None] | None = None,
    ) -> None:
        self._world = world
        self._capture = capture
        self._models = models
        self._names = names
        self._real = real
        self._leaver = leaver
        self._calls = calls
        self._rules = rules
        self._ledger = ledger
        self._forces = forces
        self._shims = shims
        self._always_real = always_real
        self._listener = listener
        own = protocol.own_streams()  # where errors go to /dev/null, it takes a closer look
        self._passed_down = b"" if protocol.streams(own)[1].special == protocol.NULL else own
        self._audience: Audience | None = None
        self._by = 0  # of the call that is modelled: who passes on what it prints (`gg.core.colour.By`)
        self._branches: Branches | None = None
        self._dropped = False  # whoever called what is modelled drops its status
        self._limits = Limits()
        self._environment: tuple[Mapping[bytes, bytes], Mapping[bytes, bytes]] = ({}, {})

    def handle(self, request: Request, reply: Reply) -> None:
        """Answer one request, now or later."""
        if request.op is Op.FORCE:
            self._force_on_read(request, reply)
            return
        if request.op is Op.UNWATCHED:
            self._calls.unwatched[os.fsdecode(os.path.basename(request.path))] += 1
            reply(protocol.reply_exit(0))
            return
        called = request.path or request.argv[0] if request.argv else request.path
        inner = launched(request) if is_launcher(called) and not request.away else None
        if inner is not None:
            request, called = inner, inner.argv[0]
        program = self._program(request)
        if program is None:
            text = b"gg: " + os.path.basename(called) + b": command not found\n"
            reply(protocol.reply_exit(127, b"", text))
            return
        name = self._names(called, program, request.argv)
        argv = self._argv(request, program)
        if name == "" or name in LAUNCHERS or (inner is not None and name is None):
            reply(protocol.reply_exec(program, argv, ()))
            return
        call = Call(Tool(name or "", program), argv, request.cwd, self._clean(request.env))
        forbidden = why_real(request)
        answer = RunReal(forbidden) if forbidden else self._answer(call, request)
        unmade = self._unmade(call, answer) if self._ledger.has_unmade else b""
        if unmade:
            self._calls.ran(call.tool.name, "what it reads was not made", probe=False, argv=call.argv, cwd=call.cwd)
            text = b"gg: %s is not run: the command that was to make %s has failed\n" % (
                os.path.basename(called),
                unmade,
            )
            reply(protocol.reply_exit(1, b"", text))
            return
        if isinstance(answer, RunReal):
            self._run_real(call, answer, request, reply)
            return
        try:
            real = self._left(call, answer, request)
        except (GGError, OSError) as error:
            status = error.exit_code if isinstance(error, GGError) else StoreError.exit_code
            reply(protocol.reply_exit(status, b"", os.fsencode(f"gg: {error}\n")))
            return
        if real is not None:
            self._run_real(call, real, request, reply)
        else:
            reply(protocol.reply_exit(0))

    def _clean(self, env: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
        """`without_ours`, remembered: the calls of a make share their environment, as an object too."""
        raw, clean = self._environment
        if raw is not env:
            clean = without_ours(env, self._shims)
            self._environment = env, clean
        return clean

    # Which program

    def _program(self, request: Request) -> bytes | None:
        path, cwd = request.env.get(b"PATH", b""), request.cwd
        if request.path and request.away:
            return request.path
        if request.path:
            return self._real(named(request.path, cwd), path, cwd)
        argv0 = request.argv[0]
        if b"/" in argv0:
            full = named(argv0, cwd)
            if os.path.dirname(full) != self._shims and os.path.isfile(full):
                return self._real(full, path, cwd)
        return self._real(os.path.basename(argv0), path, cwd)

    def _argv(self, request: Request, program: bytes) -> tuple[bytes, ...]:
        """The arguments, the tool's own name not that of a shim: a driver looks for its parts beside it."""
        if request.argv and os.path.dirname(request.argv[0]) == self._shims:
            return (program, *request.argv[1:])
        if request.path and os.path.basename(request.argv[0]) == _SHIM:  # valgrind names a program by its file
            return (request.path, *request.argv[1:])
        return request.argv

    def _answer(self, call: Call, request: Request) -> Captured | RunReal:
        name = call.tool.name
        if name in self._always_real:
            return RunReal("the settings say so")
        if not call.cwd:
            return RunReal("its working directory is gone")
        model = self._models.get(name)
        if model is None:
            return RunReal("no model for this tool")
        from gg.record.doubt import doubt

        try:
            why = doubt(call)
            if why:
                return RunReal(why)
            self._world.begin()
            moved = self._world.canon.moved
            answer = self._ask(model, call, request)
            if self._world.canon.moved != moved:  # a directory is called otherwise than the model remembered
                self._world.renew()
                answer = self._ask(model, call, request)
        except GGError as error:
            return RunReal(str(error))
        except Exception as error:  # a bug of ours must not stand in a build's way; it is counted and told as a reason
            return RunReal(f"internal error: {type(error).__name__}: {error}")
        if isinstance(answer, Captured) and self._ledger.has_failed(answer.id):
            return RunReal("it has failed before", reads=answer.draft.inputs)
        return answer

    def _ask(self, model: Model, call: Call, request: Request) -> Captured | RunReal:
        from gg.record.doubt import doubt_of

        answer: Answer = model(call, self._world)
        if isinstance(answer, RunReal):
            return answer
        why = (
            doubt_of(answer, call) or self._limits.why_at_once(request.pid) or self._why_at_once(answer, call, request)
        )
        return RunReal(why, reads=answer.inputs) if why else self._capture.capture(answer, call)

    def _why_at_once(self, draft: Draft, call: Call, request: Request) -> str:
        """Why the call cannot wait, its outputs aside; empty if it can."""
        return self._why_heard(draft, request) or self._why_told(draft, call, request)

    def _why_heard(self, draft: Draft, request: Request) -> str:
        """Why what it prints cannot wait; empty if it can."""
        self._by = 0
        if request.streams == self._passed_down:
            return ""
        if self._audience is None:
            from gg.record.hearers.audience import Audience

            self._audience = Audience(protocol.streams(protocol.own_streams()))
        out, errors = protocol.streams(request.streams)
        why = self._audience.why_at_once(out, errors, request.pid, tried=draft.work not in IN_PLACE)
        self._by = int(self._audience.by)
        return why

    def _why_told(self, draft: Draft, call: Call, request: Request) -> str:
        """Why its status must be true, edits of files that are there aside; empty if it need not."""
        self._dropped = False
        if draft.work in IN_PLACE:
            return ""
        if self._branches is None:
            from gg.record.hearers.branches import Branches

            self._branches = Branches()
        why, self._dropped = self._branches.of(request.pid, call.argv)
        return why

    # A real run

    def _run_real(self, call: Call, answer: RunReal, request: Request, reply: Reply) -> None:
        why = answer.why
        self._calls.ran(call.tool.name, why, probe=answer.probe, argv=call.argv, cwd=call.cwd)
        edits = [] if answer.nested else [b"GG_BYPASS=1", b"PATH=" + call.env.get(b"PATH", b"")]
        go = protocol.reply_exec(call.tool.path, call.argv, edits)
        waiting = self._placeholders_read(call, answer)
        if not waiting:
            reply(go)
            return

        def then(forced: Forced) -> None:
            reply(protocol.reply_exit(forced.status, b"", forced.stderr) if forced.status else go)

        self._calls.forced += len(waiting)
        self._forces.force(waiting, then, call.tool.path)

    def _unmade(self, call: Call, answer: Captured | RunReal) -> bytes:
        """Which file that the call reads was to be made by one that has failed after it was said to have gone well; empty: none.
        Whoever had been told the truth would not have come this far, and what the tool would say of it is beside the point.
        """
        if isinstance(answer, Captured):
            reads: Sequence[bytes] = answer.draft.inputs
        elif answer.reads:
            reads = answer.reads
        else:
            before = zip((b"", *call.argv), call.argv, strict=False)
            reads = _operands([word for last, word in before if last != b"-o" and word[:2] != b"-o"], call.cwd)
        paths = (named(name, call.cwd) for name in reads if name and call.cwd)
        return next((name for name in paths if self._ledger.is_unmade(name)), b"")

    def _placeholders_read(self, call: Call, answer: RunReal) -> list[bytes]:
        names = [call.tool.path, *answer.reads]
        if answer.reads_all:
            names += _operands(call.argv, call.cwd)
        names = [name for name in names if name and (call.cwd or name.startswith(b"/"))]
        found = dict.fromkeys(named(name, call.cwd) for name in names)
        return [path for path in found if self._world.is_placeholder(path)]

    def _force_on_read(self, request: Request, reply: Reply) -> None:
        def then(forced: Forced) -> None:
            reply(protocol.reply_failed(forced.status, forced.stderr) if forced.status else protocol.reply_ready())

        path = here(request, named(request.path, request.cwd)) if request.path else self._world.root
        if self._rules.exact(path, lambda: reply(protocol.reply_ready()), self._force_one):
            return
        if not self._world.is_placeholder(path) and os.path.isfile(path):  # somebody else's, or made exact meanwhile
            reply(protocol.reply_ready())
            return
        self._calls.forced += 1
        self._forces.force([path], then, request.argv[0] if request.argv else b"")

    def _force_one(self, path: bytes, then: Callable[[], None]) -> None:
        self._forces.force([path], lambda forced: then())

    # A thunk

    def _left(self, call: Call, captured: Captured, request: Request) -> RunReal | None:
        """Leave what stands for the outputs; why the call must run for real, where nothing can be left."""
        paths = [output.path for output in captured.outputs if not (output.soft or output.optional)]
        heard = self._is_heard(request)
        try:
            self._leaver.leave(
                call,
                captured,
                request.umask,
                lambda: self._ledger.record(
                    captured.id, paths, request.umask & 0o777, heard=heard, by=self._by, excused=self._dropped
                ),
            )
        except CannotLeave as error:
            return RunReal(str(error), reads=captured.draft.inputs)
        new = self._capture.is_new(captured.id)
        self._calls.captured(captured.id, call.tool.name, captured.draft.work.value, new=new)
        if self._listener:
            self._listener(call, captured)
        return None

    def _is_heard(self, request: Request) -> bool:
        """Whether what it prints goes anywhere. libtool compiles once more for a static library, with all of it dropped."""
        if not self._passed_down or request.streams == self._passed_down:
            return True
        return protocol.streams(request.streams)[1].special != protocol.NULL


def without_ours(env: Mapping[bytes, bytes], shims: bytes) -> Mapping[bytes, bytes]:
    """The caller's environment without what gg put there."""
    clean = {k: v for k, v in env.items() if not k.startswith(b"GG_")}
    clean.pop(b"LD_PRELOAD", None)
    path = env.get(b"PATH")
    if path and shims in path:
        clean[b"PATH"] = b":".join(part for part in path.split(b":") if part.rstrip(b"/") != shims)
    return clean


def _operands(argv: Sequence[bytes], cwd: bytes) -> list[bytes]:
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
    try:
        with open(path, "rb") as file:
            return file.read().split()
    except OSError:
        return []
