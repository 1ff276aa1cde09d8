"""Which settings of a workspace count before this user has allowed them: those that change nothing outside of the tree.

A tree may have come from a stranger, and building it runs its code with the user's rights. So a setting is harmless if it
gives away nothing more: no data leaves this machine by it, nobody's results are believed, no money is spent, and no limit of
the user's own is lifted. What is not in this list is not harmless, whatever it will be.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from gg.errors import SetupError
from gg.workspace.settings import ELSEWHERE

if TYPE_CHECKING:
    from gg.workspace.settings import Held, Settings

Rule = Callable[[Any, Any], bool]

_WHERE = ("engine", "fallback", "store", "functions", "regions", "workers")


def _always(before: object, after: object) -> bool:
    return True


HARMLESS: Mapping[str, Rule] = {
    "jobs": _always,
    "keep_going": _always,
    "known_as": _always,
    "memory": _always,
    "real": _always,
    "retries": _always,
    "trace": _always,
    # What runs here costs nothing; an engine that there is none of is an error anyway.
    "engine": lambda before, after: not ELSEWHERE & set(after),
    "fallback": lambda before, after: after not in ELSEWHERE,
    "isolation": lambda before, after: after != "pathmap",
    "share": lambda before, after: not after,
    "budget": lambda before, after: not before or after <= before,
}
"""By setting: whether its value `after` is harmless where it was `before`."""

ASKED = frozenset({"functions", "readable", "regions", "store", "store_size", "trusted", "workers"})
"""Those that never are, named so that a test finds one that nobody has thought of. `store_size` is about all workspaces' store."""


def is_harmless(name: str, before: object, after: object) -> bool:
    """Whether a workspace may set `name` to `after` unasked. What changes nothing is harmless."""
    rule = HARMLESS.get(name)
    return before == after or (rule is not None and rule(before, after))


def need_place(held: Held, settings: Settings, given: set[str], needed: Collection[str] = ()) -> None:
    """SetupError where the user has work done elsewhere, and the workspace says where that is: a guess would be another place.

    `settings`: those that count. `given`: names of those that the user gave himself. `needed`: what nothing can be done without.
    """
    elsewhere = settings.store or ELSEWHERE & {*settings.engine, settings.fallback} or settings.fallback == "never"
    about = [n for n in (*_WHERE, *needed) if n in held.said and n not in given and (elsewhere or n in needed)]
    if about:
        raise SetupError(
            f"{json.dumps(held.path)[1:-1]} says where this is to run ({', '.join(dict.fromkeys(about))}), and is not allowed to",
            hint=f"gg trust shows it and asks; where nobody can be asked: GG_TRUST={held.digest}",
        )
