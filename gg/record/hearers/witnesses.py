"""Who would notice that a call is deferred: whoever hears what it prints, acts on its status, or has set limits for it."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from gg.light.named import NamedTuple
from gg.light.plain_files import is_within
from gg.record import protocol
from gg.record.launching.limits import CallerLimits
from gg.record.outputs import IN_PLACE, named

if TYPE_CHECKING:
    from gg.models.drafts import Call, Draft
    from gg.record.hearers.audience import Audience
    from gg.record.hearers.branches import Branches
    from gg.record.protocol import RecorderRequest


OUTSIDE = "its makefile changes a file outside of the workspace behind it"


class Witnessed(NamedTuple):
    """What was found. `why`: why the call cannot wait; empty if it can. `by`: who passes on what it prints
    (`gg.core.colour.By`). `excused`: its caller drops its status. `heard`: what it prints goes somewhere. `stamps`: targets that
    makes make by hand behind it. `answers`: the make above it that tells its status when it ends; 0: none.
    """

    why: str = ""
    by: int = 0
    excused: bool = False
    heard: bool = True
    stamps: tuple[bytes, ...] = ()
    answers: int = 0


class Witnesses:
    """Looks for those of each call, in one session."""

    def __init__(self, root: bytes, marks: bytes) -> None:
        """`root`: of the workspace; `marks`: see `Branches`."""
        self._root, self._marks = root, marks
        own = protocol.own_streams()  # where errors go to /dev/null, it takes a closer look
        self._passed_down = b"" if protocol.streams(own)[1].special == protocol.NULL else own
        self._limits = CallerLimits()

    @cached_property
    def _audience(self) -> Audience:
        from gg.record.hearers.audience import Audience

        return Audience(protocol.streams(protocol.own_streams()))

    @cached_property
    def _branches(self) -> Branches:
        from gg.record.hearers.branches import Branches

        return Branches(self._root, self._marks)

    def of(self, draft: Draft, call: Call, request: RecorderRequest) -> Witnessed:
        """Who would notice, this call's outputs aside."""
        why = self._limits.why_at_once(request.pid)
        if why:
            return Witnessed(why)
        why, by = self._listening(draft, request)
        if why:
            return Witnessed(why)
        heeded = self._branches.of(request.pid, call.argv)
        why = "" if draft.work in IN_PLACE else heeded.why  # the status of an edit need not be true
        stamps = (
            heeded.behind(named(each.path, call.cwd) for each in draft.outputs)
            if heeded.needed or heeded.stamps
            else ()
        )
        inside = tuple(path for path in stamps if is_within(self._root, os.path.dirname(path)))
        if len(inside) < len(stamps) and draft.work not in IN_PLACE:
            others = [path for path in stamps if path not in inside]
            if not all(os.path.isfile(os.path.dirname(path)) for path in others):  # in a file there is nothing
                why = why or OUTSIDE
        return Witnessed(why, by, heeded.dropped, self._is_heard(request), inside, heeded.answers)

    def _listening(self, draft: Draft, request: RecorderRequest) -> tuple[str, int]:
        """Why what the call prints cannot wait, empty if it can; and who passes it on."""
        if request.streams == self._passed_down:
            return "", 0
        out, errors = protocol.streams(request.streams)
        why = self._audience.why_at_once(out, errors, request.pid, tried=draft.work not in IN_PLACE)
        return why, int(self._audience.by)

    def _is_heard(self, request: RecorderRequest) -> bool:
        """Whether what it prints goes anywhere. libtool compiles once more for a static library, with all of it dropped."""
        if not self._passed_down or request.streams == self._passed_down:
            return True
        return protocol.streams(request.streams)[1].special != protocol.NULL
