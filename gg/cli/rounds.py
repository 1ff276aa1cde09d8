"""`gg-infer --force COMMAND`: record and force, and again, until COMMAND was told the truth of every call.

A recorded call is said to have gone well. Where it turns out that it fails, COMMAND has gone on from an untruth: recorded
again, the call fails at once, and COMMAND takes the way that it takes without gg. That ends when a force finds no failure
that COMMAND has not known; each round knows of more.

A make or the like may be started as often as one likes. Any other command may do what must not be done twice: it ends with
the failure's status, and what to do is said.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gg.observe.quiet import Quiet
from gg.observe.sink import TextOutput
from gg.observe.wording import count

if TYPE_CHECKING:
    from gg.observe.build_events import ThunkFailed

_MOST = 10  # rounds; one more is rarely needed
_MAKES = ("make", "gmake", "remake", "bmake", "ninja", "ninja-build", "samu", "scons", "waf")
_BUILDS = {"cmake": "--build", "meson": "compile"}
_BEFORE = ("env", "nice", "ionice", "time", "nohup", "stdbuf", "setarch")
_STOPPED = (130, 79)  # by the user, at the budget

ForceOnce = Callable[[list["ThunkFailed"] | None, bool], int]


def rounds(
    command: Sequence[str],
    *,
    record: Callable[[set[bytes]], int],
    force: ForceOnce,
    failures: Callable[[], Sequence[bytes]],
) -> int:
    """The exit status that COMMAND would have had without gg.

    `record`: run COMMAND, its status, negative for a signal; the thunks that it was told the truth of go into the set.
    `force(held, keep_going)`: force all of it, where failures go to the list instead of being shown; its status. `failures`: the
    thunks that it has found to fail.
    """
    again = may_run_again(command)
    seen: set[bytes] = set()
    held: list[ThunkFailed] = []
    new: set[bytes] = set()
    forced = missed = 0
    for turn in range(_MOST):
        told: set[bytes] = set()
        status = record(told)
        _show([each for each in held if bytes.fromhex(each.id) not in told])
        if new and not told and not status:  # by what it left behind, it takes all of it for made
            missed = forced
            _say(
                f"{command[0]} did not call that again, for it finds made what it made afterwards: remove that, to build anew"
            )
        held = []
        if status < 0:
            return status
        forced = force(held if again else None, turn > 0)
        new = set(failures()) - seen
        seen |= new
        if not new or not again or forced in _STOPPED:
            _show(held)
            break
        _say(f"{count(len(new), 'command')} failed that {command[0]} does not know of: it is run again, to be told")
    if new and not again:
        _say(f"{command[0]} was not told of that: run the same again, and it will be")
    return status or forced or missed


def may_run_again(command: Sequence[str]) -> bool:
    """Whether the command is one that builds what is not built yet, so that it can be run any number of times."""
    words = [word for word in command if word not in _BEFORE]
    while len(words) > 1 and ("=" in words[0] or words[0].startswith("-")):
        del words[0]
    name = os.path.basename(words[0]) if words else ""
    return name in _MAKES or _BUILDS.get(name, "\0") in words


def _show(failed: Sequence[ThunkFailed]) -> None:
    sink = Quiet(TextOutput(sys.stdout.buffer), TextOutput(sys.stderr.buffer))
    for each in failed:
        sink.see(each)


def _say(text: str) -> None:
    sys.stderr.write(f"gg: {text}\n")
    sys.stderr.flush()


def infer_and_force(arguments: Sequence[str], *, flags: dict[str, Any], **how: Any) -> int:
    """As `gg-infer --force`. `flags`: settings for both; `how`: what else `infer` takes."""
    from gg.cli.force_run import force
    from gg.cli.infer_run import infer
    from gg.workspace.ledger import Ledger
    from gg.workspace.workspace import Workspace

    quiet = bool(how.get("quiet"))

    def keep(held: list[ThunkFailed] | None, keep_going: bool) -> int:
        return force((), quiet=quiet, held=held, keep_going=True if keep_going else None, **flags)

    return rounds(
        arguments,
        record=lambda told: infer(arguments, told=told, **how, **flags),
        force=keep,
        failures=lambda: Ledger(Workspace.need().dot).standing(),
    )
