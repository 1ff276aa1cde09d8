"""What is sent ahead of the functions: whoever waits for it hears of it, whatever is forgotten meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest

from gg.core.codec import encode_group, group_id
from gg.core.ids import GroupId
from gg.core.thunk import File, Group
from gg.engines.awslambda.inputs import InputStager
from gg.errors import StoreError
from gg.run.expand import Groups
from gg.store.base import Key, Kind
from gg.store.memory import MemoryStore
from gg.wire.request import PackReference
from tests.support.thunks import Graph

PACK = PackReference(b"p" * 32, 100, 10)


class SlowShipping:
    """Sends when it is told to. `trouble`: what it meets the first time."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.sends = 0
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self._trouble = trouble

    def send(self, files: Sequence[File], groups: Sequence[GroupId]) -> set[PackReference]:
        self.sends += 1
        self.begun.set()
        assert self.go_on.wait(30)
        if self._trouble:
            trouble, self._trouble = self._trouble, None
            raise trouble
        return {PACK}

    def packs(self, keys: Sequence[Key]) -> tuple[set[PackReference], set[Key]]:
        return {PACK}, set()


class Sending:
    def __init__(self, trouble: Exception | None = None) -> None:
        store = MemoryStore()
        encoded = encode_group(Group((Graph(store).file("header.h", b"int x;"),), ()))
        self.ids = (group_id(encoded),)
        store.put({Key(Kind.GROUP, self.ids[0]): encoded})
        self.shipping = SlowShipping(trouble)
        self.inputs = InputStager(store, Groups(store), self.shipping)

    async def until_begun(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.shipping.begun.wait, 30)


@pytest.fixture
def sending() -> Iterator[Sending]:
    made = Sending()
    yield made
    made.shipping.go_on.set()
    made.inputs.close()


@pytest.mark.parametrize("begun", [False, True])
def test_forgotten_while_it_waits_and_while_it_is_sent(sending: Sending, begun: bool) -> None:
    async def both() -> None:
        first = sending.inputs.bundle(sending.ids)
        if begun:
            await sending.until_begun()
        sending.inputs.forget()
        second = sending.inputs.bundle(sending.ids)
        sending.shipping.go_on.set()
        assert await asyncio.wait_for(first, 30) == {PACK}
        assert await asyncio.wait_for(second, 30) == {PACK}

    asyncio.run(both())
    assert sending.shipping.sends == 1 + begun, "what was on its way may be gone, and is looked at again"


def test_trouble_is_everybodys_and_not_kept() -> None:
    sending = Sending(StoreError("no room"))

    async def three() -> None:
        first, second = sending.inputs.bundle(sending.ids), sending.inputs.bundle(sending.ids)
        await sending.until_begun()
        sending.inputs.forget()
        sending.shipping.go_on.set()
        for each in (first, second):
            with pytest.raises(StoreError, match="no room"):
                await asyncio.wait_for(each, 30)
        assert await asyncio.wait_for(sending.inputs.bundle(sending.ids), 30) == {PACK}

    asyncio.run(three())
    sending.inputs.close()
