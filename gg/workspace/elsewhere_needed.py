"""The error when work is to run on other machines that only the workspace's `gg.toml` names, and the user has not allowed them."""

from __future__ import annotations

import json
from collections.abc import Collection

from gg.errors import SetupError
from gg.workspace.engine_names import ELSEWHERE, PLACES
from gg.workspace.settings import Held, Settings

_WHERE = ("engine", "fallback", "store", *(setting for settings in PLACES.values() for setting in settings))


def need_place(held: Held, settings: Settings, given: set[str], needed: Collection[str] = ()) -> None:
    """SetupError if the user wants work done elsewhere and only the workspace's file says where: a guess might be wrong.

    `settings`: those that count. `given`: names of those that the user gave. `needed`: settings without which nothing can be done.
    """
    elsewhere = settings.store or ELSEWHERE & {*settings.engine, settings.fallback} or settings.fallback == "never"
    about = [n for n in (*_WHERE, *needed) if n in held.said and n not in given and (elsewhere or n in needed)]
    if about:
        raise SetupError(
            f"{json.dumps(held.path)[1:-1]} says where this is to run ({', '.join(dict.fromkeys(about))}), and is not allowed to",
            hint=f"gg trust shows it and asks; where nobody can be asked: GG_TRUST={held.digest}",
        )
