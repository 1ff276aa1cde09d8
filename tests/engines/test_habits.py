"""What a program is used to look for outside of the workspace is shown to its next thunk, and nothing else is."""

from __future__ import annotations

import os
from collections.abc import Callable, Set
from pathlib import Path
from typing import cast

import pytest

from gg.core.ids import BlobId, GroupId, SandboxPath, ThunkId
from gg.core.thunk import Entry, File, Output, Thunk, Work
from gg.engines.awslambda.habits import _KEY, Habits
from gg.engines.awslambda.home import Home
from gg.engines.engine import Submission
from gg.host.filedb import FileDB
from gg.run.expand import Groups
from gg.store.base import Store
from gg.store.memory import MemoryStore
from gg.workspace.granted import Granted
from gg.workspace.later import Late, Later


class Rig:
    """A workspace, and beside it a directory of the system, as far as the rule of what may be given away is concerned."""

    def __init__(self, top: Path) -> None:
        self.root, self.system = top / "tree", top / "system"
        for directory in (self.root, self.system):
            directory.mkdir()
        self.store = MemoryStore()
        self.groups = Groups(cast("Store", self.store))
        self.granted = Granted(os.fsencode(self.root), readable=[os.fsencode(self.system)])

    def file(self, path: Path) -> SandboxPath:
        path.write_text(path.name)
        return SandboxPath(os.fsencode(path))

    def habits(self, later: Later | None = None) -> tuple[Habits, Home]:
        home = Home(lambda: FileDB(None), granted=self.granted)
        return Habits(cast("Store", self.store), self.groups, home, self.granted, later), home


def thunk(
    program: bytes = b"/usr/bin/cc", *entries: Entry, work: Work = Work.LINK, groups: tuple[GroupId, ...] = ()
) -> Thunk:
    output = Output(SandboxPath(b"/tree/out"))
    return Thunk((b"cc",), SandboxPath(program), SandboxPath(b"/"), (), tuple(entries), groups, (output,), work, "cc/1")


def shown(habits: Habits, given: Thunk, *extra: File) -> list[bytes]:
    return [file.path for file in habits.shown(Submission(1, ThunkId(b"t" * 32), given, extra)).extra]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_the_next_thunk_of_the_program_is_shown_it(rig: Rig) -> None:
    habits, home = rig.habits()
    found = rig.file(rig.system / "nm")
    (rig.system / "cuda/nvvm").mkdir(parents=True)
    directory = SandboxPath(os.fsencode(rig.system / "cuda"))
    assert shown(habits, thunk()) == []
    habits.learn(thunk(), [found, directory])
    assert shown(habits, thunk()) == [found]
    assert home.directories == (directory, directory + b"/nvvm")  # and what is next asked for
    assert shown(habits, thunk(b"/usr/bin/c++")) == []
    assert shown(habits, thunk(work=Work.COMPILE)) == []
    given = habits.shown(Submission(1, ThunkId(b"t" * 32), thunk()))
    assert given.extra == (File(found, BlobId.of(b"nm")),)


def test_what_it_declares_or_has_is_not_shown_twice(rig: Rig) -> None:
    habits, _ = rig.habits()
    found = rig.file(rig.system / "nm")
    file = File(found, BlobId.of(b"nm"))
    habits.learn(thunk(), [found])
    assert shown(habits, thunk(b"/usr/bin/cc", file)) == []
    assert shown(habits, thunk(), file) == [found]


def test_what_is_the_workspaces_is_no_habit(rig: Rig) -> None:
    habits, _ = rig.habits()
    inside = rig.file(rig.root / "config.h")
    os.symlink(rig.root, rig.system / "link")
    habits.learn(thunk(), [inside, SandboxPath(os.fsencode(rig.system / "link/config.h"))])
    assert shown(habits, thunk()) == []


def test_what_is_gone_or_may_not_be_given_away_is_not_shown(rig: Rig) -> None:
    """Whatever was learned: a worker's reply is from elsewhere."""
    habits, _ = rig.habits()
    gone, secret = rig.file(rig.system / "gone"), rig.file(rig.system.parent / "secret")
    os.chmod(rig.system.parent / "secret", 0o600)
    habits.learn(thunk(), [gone, secret])
    assert shown(habits, thunk()) == [gone]
    (rig.system / "gone").unlink()
    assert shown(habits, thunk()) == []


def test_no_large_file_is_shown(rig: Rig) -> None:
    """Else one reply would have each later thunk of a compiler take gigabytes along."""
    habits, _ = rig.habits()
    small, large = rig.file(rig.system / "small"), rig.file(rig.system / "large")
    with open(large, "wb") as file:
        file.truncate((4 << 20) + 1)
    habits.learn(thunk(), [large, small])
    assert shown(habits, thunk()) == [small]


def test_what_came_later_is_not_shown(rig: Rig) -> None:
    class AllLate:
        def late(self, name: ThunkId, given: Thunk, path: SandboxPath, directories: Callable[[], Set[bytes]]) -> Late:
            return Late(path, sure=False)

    habits, _ = rig.habits(cast("Later", AllLate()))
    habits.learn(thunk(), [rig.file(rig.system / "nm")])
    assert shown(habits, thunk()) == []


def test_they_are_remembered(rig: Rig) -> None:
    habits, _ = rig.habits()
    found = rig.file(rig.system / "nm")
    habits.keep()
    assert not rig.store.has([_KEY])
    habits.learn(thunk(), [found])
    habits.keep()
    assert shown(rig.habits()[0], thunk()) == [found]
    rig.store.put({_KEY: b"damaged"})
    assert shown(rig.habits()[0], thunk()) == []


def test_there_is_no_end_to_what_a_worker_may_say_but_to_what_is_learned(rig: Rig) -> None:
    habits, _ = rig.habits()
    for number in range(100):
        habits.learn(thunk(), [rig.file(rig.system / f"{number}")])
        habits.learn(thunk(b"/usr/bin/%d" % number), [rig.file(rig.system / "nm")])
    assert len(shown(habits, thunk())) == 64
    habits.keep()
    table = rig.habits()[0]._all()
    assert len(table) == 64
    assert max(map(len, table.values())) <= 64
