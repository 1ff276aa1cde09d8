"""Settings of a workspace that this user has not allowed: shown and asked about on a terminal, else mentioned in one line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Iterator, Mapping

from gg.errors import StoreError
from gg.workspace import allowed, homes
from gg.workspace import settings as config
from gg.workspace.allowed import Allowance
from gg.workspace.elsewhere_needed import need_place


def settle(root: str | None, flags: Mapping[str, object], needed: Collection[str] = ()) -> config.Settings:
    """The settings that count, after asking the user. SetupError if work would go elsewhere than the workspace says.

    `needed`: settings without which nothing can be done.
    """
    held = config.held(root)
    if held is not None:
        _check(held)
        if _may_ask(held):
            ask(held)
            held = config.held(root)
    settings = config.load(root, **flags)
    if held is not None:
        need_place(held, settings, config.given(flags), needed)
        _tell(held)
    return settings


def ask(held: config.Held) -> bool:
    """Show the held settings and ask whether they count from now on. The answer is remembered."""
    sys.stderr.write("\n".join(("gg: " + _head(held), *shown(held), "Is this to count? [y/N] ")))
    sys.stderr.flush()
    yes = sys.stdin.readline().strip().lower() in ("y", "yes")
    answer(held, yes=yes)
    return yes


def answer(held: config.Held, *, yes: bool) -> None:
    home = homes.kept_home()
    if not home:
        hint = f"set GG_TRUST={held.digest}"
        raise StoreError(f"the answer cannot be remembered: {homes.home()} cannot be written", hint=hint)
    allowed.allow(home, Allowance("settings" if yes else "refused", held.digest, held.path))


def shown(held: config.Held) -> Iterator[str]:
    """The held settings, a line each. No text of theirs reaches a terminal raw: anybody may have written it."""
    for name, value in held.said.items():
        if name != "tool" or not isinstance(value, Mapping):
            yield f"    {name} = {_text(value)}"
            continue
        for tool, table in value.items():
            yield f"    [tool.{_text(tool)[1:-1]}]"
            rows = table.items() if isinstance(table, Mapping) else [("", table)]
            yield from (f"        {_text(key)[1:-1]} = {_text(each)}" for key, each in rows)


def _text(value: object) -> str:
    return json.dumps(value, default=str)


def _head(held: config.Held) -> str:
    if held.owner is not None:
        return f"{_text(held.path)[1:-1]} belongs to another user ({held.owner}). It says:"
    return f"{_text(held.path)[1:-1]} says what reaches out of this tree, or declares tools:"


def _may_ask(held: config.Held) -> bool:
    """Whether somebody sees the question, and has not said no before."""
    asked = sys.stdin.isatty() and sys.stderr.isatty()
    return bool(asked and homes.kept_home()) and not allowed.is_allowed(homes.home(), "refused", held.digest)


def _tell(held: config.Held) -> None:
    sys.stderr.write(f"gg: {line(held)}\n")


def line(held: config.Held) -> str:
    """One line that says that the settings do not count."""
    name = _text(os.path.relpath(held.path))[1:-1]
    whose = f" of another user ({held.owner})" if held.owner is not None else ""
    names = ", ".join("[tool]" if name == "tool" else name for name in held.said)
    return f"{name}{whose}: not counted until allowed by gg trust: {names}"


def _check(held: config.Held) -> None:
    """UsageError for an invalid value, as if the settings counted already."""
    if held.owner is None and (held.settings.store or held.settings.trusted):
        from gg.share.command_store import check

        check(held.settings)
