"""Keeps a store small: what a workspace needs stays, and records of directories that are gone are removed."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from gg.light.named import NamedTuple
from gg.record.depfiles.softfiles import soft_key
from gg.store import growth
from gg.store.base import Key, Kind
from gg.store.collection import collect
from gg.store.directory import DirectoryStore
from gg.workspace import roots
from gg.workspace.ledger import Ledger
from gg.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gg.core.ids import ThunkId
    from gg.store.collection import CollectionReport

_LATER_S = 30 * 86400.0  # a disk that is not mounted now may come back


class CollectionResult(NamedTuple):
    """What a collection did: the store's report, how many placeholders there are, and the directories that were forgotten."""

    report: CollectionReport
    placeholders: int
    forgotten: list[str]


def tidy(
    workspaces: Iterable[Workspace], home: str, store: str, *, max_age_s: float, max_bytes: int | None, dry_run: bool
) -> CollectionResult:
    """Collect the store that these workspaces use. `home`: the state home, whose records of gone directories go; may be empty."""
    gone = [records for records, root in roots.every(home) if _is_gone(root, records)] if home else []
    here = [each for each in workspaces if each.dot not in gone]
    wanted, count = _wanted(here)
    keys = [Key(kind, thunk) for thunk in wanted for kind in (Kind.THUNK, Kind.REDUCTION)]
    keys += [soft_key(thunk) for thunk in wanted]
    with DirectoryStore(os.fsencode(store)) as opened:
        report = collect(opened, keys, max_age_s=max_age_s, max_bytes=max_bytes, dry_run=dry_run)
    names = [root.path for records in gone if (root := roots.read(records))]
    if not dry_run:
        growth.start_again(os.fsencode(store), report.size - report.dropped_size)
        for records in gone:
            with suppress(OSError):
                roots.forget(home, records)
        for each in here:
            with suppress(OSError):
                each.remove_scratch()
    return CollectionResult(report, count, names)


def _wanted(workspaces: Iterable[Workspace]) -> tuple[set[ThunkId], int]:
    """The thunks of all placeholders and of all calls that gg-force still owes; and how many placeholders there are."""
    searches = [each.search() for each in workspaces]
    ledgers = [Ledger(each.dot) for each in workspaces]
    found = [known.thunk for search in searches for known in search.found().values()]
    owed: list[ThunkId] = []
    for ledger in ledgers:
        ledger.load()
        owed += ledger.owed()
        ledger.close()
    return {*found, *owed}, len(found)


def _is_gone(root: roots.Root, records: str) -> bool:
    """Whether the directory of a workspace was removed, and nobody is at work among its records."""
    if os.path.isdir(root.path):
        return False
    above = os.path.dirname(root.path)
    while not os.path.isdir(above):
        above = os.path.dirname(above)
    try:
        removed = os.stat(above).st_dev == root.device  # else its file system is not mounted
        old = os.stat(os.path.join(records, "root")).st_mtime < time.time() - _LATER_S
        return (removed or old) and not _is_busy(records)
    except OSError:
        return False


def _is_busy(records: str) -> bool:
    here = Workspace("", records, "")
    with suppress(OSError):
        here.remove_scratch()
        return bool(os.listdir(here.tmp))
    return False
