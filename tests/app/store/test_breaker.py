"""The breaker: one failure opens it, one probe at a time tries whether it may close, less and less often."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise

import pytest

from app.store import breaker as module
from app.store.breaker import Breaker

pytestmark = pytest.mark.served

FIRST_S, LAST_S = 0.01, 0.08


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "FIRST_PROBE_S", FIRST_S)
    monkeypatch.setattr(module, "LAST_PROBE_S", LAST_S)
    monkeypatch.setattr(module, "STEADY_S", 0.5)


class Redis:
    """What is probed: it notes when, fails as long as `fails` says, and may hang."""

    def __init__(self) -> None:
        self.fails = True
        self.hangs: asyncio.Event | None = None
        self.probed_s: list[float] = []

    async def probe(self) -> None:
        self.probed_s.append(asyncio.get_running_loop().time())
        if self.hangs is not None:
            await self.hangs.wait()
        if self.fails:
            raise OSError("no")

    async def until(self, probes: int) -> None:
        while len(self.probed_s) < probes:
            await asyncio.sleep(0.001)


async def closed(breaker: Breaker) -> None:
    while breaker.reason is not None:
        await asyncio.sleep(0.001)


def run(story: Callable[[Breaker, Redis], Awaitable[None]]) -> None:
    async def play() -> None:
        redis = Redis()
        breaker = Breaker(redis.probe)
        await story(breaker, redis)
        await breaker.close()

    asyncio.run(asyncio.wait_for(play(), 10))


def test_it_is_closed_until_something_fails_and_then_says_what() -> None:
    async def story(breaker: Breaker, redis: Redis) -> None:
        assert breaker.reason is None
        breaker.trip("redis-timeout")
        breaker.trip("redis-down")
        assert breaker.reason == "redis-timeout"
        assert redis.probed_s == []

    run(story)


def test_it_stays_open_while_probes_fail_and_closes_with_the_first_that_does_not() -> None:
    async def story(breaker: Breaker, redis: Redis) -> None:
        breaker.trip("redis-down")
        await redis.until(3)
        assert breaker.reason == "redis-down"
        redis.fails = False
        await closed(breaker)
        made = len(redis.probed_s)
        await asyncio.sleep(3 * LAST_S)
        assert len(redis.probed_s) == made

    run(story)


def test_it_probes_less_and_less_often_and_never_less_than_it_may() -> None:
    async def story(breaker: Breaker, redis: Redis) -> None:
        began_s = asyncio.get_running_loop().time()
        breaker.trip("redis-down")
        await redis.until(6)
        pauses_s = [after - before for before, after in pairwise([began_s, *redis.probed_s])]
        for pause_s, least_s in zip(pauses_s, [0.01, 0.02, 0.04, 0.08, 0.08, 0.08], strict=True):
            assert least_s * 0.9 <= pause_s < least_s + 0.1

    run(story)


def test_one_probe_is_under_way_at_a_time_however_often_it_is_told_of_failures() -> None:
    async def story(breaker: Breaker, redis: Redis) -> None:
        redis.hangs = asyncio.Event()
        for _ in range(10):
            breaker.trip("redis-down")
        await redis.until(1)
        breaker.trip("redis-timeout")
        await asyncio.sleep(3 * LAST_S)
        assert len(redis.probed_s) == 1
        assert breaker.reason == "redis-down"
        redis.fails = False
        redis.hangs.set()
        await closed(breaker)
        assert len(redis.probed_s) == 1

    run(story)


def test_what_fails_again_soon_after_it_closed_is_probed_no_more_often_than_before() -> None:
    async def story(breaker: Breaker, redis: Redis) -> None:
        redis.fails = False  # a Redis that answers a PING, and nothing else in time
        loop = asyncio.get_running_loop()
        open_s = []
        for _ in range(6):
            began_s = loop.time()
            breaker.trip("redis-timeout")
            await closed(breaker)
            open_s.append(loop.time() - began_s)
        for took_s, least_s in zip(open_s, [0.01, 0.02, 0.04, 0.08, 0.08, 0.08], strict=True):
            assert least_s * 0.9 <= took_s < least_s + 0.1

    run(story)


def test_what_has_served_for_a_while_is_probed_soon_when_it_fails() -> None:
    async def story(breaker: Breaker, redis: Redis) -> None:
        breaker.trip("redis-down")
        await redis.until(5)
        redis.fails = False
        await closed(breaker)
        await asyncio.sleep(0.6)
        made, began_s = len(redis.probed_s), asyncio.get_running_loop().time()
        breaker.trip("redis-down")
        await redis.until(made + 1)
        assert redis.probed_s[-1] - began_s < LAST_S * 0.9

    run(story)


def test_closing_the_service_ends_the_probing() -> None:
    async def story(breaker: Breaker, redis: Redis) -> None:
        breaker.trip("redis-down")
        await redis.until(1)
        await breaker.close()
        made = len(redis.probed_s)
        await asyncio.sleep(3 * LAST_S)
        assert len(redis.probed_s) == made

    run(story)
