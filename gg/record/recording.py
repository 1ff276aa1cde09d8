"""One run of `gg-infer`: the recorder, its socket, and the command whose tools are recorded."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from gg.core.placeholder import PlaceholderWriter
from gg.host import native_programs as native
from gg.host.filedb import Common, FileDB
from gg.host.scratch import Scratch
from gg.record.called_tools import CalledTools, Namer
from gg.record.calls import CallCounts
from gg.record.capture import Capture, Captured
from gg.record.deferral import Deferral
from gg.record.depfiles.rules import Rules
from gg.record.depfiles.softfiles import SoftFiles
from gg.record.finder import Finder
from gg.record.leave import Leaver
from gg.record.modelling import Modelling
from gg.record.newfiles import NewFiles
from gg.record.readers import ForceService, Readers
from gg.record.recorder import Recorder
from gg.record.world import STABLE, World
from gg.store.base import Store
from gg.workspace import history
from gg.workspace.outside import OutsidePaths
from gg.workspace.stamps import Stamps

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.models.declared.declared_tool import Declarations
    from gg.models.drafts import Call, Model
    from gg.record.excused_outputs import ExcusedOutputs
    from gg.record.memo.memo_calls import Traced
    from gg.record.protocol import RecorderRequest, SendReply
    from gg.record.whole_makes import WholeMakes
    from gg.workspace.ledger import Ledger
from gg.workspace.workspace import Workspace


class RecordingSession:
    """Everything that one `gg-infer` needs; `run` it once, then `close`."""

    def __init__(
        self,
        workspace: Workspace,
        store: Store,
        forces: ForceService,
        ledger: Ledger,
        always_real: frozenset[str] = frozenset(),
        *,
        listener: Callable[[Call, Captured], None] | None = None,
        declared: Declarations | None = None,
        traced: Declarations | None = None,
        renaming: Renaming | None = None,
        common: str | None = None,
    ) -> None:
        """`common`: the directory of what a user's workspaces have in common, files of the system and answers of tools."""
        self._workspace = workspace
        self._store = store
        self._forces = forces
        self._ledger = ledger
        dot, tmp, shims = os.fsencode(workspace.dot), os.fsencode(workspace.tmp), os.fsencode(workspace.shims)
        shared = os.fsencode(common) if common else None
        self.calls = CallCounts(os.path.join(workspace.dot, "calls.jsonl"))
        self.stamps = Stamps(workspace.dot, workspace.root)
        self._files = FileDB(dot, Common(shared, STABLE) if shared else None)
        root, answers, recall = os.fsencode(workspace.root), os.path.join(dot, b"answers"), os.path.join(dot, b"recall")
        self._world = World(root, self._files, store, forces.now, answers, renaming, shared)
        self._soft = SoftFiles(store)
        self._rules = Rules(store, self._world.is_placeholder, ledger)
        self._scratch = Scratch(tmp)
        self._new_files = NewFiles(tmp, self._scratch.path())
        self._capture = Capture(self._world, store, renaming, recall)
        self._finder = Finder(shims, self._world.stable)
        self._tools = CalledTools(self._finder.find, _namer(declared), shims)
        modelling = Modelling(_models(declared), always_real, self._world, self._capture, ledger, tmp)
        self._recorder = self._make_recorder(modelling, listener)
        self._traced = self._tracing(traced) if traced else None
        self._has_met_a_bug = False

    @cached_property
    def _makes(self) -> WholeMakes:
        from gg.record.whole_makes import WholeMakes

        return WholeMakes(self._forces, self._ledger, os.fsencode(self._workspace.tmp))

    @cached_property
    def _excused(self) -> ExcusedOutputs:
        from gg.record.excused_outputs import ExcusedOutputs

        return ExcusedOutputs(self._forces, self._ledger, os.fsencode(self._workspace.tmp))

    def _make_recorder(self, modelling: Modelling, listener: Callable[[Call, Captured], None] | None) -> Recorder:
        writer, journal = (
            PlaceholderWriter(os.fsencode(native.shim())),
            OutsidePaths(self._workspace.dot, self._workspace.root),
        )
        leaver = Leaver(
            self._new_files, writer, self._world, self._soft, self._rules, journal.note, self._workspace.dot
        )
        late, kept = (lambda: self._makes, lambda: self._excused), (self.calls, self.stamps)
        deferral = Deferral(leaver, self._ledger, self._capture, *kept, *late, listener)
        reads = Readers(self._forces, self._world, self._rules, self.calls, self._ledger.is_unmade)
        return Recorder(self._tools, modelling, deferral, reads, self._ledger, self.calls, *late)

    def handle(self, request: RecorderRequest, reply: SendReply) -> None:
        """Answer one request of the build. A bug of ours costs that request, and not the recording."""
        sent: list[bytes] = []

        def once(data: bytes) -> None:
            if not sent:
                sent.append(data)
                reply(data)

        try:
            self._handle(request, once)
        except Exception as error:
            from gg.record.unhindered import answer_instead

            tell, self._has_met_a_bug = not self._has_met_a_bug, True
            answer_instead(error, request, once, self._recorder.run_anyway, tell=tell)

    def _handle(self, request: RecorderRequest, reply: SendReply) -> None:
        if self._traced is not None and request.cwd and self._traced.handle(request, reply):
            return
        self._recorder.handle(request, reply)

    def _tracing(self, patterns: Declarations) -> Traced:
        from gg.record.memo.memo_calls import Traced
        from gg.record.memo.whole_commands import Memo

        return Traced(
            memo=Memo(self._store, self._files, os.fsencode(self._workspace.tmp)),
            patterns=patterns,
            find=self._finder.find,
            clean=self._tools.without_ours,
            calls=self.calls,
            tracer=native.tracer(),
        )

    def note(self, command: Sequence[str], status: int, started: float) -> None:
        """Write the run to the workspace's history. `started` in seconds since the epoch.

        Raises what broke the forcer, if it broke: the build's status says nothing then.
        """
        self.calls.were_read(self._forces.reads, self._forces.forced)
        line = {
            "what": "infer",
            "time": started,
            "wall": time.time() - started,
            "command": list(command),
            "status": status,
            **self.calls.summary(),
            "recalled": self._capture.recalled,
        }
        history.append(self._workspace, line)
        if self._forces.broken is not None:
            raise self._forces.broken

    def close(self) -> None:
        self._soft.flush()
        self._rules.close(os.fsencode(self._workspace.root))
        self._capture.close()
        self._world.flush()
        self._files.flush()
        self._files.close()
        self._store.flush()
        self._new_files.close()
        self._scratch.close()
        self.calls.close()


def _namer(declared: Declarations | None) -> Namer:
    from gg.models.tool_names import tool_name

    def known(called: bytes, program: bytes, argv: Sequence[bytes]) -> str | None:
        return tool_name(os.path.basename(called))

    def known_or_declared(called: bytes, program: bytes, argv: Sequence[bytes]) -> str | None:
        assert declared
        table = declared.find(called, program, argv)
        if table is not None:
            return table.name
        name = known(called, program, argv)
        return "" if name is None and (declared.called(called) or declared.called(program)) else name

    return known_or_declared if declared else known


def _models(declared: Declarations | None) -> dict[str, Model]:
    """All models by the names of their tools; a declared one takes the place of ours."""
    from gg.models.by_tool import MODELS

    if not declared:
        return dict(MODELS)
    from gg.models.declared.tool_model import models

    return {**MODELS, **models(declared)}
