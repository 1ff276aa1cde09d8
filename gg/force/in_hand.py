"""The attempts that engines have been given: what each engine is told, the resolved thunk, and what it may cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gg.core.ids import ThunkId
from gg.core.resolve import Resolved
from gg.core.thunk import File
from gg.engines.engine import Answer, Engine, Submission
from gg.force.cone import Cone
from gg.force.mailbox import Mailbox
from gg.force.outcome import Spending
from gg.force.telling import Telling
from gg.schedule import commands
from gg.schedule.events import AttemptId
from gg.store.durations import Durations

if TYPE_CHECKING:
    from gg.force.staying import Staying


class InHand:
    """Begins attempts and ends them. `extra`: further inputs that earlier attempts found a thunk to need. `closed`: no attempt is
    begun any more, also if it was chosen before the scheduler heard of that.
    """

    def __init__(
        self,
        engines: Mapping[str, Engine],
        cone: Cone,
        durations: Durations,
        mail: Mailbox,
        telling: Telling,
        budget: Spending | None,
        staying: Staying | None,
    ) -> None:
        self._engines = engines
        self._cone = cone
        self._durations = durations
        self._mail = mail
        self._tell = telling
        self._budget = budget
        self._staying = staying
        self._given: dict[int, tuple[ThunkId, Resolved]] = {}
        self.extra: dict[ThunkId, tuple[File, ...]] = {}
        self.closed = False

    def __len__(self) -> int:
        return len(self._given)

    def submit(self, command: commands.Start) -> list[AttemptId]:
        """Begin attempts that go together. The answer is those not begun, since the budget is too small or all is closed."""
        if self.closed:
            return [each.attempt for each in (command, *command.more)]
        starts: list[Submission] = []
        refused: list[AttemptId] = []
        for each in (command, *command.more):
            start = self._begin(each)
            if start is None:
                refused.append(each.attempt)
            else:
                starts.append(start)
        if starts:
            first = starts[0]._replace(more=tuple(starts[1:])) if len(starts) > 1 else starts[0]
            self._engines[command.engine].submit(first, self._mail.answer)
        return refused

    def _begin(self, command: commands.Start) -> Submission | None:
        """What an engine is given for an attempt, which is counted from now on; None when the budget is too small for it."""
        assert isinstance(command.id, bytes)
        name = ThunkId(command.id)
        given = self._cone.resolve(name)
        if self._budget is not None:
            known = self._durations.of(given.thunk)
            seconds = known.seconds if known else None
            if not self._budget.begin(command.attempt, command.engine, given.thunk.work, seconds, command.memory):
                return None
        self._given[command.attempt] = name, given
        self._tell.started(name, given.thunk, command.engine)
        extra = self.extra.get(name, ())
        return Submission(
            command.attempt,
            name,
            given.thunk,
            extra,
            command.deadline,
            command.memory,
            given.encoded,
            command.hedge,
            self._mail.sent,
            stays=self._staying.why(given.thunk, extra) if self._staying else b"",
        )

    def end(self, answers: Sequence[Answer]) -> list[tuple[ThunkId, Resolved]]:
        """Count these attempts as ended. The answer is each one's thunk, by its name and as it was resolved."""
        if self._budget is not None:
            for answer in answers:
                self._budget.end(answer.attempt)
        return [self._given.pop(answer.attempt) for answer in answers]
