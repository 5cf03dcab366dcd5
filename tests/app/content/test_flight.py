"""One fetch for all who ask meanwhile, whoever goes away; and for those who looked before it ended."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from app.content.flight import Flights


class Fetches:
    """Fetches that end when the test says so, each with its number or with what it is told."""

    def __init__(self) -> None:
        self.begun = 0
        self.ends: list[asyncio.Future[Any]] = []

    async def __call__(self) -> int:
        self.begun += 1
        number, end = self.begun, asyncio.get_running_loop().create_future()
        self.ends.append(end)
        await end
        return number

    async def begin(self, number: int = 1) -> None:
        while self.begun < number:
            await asyncio.sleep(0)

    def end(self, error: Exception | None = None) -> None:
        if error is None:
            self.ends[-1].set_result(None)
        else:
            self.ends[-1].set_exception(error)


def run(story: Callable[[Flights[int], Fetches], Awaitable[None]]) -> list[dict[str, Any]]:
    """Play a story on a loop of its own; returns what the loop's handler of forgotten errors was told."""
    forgotten: list[dict[str, Any]] = []

    async def play() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: forgotten.append(context))
        await story(Flights(), Fetches())
        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(play(), 10))
    return forgotten


def asking(
    flights: Flights[int], fetch: Callable[[], Coroutine[None, None, int]], looked: int | None = None
) -> asyncio.Task[tuple[int, bool]]:
    at = flights.landed if looked is None else looked
    return asyncio.create_task(flights.fly(b"a", at, fetch))


def test_who_comes_meanwhile_is_given_what_the_first_one_fetches() -> None:
    async def story(flights: Flights[int], fetches: Fetches) -> None:
        crowd = [asking(flights, fetches) for _ in range(5)]
        await fetches.begin()
        crowd.append(asking(flights, fetches))
        await asyncio.sleep(0)
        fetches.end()
        assert await asyncio.gather(*crowd) == [(1, False), *[(1, True)] * 5]
        assert fetches.begun == 1

    assert run(story) == []


@pytest.mark.parametrize("gone", [[0], [1], [0, 1]], ids=["who began", "who joined", "both"])
def test_who_is_cancelled_takes_nobodys_answer_along(gone: list[int]) -> None:
    async def story(flights: Flights[int], fetches: Fetches) -> None:
        crowd = [asking(flights, fetches) for _ in range(3)]
        await fetches.begin()
        for number in gone:
            crowd[number].cancel()
        await asyncio.sleep(0)
        assert [one.done() for one in crowd] == [number in gone for number in range(3)]
        late = asking(flights, fetches)
        await asyncio.sleep(0)
        fetches.end()
        assert (await crowd[2])[0] == (await late)[0] == 1
        assert fetches.begun == 1

    assert run(story) == []


def test_a_fetch_that_everybody_has_left_lands_all_the_same() -> None:
    async def story(flights: Flights[int], fetches: Fetches) -> None:
        alone, looked = asking(flights, fetches), flights.landed
        await fetches.begin()
        alone.cancel()
        await asyncio.sleep(0)
        fetches.end()
        while flights.landed == looked:
            await asyncio.sleep(0)
        assert await asking(flights, fetches, looked) == (1, True)
        assert fetches.begun == 1

    assert run(story) == []


def test_who_looked_before_a_fetch_ended_is_given_its_result_and_who_looked_after_is_not() -> None:
    async def story(flights: Flights[int], fetches: Fetches) -> None:
        looked = flights.landed
        first = asking(flights, fetches)
        await fetches.begin()
        fetches.end()
        await first
        assert await asking(flights, fetches, looked) == (1, True)
        after = asking(flights, fetches)
        await fetches.begin(2)
        fetches.end()
        assert await after == (2, False)

    assert run(story) == []


def test_what_was_fetched_under_one_name_is_given_under_no_other() -> None:
    async def story(flights: Flights[int], fetches: Fetches) -> None:
        first = asking(flights, fetches)
        await fetches.begin()
        fetches.end()
        await first
        other = asyncio.create_task(flights.fly(b"b", 0, fetches))
        await fetches.begin(2)
        fetches.end()
        assert await other == (2, False)

    assert run(story) == []


def test_a_fetch_that_fails_fails_for_all_who_wait_and_the_next_one_tries_anew() -> None:
    async def story(flights: Flights[int], fetches: Fetches) -> None:
        looked = flights.landed
        crowd = [asking(flights, fetches) for _ in range(3)]
        await fetches.begin()
        crowd[1].cancel()
        fetches.end(OSError("no"))
        told = await asyncio.gather(*crowd, return_exceptions=True)
        assert [type(one) for one in told] == [OSError, asyncio.CancelledError, OSError]
        again = asking(flights, fetches, looked)
        await fetches.begin(2)
        fetches.end()
        assert await again == (2, False)

    assert run(story) == []


def test_a_failure_that_nobody_waits_for_is_no_unhandled_error() -> None:
    async def story(flights: Flights[int], fetches: Fetches) -> None:
        alone = asking(flights, fetches)
        await fetches.begin()
        alone.cancel()
        await asyncio.sleep(0)
        fetches.end(OSError("no"))
        while fetches.begun == 1:  # until the first has ended
            await asyncio.sleep(0)
            flights.begin(b"a", flights.landed, fetches)
        fetches.end(OSError("no"))

    assert run(story) == []


def test_a_refresh_is_begun_once_and_not_by_who_looked_before_it_ended() -> None:
    async def story(flights: Flights[int], fetches: Fetches) -> None:
        looked = flights.landed
        for _ in range(3):
            flights.begin(b"a", looked, fetches)
        await fetches.begin()
        fetches.end()
        while flights.landed == looked:
            await asyncio.sleep(0)
        flights.begin(b"a", looked, fetches)
        await asyncio.sleep(0)
        assert fetches.begun == 1
        flights.begin(b"a", flights.landed, fetches)
        await fetches.begin(2)
        fetches.end()

    assert run(story) == []


def test_who_comes_while_a_refresh_is_under_way_waits_for_it() -> None:
    async def story(flights: Flights[int], fetches: Fetches) -> None:
        flights.begin(b"a", flights.landed, fetches)
        await fetches.begin()
        joined = asking(flights, fetches)
        await asyncio.sleep(0)
        fetches.end()
        assert await joined == (1, True)

    assert run(story) == []


def test_closing_ends_what_is_under_way() -> None:
    async def story(flights: Flights[int], fetches: Fetches) -> None:
        waiting = asking(flights, fetches)
        await fetches.begin()
        await flights.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    assert run(story) == []
