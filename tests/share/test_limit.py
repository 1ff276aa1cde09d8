"""How many requests at once: slowly more, quickly fewer."""

from __future__ import annotations

import asyncio

from gg.share.s3.limit import Adaptive, pause


def test_more_while_all_is_well_and_half_when_asked() -> None:
    now = [0.0]
    limit = Adaptive(lambda: now[0], first=8.0, most=12.0)
    for _ in range(8):
        limit.went_well()
    assert 8.5 < limit.width < 9.1
    for _ in range(1000):
        limit.went_well()
    assert limit.width == 12.0
    for _ in range(5):  # one burst of refusals
        limit.slow_down()
    assert (limit.width, limit.slowed) == (6.0, 5)
    now[0] = 2.0
    limit.slow_down()
    assert limit.width == 3.0
    for second in range(10):
        now[0] = 10.0 + 2 * second
        limit.slow_down()
    assert limit.width == 1.0


def test_no_more_than_the_width_are_inside() -> None:
    async def main() -> int:
        limit = Adaptive(lambda: 0.0, first=3.0, most=3.0)
        inside = most = 0

        async def work() -> None:
            nonlocal inside, most
            async with limit:
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1

        jobs = [asyncio.ensure_future(work()) for _ in range(30)]
        await asyncio.sleep(0)
        for job in jobs[5:10]:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        assert inside == 0
        return most

    assert asyncio.run(main()) == 3


def test_pauses_grow_to_an_end_and_differ() -> None:
    assert 0.05 <= pause(1) <= 0.15
    assert 2.5 <= pause(20) <= 7.5
    assert len({pause(3) for _ in range(10)}) > 5
