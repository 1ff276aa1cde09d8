"""What all parts of the scheduler share: the policy, the time, how far the run has come, and the commands of this step."""

from __future__ import annotations

from gg.schedule.commands import Command
from gg.schedule.policy import Policy


class Course:
    """Where a run stands. `out`: the commands of this step so far. `cause`: the class of the event that is being handled.

    `halted`: a node failed, and the policy is not to keep going. `stopped`: nothing is ever started again.
    """

    __slots__ = ("cause", "halted", "now", "out", "policy", "stopped")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.now = 0.0
        self.out: list[Command] = []
        self.cause: type = type(None)
        self.halted = False
        self.stopped = False

    @property
    def over(self) -> bool:
        """Whether nothing new may be started now."""
        return self.halted or self.stopped
