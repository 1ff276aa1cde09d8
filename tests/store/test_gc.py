"""Collection: what is needed stays whatever its age, the rest goes oldest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gg.core.codec import encode_group, encode_thunk, group_id, thunk_id
from gg.core.ids import BlobId, GroupId, SandboxPath, ThunkId
from gg.core.reduction import encode_reduction
from gg.core.thunk import File, Group, Made, Output, OutputOf, Reduction, Thunk, Usage, Work
from gg.errors import StoreError
from gg.store.base import Key, Kind, blob_key
from gg.store.collection import collect, reach
from gg.store.memory import MemoryStore

DAY = 86400.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class World:
    """A store with two thunks, the second of which links the output of the first, and their reductions."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(now=self.clock)
        self.header = self.blob(b"header")
        self.inner = self.group(Group((File(SandboxPath(b"/inner.h"), self.blob(b"inner header")),)))
        self.outer = self.group(Group((File(SandboxPath(b"/outer.h"), self.header),), (self.inner,)))
        self.source = self.blob(b"source")
        self.compile = self.thunk((File(SandboxPath(b"/a.c"), self.source),), (self.outer,))
        self.link = self.thunk((OutputOf(SandboxPath(b"/a.o"), self.compile, 0),), ())
        self.made = self.blob(b"object")
        self.reduction = self.reduce(self.compile, self.made)

    def blob(self, data: bytes) -> BlobId:
        blob = BlobId.of(data)
        self.store.put({blob_key(blob): data})
        return blob

    def group(self, group: Group) -> GroupId:
        data = encode_group(group)
        self.store.put({Key(Kind.GROUP, group_id(data)): data})
        return group_id(data)

    def thunk(self, entries: tuple[File | OutputOf, ...], groups: tuple[GroupId, ...]) -> ThunkId:
        data = encode_thunk(
            Thunk(
                argv=(b"cc",),
                program=SandboxPath(b"/cc"),
                cwd=SandboxPath(b"/"),
                env=(),
                entries=entries,
                groups=groups,
                outputs=(Output(SandboxPath(b"/out")),),
                work=Work.OTHER,
                model="test/1",
            )
        )
        self.store.put({Key(Kind.THUNK, thunk_id(data)): data})
        return thunk_id(data)

    def reduce(self, thunk: ThunkId, made: BlobId) -> Key:
        key = Key(Kind.REDUCTION, bytes(thunk))
        reduction = Reduction(outputs=(Made(made),), stdout=b"", stderr=b"", usage=Usage(), engine="local")
        self.store.put({key: encode_reduction(reduction, ())})
        return key

    def everything(self) -> set[Key]:
        return {stored.key for kind in Kind for stored in self.store.keys(kind)}

    @property
    def roots(self) -> list[Key]:
        return [Key(Kind.THUNK, self.link), self.reduction]


@pytest.fixture
def world() -> World:
    return World()


def test_what_a_placeholder_needs_is_never_dropped(world: World) -> None:
    before = world.everything()
    assert len(before) == 9
    world.clock.now += 1000 * DAY
    report = collect(world.store, world.roots, max_age_s=DAY, max_bytes=0, now=world.clock.now)
    assert world.everything() == before
    assert report.dropped == {}
    assert (report.objects, report.needed) == (9, 9)
    assert report.needed_size == report.size > 0


def test_each_root_leads_to_just_its_own(world: World) -> None:
    reached, missing = reach(world.store, [Key(Kind.THUNK, world.compile)])
    assert reached == {
        Key(Kind.THUNK, world.compile),
        Key(Kind.GROUP, world.outer),
        Key(Kind.GROUP, world.inner),
        *(blob_key(BlobId.of(data)) for data in (b"header", b"inner header", b"source")),
    }
    assert missing == ()
    assert reach(world.store, [world.reduction])[0] == {world.reduction, blob_key(world.made)}


def test_what_is_missing_is_told(world: World) -> None:
    world.store.delete([Key(Kind.GROUP, world.inner)])
    assert reach(world.store, world.roots)[1] == (Key(Kind.GROUP, world.inner),)
    assert collect(world.store, world.roots, now=world.clock.now).missing == (Key(Kind.GROUP, world.inner),)


def test_by_age(world: World) -> None:
    needed = world.everything()
    old = world.blob(b"old")
    world.clock.now += 2 * DAY
    young = world.blob(b"young")
    world.clock.now += DAY
    report = collect(world.store, world.roots, max_age_s=2.5 * DAY, now=world.clock.now)
    assert world.everything() == needed | {blob_key(young)}
    assert report.dropped == {Kind.BLOB: 1}
    assert report.dropped_size == len(b"old")
    assert blob_key(old) not in world.everything()


def test_use_makes_young(world: World) -> None:
    used = world.blob(b"used")
    world.clock.now += 10 * DAY
    world.store.get([blob_key(used)])
    world.clock.now += DAY
    collect(world.store, world.roots, max_age_s=5 * DAY, now=world.clock.now)
    assert blob_key(used) in world.everything()


def test_by_size_oldest_first(world: World) -> None:
    needed = world.everything()
    needed_size = sum(stored.size for kind in Kind for stored in world.store.keys(kind))
    loose = []
    for n in range(10):
        world.clock.now += DAY
        loose.append(blob_key(world.blob(b"%02d" % n * 500)))
    world.clock.now += DAY
    report = collect(world.store, world.roots, max_bytes=needed_size + 3500, now=world.clock.now)
    assert world.everything() == needed | set(loose[7:])
    assert report.dropped_size == 7000


def test_what_is_in_use_now_is_spared(world: World) -> None:
    world.clock.now += DAY
    fresh = blob_key(world.blob(b"put a minute ago"))
    world.clock.now += 60
    collect(world.store, [], max_bytes=0, now=world.clock.now)
    assert world.everything() == {fresh}
    collect(world.store, [], max_bytes=0, grace_s=0, now=world.clock.now)
    assert world.everything() == set()


def test_what_an_object_leads_to_that_comes_into_use_is_spared(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build finds a thunk when the collection has looked at it, and is about to drop all."""
    world.clock.now += 10 * DAY
    drop = world.store.drop_unused
    batches: list[list[Key]] = []

    def found(keys: Sequence[Key], before: float) -> set[Key]:
        if not batches:
            world.store.get([Key(Kind.THUNK, world.compile)])
        batches.append(list(keys))
        return drop(keys, before)

    monkeypatch.setattr(world.store, "drop_unused", found)
    collect(world.store, [], max_bytes=1, now=world.clock.now)
    groups = {Key(Kind.GROUP, world.inner), Key(Kind.GROUP, world.outer)}
    blobs = {blob_key(world.source), blob_key(world.header), blob_key(BlobId.of(b"inner header"))}
    assert world.everything() == {Key(Kind.THUNK, world.compile), *groups, *blobs}


def test_a_dry_run_drops_nothing_and_tells_the_same(world: World) -> None:
    world.blob(b"loose")
    before = world.everything()
    world.clock.now += 10 * DAY
    dry = collect(world.store, world.roots, max_age_s=DAY, dry_run=True, now=world.clock.now)
    assert world.everything() == before
    wet = collect(world.store, world.roots, max_age_s=DAY, now=world.clock.now)
    assert replace(dry, dry_run=False) == wet
    assert wet.dropped == {Kind.BLOB: 1}


def test_a_blob_is_as_young_as_the_youngest_that_leads_to_it(world: World) -> None:
    old = blob_key(world.blob(b"old output"))
    world.clock.now += 10 * DAY
    key = world.reduce(ThunkId(b"\1" * 32), BlobId.of(b"old output"))
    world.clock.now += 0.5 * DAY
    before = world.everything()
    collect(world.store, world.roots, max_age_s=DAY, now=world.clock.now)
    assert world.everything() == before
    world.clock.now += DAY
    report = collect(world.store, world.roots, max_age_s=DAY, now=world.clock.now)
    assert {key, old} == before - world.everything()
    assert report.dropped == {Kind.REDUCTION: 1, Kind.BLOB: 1}


def test_what_leads_nowhere_is_not_left_by_a_size_that_cuts_in_the_middle(world: World) -> None:
    """Whoever finds a thunk in the store may rely on all that it names."""
    whole = sum(stored.size for kind in Kind for stored in world.store.keys(kind))
    for limit in range(0, whole, 7):
        each = World()
        each.store.get(list(each.everything())[limit % 5 :: 2])
        each.clock.now += DAY
        collect(each.store, [], max_bytes=limit, now=each.clock.now)
        kept = each.everything()
        assert reach(each.store, [key for key in kept if key.kind is not Kind.BLOB])[0] <= kept


def test_records_go_before_what_they_name(world: World) -> None:
    """Killed at any delete, a collection leaves no reduction whose blob it has dropped."""
    world.clock.now += 10 * DAY
    order: list[Kind] = []

    def before(method: str, keys: object) -> None:
        if method == "delete":
            assert isinstance(keys, list)
            order.extend(key.kind for key in keys)

    world.store.before = before
    collect(world.store, [], max_age_s=DAY, now=world.clock.now)
    assert order == sorted(order, key=[Kind.REDUCTION, Kind.ALIAS, Kind.THUNK, Kind.GROUP, Kind.BLOB].index)
    assert world.everything() == set()


def test_trouble_is_passed_on(world: World) -> None:
    def before(method: str, keys: object) -> None:
        raise StoreError("no answer")

    world.store.before = before
    with pytest.raises(StoreError, match="no answer"):
        collect(world.store, world.roots)


def test_damaged_objects_lead_nowhere(world: World) -> None:
    store = world.store
    key = Key(Kind.REDUCTION, b"\2" * 32)
    store.put({key: b"not an encoding"})
    assert reach(store, [key]) == ({key}, ())
