"""Which settings of a workspace count before this user has allowed them: those that change nothing outside of the tree.

A tree may have come from a stranger, and building it runs its code with the user's rights anyway. So a setting is harmless if
it adds no danger: it sends no data away, has nobody's results believed, spends no money, and lifts no limit of the user's own.
A setting that is not in this list is not harmless, new ones included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gg.workspace.engine_names import ELSEWHERE

HarmlessRule = Callable[[Any, Any], bool]


def _always(before: object, after: object) -> bool:
    return True


HARMLESS: Mapping[str, HarmlessRule] = {
    "jobs": _always,
    "silence": _always,
    "keep_going": _always,
    "known_as": _always,
    "memory": _always,
    "real": _always,
    "retries": _always,
    "trace": _always,
    # To run things here costs nothing; an unknown engine is an error anyway.
    "engine": lambda before, after: not ELSEWHERE & set(after),
    "fallback": lambda before, after: after not in ELSEWHERE,
    "isolation": lambda before, after: after != "pathmap",
    "share": lambda before, after: not after,
    "budget": lambda before, after: not before or after <= before,
}
"""For each setting, a function: is the value `after` harmless where it was `before`?"""

ASKED = frozenset({"readable", "store", "store_size", "trusted"})
"""Settings that are never harmless, besides those of an engine. A test finds one that is nowhere. `store_size` affects all
workspaces' store."""


def is_harmless(name: str, before: object, after: object) -> bool:
    """Whether a workspace may set `name` to `after` unasked. A value that changes nothing is harmless."""
    rule = HARMLESS.get(name)
    return before == after or (rule is not None and rule(before, after))


def beyond_harmless(before: object, after: object, values: Mapping[str, object]) -> dict[str, object]:
    """Those of `values` that a workspace may not set unasked, by setting."""
    return {n: value for n, value in values.items() if not is_harmless(n, getattr(before, n), getattr(after, n))}
