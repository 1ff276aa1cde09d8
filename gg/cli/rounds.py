"""`gg-infer --force COMMAND`: records and forces, again and again, until COMMAND was told the truth about every call.

A recorded call is told that it went well. If it fails when it is forced, COMMAND has gone on from an untruth. Recorded again, the
call fails at once, and COMMAND does what it would do without gg. The rounds end when a force finds no failure that COMMAND did
not know; each round knows of more failures.

A make or the like may be started any number of times. Another command may do things that must not be done twice: for such a
command gg ends with the failure's status, and says what to do.
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

_MOST = 10  # rounds; more than two are rarely needed
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

    `record` runs COMMAND and returns its status, negative for a signal; it adds the thunks about which COMMAND was told the truth
    to the set. `force(held, keep_going)` forces everything and returns its status; failures go to the list instead of being shown.
    `failures`: the thunks that the force has found to fail.
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
        if new and not told and not status:  # files of the last round make it believe that everything is made
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
    """Whether the command only builds what is not built yet, so that it can be run any number of times."""
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
    """What `gg-infer --force` does. `flags`: settings for both parts; `how`: further arguments of `infer`."""
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
