"""Bytes in flight: never more than the limit, nobody is passed over, and who gives up leaves nothing behind."""

from __future__ import annotations

import asyncio

import pytest

from gg.engines.awslambda.byte_semaphore import ByteSemaphore


def test_large_ones_come_to_their_turn() -> None:
    async def main() -> list[str]:
        room, order = ByteSemaphore(100), list[str]()

        async def one(name: str, size: int) -> None:
            taken = await room.take(size)
            assert 0 <= room.left <= 100
            order.append(name)
            await asyncio.sleep(0)
            room.give(taken)

        await asyncio.gather(one("a", 60), one("whole", 1000), one("b", 10), one("c", 10))
        assert room.left == 100
        return order

    assert asyncio.run(main()) == ["a", "whole", "b", "c"]


def test_who_gives_up_leaves_nothing_behind() -> None:
    async def main() -> None:
        room = ByteSemaphore(100)
        taken = await room.take(100)
        waiting = [asyncio.ensure_future(room.take(50)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        room.give(taken)
        waiting[1].cancel()  # its turn has come, and it does not know yet
        with pytest.raises(asyncio.CancelledError):
            await waiting[1]
        assert await waiting[2] == 50
        room.give(50)
        assert room.left == 100

    asyncio.run(main())
