"""The runs of one workspace, or of all of this user's, with names by which they are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from blake3 import blake3

from gg.light.named import NamedTuple
from gg.workspace import history, homes
from gg.workspace.workspace import Workspace

DAY_S = 86400


class RunRecord(NamedTuple):
    """One gg-infer, gg-force or gg nix force that has ended: a line of a workspace's history. `name`: eight hex digits of its place
    and time.
    """

    name: str
    root: str
    record: Mapping[str, object]

    @property
    def what(self) -> str:
        """ "infer", "force" or "nix force"."""
        return str(self.record["what"])

    @property
    def command(self) -> str:
        """ "gg-force" """
        return command(self.what)

    @property
    def started(self) -> float:
        """Seconds since the epoch."""
        return self.number("time")

    @property
    def words(self) -> list[str]:
        """The command that was recorded, or the targets that were forced."""
        words = self.record.get("command" if self.what == "infer" else "targets")
        return [str(word) for word in words] if isinstance(words, list) else []

    def number(self, field: str) -> float:
        """A figure; 0 where an earlier version did not write it."""
        return _number(self.record.get(field))

    def table(self, field: str) -> dict[str, object]:
        value = self.record.get(field)
        return cast("dict[str, object]", value) if isinstance(value, dict) else {}

    @property
    def dollars(self) -> float:
        return _number(self.table("cost").get("total"))

    @property
    def forced_meanwhile(self) -> int:
        """How many thunks were forced while it recorded, for programs that read unmade outputs."""
        return int(_number(self.table("forced").get("thunks")))


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def workspaces(*, every: bool) -> list[Workspace]:
    """This directory's workspace (NotAWorkspace), or `every` one of this user, other than those with state of their own."""
    if not every:
        return [Workspace.need()]
    found: dict[str, Workspace] = {}
    for home in homes.believed_homes():
        for each in Workspace.every(home):
            found.setdefault(each.dot, each)
    here = Workspace.find()
    if here:
        found.setdefault(here.dot, here)
    return list(found.values())


def runs(places: Iterable[Workspace], since: float = 0.0) -> list[RunRecord]:
    """Their runs that began at or after `since`, the last one first."""
    found = [run for place in places for run in _of(place) if run.started >= since]
    return sorted(found, key=lambda run: run.started, reverse=True)


def _of(place: Workspace) -> Iterator[RunRecord]:
    for record in history.runs(place):
        if record.get("what") in ("infer", "force", "nix force"):
            name = blake3(f"{place.root}\0{record['what']}\0{record.get('time')}".encode("utf-8", "surrogateescape"))
            yield RunRecord(name.hexdigest(4), place.root, record)


def command(what: str) -> str:
    """The command whose runs are called so in the history."""
    return f"gg {what}" if " " in what else f"gg-{what}"


def named(places: Iterable[Workspace], name: str) -> RunRecord | None:
    """The run with this name, or the only one whose name begins so; None if there is none, or several."""
    found = [run for run in runs(places) if run.name.startswith(name)]
    return found[0] if len({run.name for run in found}) == 1 else None


def is_name(text: str) -> bool:
    """Whether a word may name a run: it is four to eight hex digits, and there is no such file."""
    digits = set("0123456789abcdef")
    return 4 <= len(text) <= 8 and set(text) <= digits and not os.path.lexists(text)
