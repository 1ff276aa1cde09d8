"""Answers the calls of commands that are remembered whole: with their outcome, or by having them traced."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gg.core.ids import sandbox_path
from gg.errors import GGError
from gg.record import protocol
from gg.record.memo.whole_commands import MARK, Memo
from gg.record.protocol import Op, RecorderRequest, SendReply

if TYPE_CHECKING:
    from gg.models.declared.declared_tool import Declarations
    from gg.record.calls import CallCounts


class Traced:
    """One session's. `patterns` tell which programs; `clean` takes what gg put there out of an environment."""

    def __init__(
        self,
        *,
        memo: Memo,
        patterns: Declarations,
        find: Callable[[bytes, bytes, bytes], bytes | None],
        clean: Callable[[Mapping[bytes, bytes]], Mapping[bytes, bytes]],
        calls: CallCounts,
        tracer: str,
    ) -> None:
        self._memo = memo
        self._patterns = patterns
        self._find = find
        self._clean = clean
        self._calls = calls
        self._tracer = os.fsencode(tracer)

    def handle(self, request: RecorderRequest, reply: SendReply) -> bool:
        """Answer the request if it is about a remembered command; False if it is not."""
        if request.op is not Op.CALL or not request.argv:
            return False
        if request.path == MARK:
            self._ended(request)
            reply(protocol.reply_exit(0))
            return True
        called = request.path or request.argv[0]
        if not self._patterns.called(called):
            return False
        full = sandbox_path(called, request.cwd) if b"/" in called else called
        program = self._find(full, request.env.get(b"PATH", b""), request.cwd)
        if program is None:
            return False
        watched = b"GG_WATCHED" in request.env  # below a static program: the tracer would not see it all
        if not watched and self._memo.wants(program, request.argv, request.pid):
            self._answer(program, request, reply)
        else:
            reply(protocol.reply_exec(program, request.argv, ()))
        return True

    def _answer(self, program: bytes, request: RecorderRequest, reply: SendReply) -> None:
        env = self._clean(request.env)
        key = self._memo.key(program, request, env)
        try:
            known = self._memo.replay(key)
        except (GGError, OSError):
            known = None  # half in place at worst; the command itself puts it right
        if known is not None:
            self._calls.remembered += 1
            reply(protocol.reply_exit(*known))
            return
        name = os.fsdecode(os.path.basename(program))
        self._calls.ran(name, "watched for the next time", probe=True, argv=request.argv, cwd=request.cwd)
        argv = (b"gg-trace", self._memo.begin(key, program), program, *request.argv)
        reply(protocol.reply_exec(self._tracer, argv, protocol.edits_for_real(env)))

    def _ended(self, request: RecorderRequest) -> None:
        try:
            self._memo.ended(request.argv[1], int(request.argv[2]))
        except (GGError, OSError, KeyError, IndexError, ValueError) as error:
            self._memo.trouble = str(error)
        if self._memo.trouble:
            why = f"not remembered: {self._memo.trouble}"
            self._calls.ran("trace", why, probe=True, argv=request.argv, cwd=request.cwd)
