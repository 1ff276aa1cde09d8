"""Calls that ran for real because their result tells the time, as thunks that can be run at another time.

Such a call is never deferred: its bytes are those of the moment. To see what of its output the clock decides, it is captured once
more from the session's list of calls, with the environment of today.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from gg.core.ids import ThunkId
from gg.light.named import NamedTuple
from gg.models.drafts import Call, RunReal, Tool
from gg.record.capture import TELLS_THE_TIME, Capture, Captured
from gg.record.world import World
from gg.workspace import history

if TYPE_CHECKING:
    from gg.host.filedb import FileDB
    from gg.store.base import Store
    from gg.workspace.workspace import Workspace


class Dated(NamedTuple):
    """A call that told the time. `paths` are its outputs, as they are on this machine; `thunk` is in the store."""

    thunk: ThunkId
    paths: tuple[bytes, ...]


def dated(workspace: Workspace, store: Store, files: FileDB, environment: Mapping[str, str]) -> list[Dated]:
    """The calls of the last recording that told the time, as far as they can be captured now."""
    calls = [call for call in history.calls(workspace) if call.get("why") == TELLS_THE_TIME]
    if not calls:
        return []
    from gg.models.by_tool import MODELS
    from gg.record.finder import Finder

    world = World(os.fsencode(workspace.root), files, store, _refuse)
    capture = Capture(world, store, clocks=True)
    finder = Finder(os.fsencode(workspace.shims), world.stable)
    env = {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
    found = []
    for each in calls:
        argv, cwd = each.get("argv"), os.fsencode(str(each.get("cwd")))
        model = MODELS.get(str(each.get("tool")))
        if model is None or not isinstance(argv, list):
            continue
        words = tuple(os.fsencode(str(word)) for word in argv)
        program = finder.find(words[0], env.get(b"PATH", b""), cwd)
        if program is None:
            continue
        call = Call(Tool(str(each["tool"]), program), words, cwd, env)
        with suppress(OSError):
            world.begin()
            answer = model(call, world)
            captured = capture.capture(answer, call) if not isinstance(answer, RunReal) else answer
            if isinstance(captured, Captured):
                found.append(Dated(captured.id, tuple(output.path for output in captured.outputs)))
    return found


def _refuse(paths: Sequence[bytes]) -> None:
    raise OSError(f"{os.fsdecode(paths[0])} is not made yet")
