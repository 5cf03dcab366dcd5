"""A thousand at once for one cold key: how many upstream calls that makes is what collapsing is for."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from servers import HITS, RedisServer, free_port, get, serving

from app.main import create_app
from app.settings import Settings
from loadtests.upstream import Stub, StubSettings

CROWD = 1000
pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture
def upstream() -> Iterator[str]:
    # Slow enough for the whole crowd to arrive during one call.
    with serving(Stub(StubSettings(latency_ms=1000, seed=7))) as url:
        yield url


@pytest.fixture
def redises(tmp_path: Path) -> Iterator[list[RedisServer]]:
    servers = []
    for number in range(4):
        folder = tmp_path / str(number)
        folder.mkdir()
        servers.append(RedisServer(folder, free_port()))
    with contextlib.ExitStack() as stack:
        for server in servers:
            server.start()
            stack.callback(server.stop)
        yield servers


@contextlib.contextmanager
def replicas(upstream: str, redises: Sequence[RedisServer], **settings: Any) -> Iterator[list[str]]:
    """Serve one replica for each Redis that is given."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(serving(create_app(Settings(upstream, **where(redis), **settings)), HITS))
            for redis in redises
        ]


def where(redis: RedisServer) -> dict[str, Any]:
    return {"redis_host": "127.0.0.1", "redis_port": redis.port, "redis_password": redis.password}


def ask_at_once(apps: Sequence[str], path: str = "/content/hot") -> list[tuple[int, str, bytes]]:
    """Send the crowd's requests together, spread over the replicas; return status, Cache-Status and body."""

    async def one(session: aiohttp.ClientSession, url: str) -> tuple[int, str, bytes]:
        async with session.get(url + path) as answer:
            return answer.status, answer.headers["cache-status"], await answer.read()

    async def crowd() -> list[tuple[int, str, bytes]]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            return await asyncio.gather(*(one(session, apps[n % len(apps)]) for n in range(CROWD)))

    return asyncio.run(crowd())


def calls(upstream: str) -> int:
    return int(json.loads(get(upstream, "/_stub/counts").body)["calls"])


def outcomes(answers: Sequence[tuple[int, str, bytes]]) -> Counter[str]:
    return Counter(
        "delayed" if "collapsed" in said else "hit" if "; hit" in said else "miss" for _, said, _ in answers
    )


@pytest.mark.parametrize(
    ("placed", "expected"),
    [((0,), 1), ((0, 0, 0, 0), 1), ((0, 1, 2, 3), 4)],
    ids=["one replica", "four on a shared Redis", "four sidecars"],
)
def test_a_crowd_makes_one_call_for_each_cache(
    upstream: str, redises: list[RedisServer], placed: Sequence[int], expected: int
) -> None:
    with replicas(upstream, [redises[number] for number in placed], lease_wait_s=10) as apps:
        answers = ask_at_once(apps)
    assert {status for status, _, _ in answers} == {200}
    assert len({body for _, _, body in answers}) == 1
    assert calls(upstream) == expected
    assert outcomes(answers)["miss"] == expected


def test_without_the_lease_each_replica_makes_a_call(upstream: str, redises: list[RedisServer]) -> None:
    with replicas(upstream, [redises[0]] * 4, lease=False) as apps:
        ask_at_once(apps)
    assert calls(upstream) == 4


def test_without_single_flight_everybody_does(upstream: str, redises: list[RedisServer]) -> None:
    with replicas(
        upstream, redises[:1], single_flight=False, lease=False, upstream_concurrency=CROWD
    ) as apps:
        answers = ask_at_once(apps)
    assert calls(upstream) == outcomes(answers)["miss"] > CROWD / 10


def test_one_who_goes_away_takes_nobodys_answer_along(upstream: str, redis: RedisServer) -> None:
    async def crowd(app: str) -> tuple[int, int]:
        async with aiohttp.ClientSession() as session:

            async def ask() -> int:
                async with session.get(f"{app}/content/hot") as answer:
                    return answer.status

            first = asyncio.create_task(ask())
            while calls(upstream) == 0:
                await asyncio.sleep(0.01)
            others = [asyncio.create_task(ask()) for _ in range(5)]
            await asyncio.sleep(0.1)
            first.cancel()
            return len([status for status in await asyncio.gather(*others) if status == 200]), calls(upstream)

    with replicas(upstream, [redis]) as [app]:
        assert asyncio.run(crowd(app)) == (5, 1)
