"""Where calls of two replicas overlap, what was asked for last is stored, in whatever order answers land."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from servers import HITS, Answer, RedisServer, eventually, get, serving

from app.main import create_app
from app.settings import Settings

pytestmark = [pytest.mark.served, pytest.mark.usefixtures("patient")]


class Told:
    """An upstream whose calls each answer what and when the test says."""

    def __init__(self) -> None:
        self.calls: list[Future[tuple[int, bytes]]] = []

    async def __call__(self, scope: Any, _: Any, send: Any) -> None:
        if scope["type"] == "http":
            call: Future[tuple[int, bytes]] = Future()
            self.calls.append(call)
            status, body = await asyncio.wrap_future(call)
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": body})


@pytest.fixture
def told() -> Told:
    return Told()


Ask = Callable[[], "Future[Answer]"]


@pytest.fixture
def replicas(redis: RedisServer, told: Told) -> Iterator[tuple[Ask, Ask]]:
    """Two replicas on one Redis, without a lease, so that their calls may overlap."""
    where: dict[str, Any] = {
        "redis_host": "127.0.0.1", "redis_port": redis.port, "redis_password": redis.password,
    }  # fmt: skip
    plain: dict[str, Any] = {
        "lease": False, "ttl_s": 0.3, "ttl_jitter": 0.0, "negative_ttl_s": 0.0, "stale_if_error_s": 60.0,
    }  # fmt: skip
    with (
        serving(told) as upstream,
        serving(create_app(Settings(upstream, **where, **plain)), HITS) as one,
        serving(create_app(Settings(upstream, **where, **plain)), HITS) as other,
        ThreadPoolExecutor(4) as pool,
    ):
        yield lambda: pool.submit(get, one, "/content/a"), lambda: pool.submit(get, other, "/content/a")
        for call in told.calls:
            if not call.done():
                call.set_result((200, b"late"))


def called(told: Told, count: int) -> bool:
    return eventually(lambda: len(told.calls) == count)


def test_an_older_answer_that_lands_later_does_not_replace_a_newer_one(
    replicas: tuple[Ask, Ask], told: Told
) -> None:
    one, other = replicas
    older = one()
    assert called(told, 1)
    newer = other()
    assert called(told, 2)
    told.calls[1].set_result((200, b"newer"))
    assert newer.result(10).headers["cache-status"].endswith("stored")
    told.calls[0].set_result((200, b"older"))
    assert older.result(10).headers["cache-status"] == "redis; fwd=uri-miss; fwd-status=200; detail=outdated"
    answer = one().result(10)
    assert (answer.body, len(told.calls)) == (b"newer", 2)


@pytest.mark.parametrize("status", [301, 404])
def test_an_older_answer_that_lands_later_does_not_delete_a_newer_one(
    replicas: tuple[Ask, Ask], told: Told, status: int
) -> None:
    one, other = replicas
    older, newer = refetched(one, other, told)
    told.calls[2].set_result((200, b"newer"))
    newer.result(10)
    told.calls[1].set_result((status, b""))
    assert older.result(10).status == status
    assert other().result(10).body == b"newer"


def test_what_has_gone_is_not_brought_back_by_an_older_answer(replicas: tuple[Ask, Ask], told: Told) -> None:
    one, other = replicas
    older, newer = refetched(one, other, told)
    told.calls[2].set_result((404, b""))
    assert newer.result(10).status == 404
    told.calls[1].set_result((200, b"older"))
    older.result(10)
    last = other()
    assert called(told, 4), "what has gone is asked for"
    told.calls[3].set_result((500, b""))
    assert last.result(10).status == 500, "and does not come back where the upstream fails"


def refetched(one: Ask, other: Ask, told: Told) -> tuple[Future[Answer], Future[Answer]]:
    """Have a response that has expired, and that each replica fetches anew, one after the other."""
    first = one()
    assert called(told, 1)
    told.calls[0].set_result((200, b"first"))
    first.result(10)
    until_s = time.monotonic() + 0.35
    assert eventually(lambda: time.monotonic() > until_s)
    older = one()
    assert called(told, 2)
    newer = other()
    assert called(told, 3)
    return older, newer
