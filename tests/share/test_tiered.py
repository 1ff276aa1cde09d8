"""A local store before a team's: what is found there is kept, what is made here is shared, and its trouble is not ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from gg.core.codec import encode_group, encode_thunk, group_id, thunk_id
from gg.core.ids import BlobId, SandboxPath, ThunkId
from gg.core.reduction import encode_reduction
from gg.core.thunk import File, Group, Made, Reduction, Usage
from gg.errors import GGError, SetupError, StoreError
from gg.record.depfiles.softfiles import SoftFiles
from gg.share.tiered import Tiered
from gg.store.base import Key, Kind, Store, blob_key, put_blobs
from gg.store.directory import DirectoryStore
from gg.store.memory import Before, MemoryStore
from tests.conformance.store_suite import objects, path_bytes
from tests.support.thunks import Graph


def reduction_of(*blobs: BlobId) -> bytes:
    made = tuple(Made(blob) for blob in blobs)
    return encode_reduction(Reduction(made, b"", b"", Usage(1, 1, 1), "local"), ())


def forced(store: Store, name: bytes, output: bytes) -> tuple[Key, BlobId]:
    """What a force leaves in the store."""
    (blob,) = put_blobs(store, [output])
    key = Key(Kind.REDUCTION, name * 32)
    store.put({key: reduction_of(blob), Key(Kind.ALIAS, name * 32): b"list of " + name})
    return key, blob


def test_what_one_forces_another_finds(tmp_path: Path) -> None:
    team = MemoryStore()
    mine, theirs = Tiered(MemoryStore(), team), Tiered(DirectoryStore(tmp_path / "near"), team)
    key, blob = forced(mine, b"a", b"object file")
    assert theirs.get([key]) == {}
    mine.flush()
    assert mine.shared == 1
    assert theirs.get([key]) == {key: reduction_of(blob)}
    assert theirs.has([blob_key(blob)]) == {blob_key(blob)}
    path = theirs.path(blob)
    assert path is not None
    assert Path(path.decode()).read_bytes() == b"object file"
    target = path_bytes(tmp_path / "out")
    assert theirs.fetch_files({target: blob}) == {target}
    team.before = refuse("nothing more is asked of the team's store", None)
    assert theirs.near.get([key, blob_key(blob)]).keys() == {key, blob_key(blob)}
    mine.close()
    theirs.close()


def test_thunks_are_shared_with_their_groups_and_without_their_inputs() -> None:
    team = MemoryStore()
    mine = Tiered(MemoryStore(), team)
    (header, output) = put_blobs(mine, [b"header", b"output"])
    inner = encode_group(Group((File(SandboxPath(b"/h"), header),)))
    outer = encode_group(Group((), (group_id(inner),)))
    graph = Graph(MemoryStore())
    thunk = encode_thunk(graph.thunks[graph.thunk("a", ["cc"])]._replace(groups=(group_id(outer),)))
    keys = [Key(Kind.GROUP, group_id(inner)), Key(Kind.GROUP, group_id(outer)), Key(Kind.THUNK, thunk_id(thunk))]
    mine.put(dict(zip(keys, [inner, outer, thunk], strict=True)))
    mine.put({Key(Kind.REDUCTION, b"r" * 32): reduction_of(output), keys[2]: thunk})
    mine.flush()
    assert team.has([*keys, blob_key(output), blob_key(header)]) == {*keys, blob_key(output)}
    mine.close()


def test_a_record_never_comes_before_what_it_leads_to() -> None:
    order: list[Kind] = []

    class Watched(MemoryStore):
        def put(self, items: Mapping[Key, bytes]) -> None:
            for key in items:
                if key.kind is Kind.REDUCTION:
                    assert self.has([blob_key(blob)]) or blob_key(blob) in items
                order.append(key.kind)
            super().put(items)

    mine = Tiered(MemoryStore(), Watched())
    _, blob = forced(mine, b"a", b"x" * 100)
    mine.flush()
    assert set(order) == {Kind.BLOB, Kind.REDUCTION, Kind.ALIAS}
    mine.close()


def refuse(text: str, kind: type[GGError] | None = StoreError) -> Before:
    def before(method: str, keys: Sequence[Key]) -> None:
        if kind is None:
            pytest.fail(text)
        raise kind(text)

    return before


def test_trouble_over_there_is_told_once_and_does_no_harm() -> None:
    told: list[str] = []
    mine = Tiered(MemoryStore(), MemoryStore(before=refuse("it is down")), report=told.append)
    absent = Key(Kind.REDUCTION, b"z" * 32)
    assert mine.get([absent]) == {}
    assert mine.has([absent]) == set()
    key, blob = forced(mine, b"a", b"made here")
    mine.flush()
    assert mine.get([key, blob_key(blob)]).keys() == {key, blob_key(blob)}
    assert told == ["going on without the shared store: it is down"]
    mine.close()


def test_a_wrong_set_up_is_an_error() -> None:
    mine = Tiered(MemoryStore(), MemoryStore(before=refuse("no such bucket", SetupError)))
    with pytest.raises(SetupError):
        mine.get([Key(Kind.REDUCTION, b"z" * 32)])
    mine.close()


def test_without_the_right_to_write_reading_goes_on() -> None:
    told: list[str] = []
    team = MemoryStore()

    def before(method: str, keys: Sequence[Key]) -> None:
        if method == "put":
            raise SetupError("no right to write")

    items = objects(b"theirs")
    team.put(items)
    team.before = before
    mine = Tiered(MemoryStore(), team, report=told.append)
    forced(mine, b"a", b"made here")
    mine.flush()
    assert mine.get(list(items)) == items
    assert told == ["results are not shared: no right to write"]
    mine.close()


def test_read_only_shares_nothing() -> None:
    team = MemoryStore()
    mine = Tiered(MemoryStore(), team, share=False)
    forced(mine, b"a", b"made here")
    mine.flush()
    assert [list(team.keys(kind)) for kind in Kind] == [[]] * len(Kind)
    mine.close()


def test_what_was_deleted_is_not_looked_for_again() -> None:
    team = MemoryStore()
    items = objects(b"theirs")
    team.put(items)
    mine = Tiered(MemoryStore(), team)
    assert mine.get(list(items)) == items
    mine.delete(list(items))
    assert mine.get(list(items)) == {}
    mine.put(items)
    assert mine.get(list(items)) == items
    mine.close()


def test_nothing_is_taken_that_nobody_has_asked_for() -> None:
    """A store may answer what it likes: what is kept counts for all builds of this user."""

    class Generous(MemoryStore):
        def get(self, keys: Sequence[Key]) -> dict[Key, bytes]:
            return {**super().get(keys), Key(Kind.ALIAS, bytes(32)): b"a gift"}

    near = MemoryStore()
    mine, asked = Tiered(near, Generous()), Key(Kind.REDUCTION, bytes(32))
    assert mine.get([asked]) == {}
    mine.far.put({asked: reduction_of()})
    assert set(mine.get([asked])) == {asked}
    assert not near.has([Key(Kind.ALIAS, bytes(32))])


def test_which_files_here_are_a_builds_own_is_nobody_elses_to_say(tmp_path: Path) -> None:
    """A dependency file is replaced, and removed when its call fails. A colleague may know what is in a file of the user's."""
    victim, thunk = tmp_path / "bashrc", ThunkId(bytes(32))
    victim.write_text("alias ll='ls -l'\n")
    team, near = MemoryStore(), MemoryStore()
    lie = SoftFiles(team)
    lie.wrote(bytes(victim), victim.read_bytes(), victim.stat(), thunk, 1)
    lie.flush()
    assert lie.of([thunk])[thunk].find() == bytes(victim)
    mine = SoftFiles(Tiered(near, team))
    assert mine.of([thunk]) == {}
    mine.wrote(bytes(victim), b"", victim.stat(), thunk, 1)
    mine.flush()
    assert set(mine.of([thunk])) == set(SoftFiles(near).of([thunk])) == {thunk}
