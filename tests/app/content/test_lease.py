"""The lease: one replica of all that share a Redis fetches, the others wait for it, and not for too long."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from servers import HITS, Answer, RedisServer, eventually, get, serving

from app.main import create_app
from app.settings import Settings
from app.upstream.calls import TIMEOUT_S

pytestmark = pytest.mark.served


class Held:
    """An upstream that answers when the test lets it; `under_way` is how many calls wait for that.

    `lease` is the key of the lease for its hot path.
    """

    def __init__(self) -> None:
        self.status = 200
        self.body = b"an answer"
        self.calls = 0
        self.under_way = 0
        self.lease = ""
        self._let = threading.Semaphore(0)

    async def __call__(self, scope: dict[str, Any], _: Any, send: Callable[..., Any]) -> None:
        if scope["type"] != "http":
            return
        self.calls += 1
        self.under_way += 1
        while not self._let.acquire(blocking=False):
            await asyncio.sleep(0.005)
        self.under_way -= 1
        etag = [(b"etag", b'"1"')]
        await send({"type": "http.response.start", "status": self.status, "headers": etag})
        await send({"type": "http.response.body", "body": self.body})

    def let(self, count: int = 1) -> None:
        """Let so many calls be answered."""
        self._let.release(count)


@pytest.fixture
def held() -> Held:
    return Held()


Ask = Callable[..., "Future[Answer]"]
Replicas = Callable[..., list[Ask]]


@pytest.fixture
def replicas(redis: RedisServer, held: Held) -> Iterator[Replicas]:
    """Serve replicas on one Redis; each is a function that asks it, for the same path unless told."""
    where: dict[str, Any] = {"redis_port": redis.port, "redis_password": redis.password}
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(serving(held))
        held.lease = f"lease:{upstream}/hot"
        pool = stack.enter_context(ThreadPoolExecutor(16))

        def serve(count: int, **settings: Any) -> list[Ask]:
            plain = {"redis_host": "127.0.0.1", "negative_ttl_s": 0.0, **where}
            apps = [
                stack.enter_context(serving(create_app(Settings(upstream, **(plain | settings))), HITS))
                for _ in range(count)
            ]
            return [lambda path="/content/hot", app=app: pool.submit(get, app, path) for app in apps]

        yield serve
        held.let(100)


def said(answer: Future[Answer]) -> str:
    return answer.result(10).headers["cache-status"]


def test_one_replica_fetches_and_the_others_are_given_what_it_stores(replicas: Replicas, held: Held) -> None:
    apps = replicas(4, lease_wait_s=10)
    answers = [app() for app in apps]
    assert eventually(lambda: held.under_way == 1)
    held.let()
    words = sorted(said(answer) for answer in answers)
    assert words == [
        "redis; fwd=uri-miss; collapsed",
        "redis; fwd=uri-miss; collapsed",
        "redis; fwd=uri-miss; collapsed",
        "redis; fwd=uri-miss; fwd-status=200; stored",
    ]
    assert held.calls == 1


PLAIN = {"ttl_s": 0.2, "ttl_jitter": 0.0, "stale_if_error_s": 0.0, "revalidate_s": 0.0}


def refilled(ask: Ask, held: Held, times: int) -> list[float]:
    """Ask for what has expired, so often; return how long each took."""
    took = []
    for _ in range(times):
        answer = ask()
        held.let()
        took.append(answer.result(10).took_s)
        until_s = time.monotonic() + 0.25
        assert eventually(lambda until_s=until_s: time.monotonic() > until_s)
    return took


def test_a_lease_that_redis_did_not_take_back_is_taken_up_again(
    replicas: Replicas, held: Held, redis: RedisServer, logged: Any
) -> None:
    [ask] = replicas(1, lease_wait_s=2, **PLAIN)
    answer = ask()
    assert eventually(lambda: held.under_way == 1)
    redis.hang()
    held.let()
    answer.result(10)
    redis.resume()
    assert eventually(lambda: "fwd=uri-miss" in said(asked_for(ask, held)), 5)
    assert int(redis.command("PTTL", held.lease).removeprefix(":")) < 0
    assert max(refilled(ask, held, 3)) < 1
    [line] = logged("a lease was not released")
    assert line["reason"] == "redis-timeout"


def asked_for(ask: Ask, held: Held) -> Future[Answer]:
    held.let()
    return ask()


@pytest.mark.parametrize("denied", ["-eval", "-del", "-eval -del"])
def test_a_lease_is_given_back_whatever_redis_permits(
    replicas: Replicas, held: Held, redis: RedisServer, denied: str, logged: Any
) -> None:
    redis.command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", *denied.split())
    [ask] = replicas(1, lease_wait_s=2, redis_user="app", redis_password="pw", **PLAIN)
    assert max(refilled(ask, held, 3)) < 1
    held.status = 302  # of what is not kept
    assert max(refilled(ask, held, 3)) < 1
    assert len(logged("redis permits no scripts: leases are released without them")) == 1


def test_calls_of_one_process_take_no_lease_from_each_other(replicas: Replicas, held: Held) -> None:
    [ask] = replicas(1, single_flight=False, lease_wait_s=10)
    answers = [ask() for _ in range(8)]
    assert eventually(lambda: held.under_way == 1)
    held.let()
    words = sorted(said(answer) for answer in answers)
    assert words == ["redis; fwd=uri-miss; collapsed"] * 7 + ["redis; fwd=uri-miss; fwd-status=200; stored"]
    assert held.calls == 1


def test_another_replicas_lease_that_is_left_is_waited_for_once(
    replicas: Replicas, held: Held, redis: RedisServer
) -> None:
    [ask] = replicas(1, lease_wait_s=0.5, **PLAIN)
    redis.command("SET", held.lease, "of-one-that-died", "PX", "35000")
    took = refilled(ask, held, 4)
    assert took[0] >= 0.5
    assert max(took[1:]) < 0.4


def test_who_waits_for_what_has_expired_says_so(replicas: Replicas, held: Held) -> None:
    first, second = replicas(2, ttl_s=0.3, ttl_jitter=0.0, stale_if_error_s=0.0, lease_wait_s=10)
    held.let()
    first().result(10)
    until_s = time.monotonic() + 0.35
    assert eventually(lambda: time.monotonic() > until_s)
    answers = [first(), second()]
    assert eventually(lambda: held.under_way == 1)
    held.let()
    assert sorted(said(answer) for answer in answers) == [
        "redis; fwd=stale; collapsed",
        "redis; fwd=stale; fwd-status=200; stored",
    ]


def test_who_has_waited_long_enough_goes_on_alone_and_the_lease_lives_as_long_as_the_call(
    replicas: Replicas, held: Held, redis: RedisServer
) -> None:
    first, second, third = replicas(3, lease_wait_s=0.2)
    answers = [first()]
    assert eventually(lambda: held.under_way == 1)
    answers.append(second())
    assert eventually(lambda: held.under_way == 2)
    left_ms = int(redis.command("PTTL", held.lease).removeprefix(":"))
    assert TIMEOUT_S * 1000 < left_ms <= TIMEOUT_S * 1000 + 10_000
    held.let()
    # Of the two, either may have been let; what it stored ends everybody's wait, and is a hit from now on.
    assert eventually(lambda: any(answer.done() for answer in answers))
    assert "hit" in said(third())
    held.let()
    # What was asked for first is not stored over what was asked for later.
    words = {said(answer) for answer in answers}
    assert words - {"redis; fwd=uri-miss; fwd-status=200; detail=outdated"} == {
        "redis; fwd=uri-miss; fwd-status=200; stored"
    }
    assert redis.command("EXISTS", held.lease) == ":0"
    assert held.calls == 2


def test_a_lease_whose_holder_died_is_waited_for_no_longer_than_it_may_be(
    replicas: Replicas, held: Held, redis: RedisServer
) -> None:
    [app] = replicas(1, lease_wait_s=0.5)
    redis.command("SET", held.lease, "of one that is gone", "PX", "60000")
    held.let()
    answer = app().result(10)
    assert answer.status == 200
    assert 0.5 <= answer.took_s < 5
    assert redis.command("EXISTS", held.lease) == ":1"


@pytest.mark.parametrize("status", [200, 301], ids=["kept", "not kept"])
def test_a_lease_is_given_back_by_its_holder_alone(
    replicas: Replicas, held: Held, redis: RedisServer, status: int
) -> None:
    held.status = status
    [app] = replicas(1)
    answer = app()
    assert eventually(lambda: held.under_way == 1)
    assert redis.command("SET", held.lease, "another's", "PX", "60000", "XX") == "+OK"
    held.let()
    assert answer.result(10).status == status
    assert redis.command("STRLEN", held.lease) == ":9"
    assert int(redis.command("PTTL", held.lease).removeprefix(":")) > 50_000


@pytest.mark.parametrize(
    "unkept", [{"status": 301}, {"status": 403}, {"status": 500}, {"body": b"x" * 101}], ids=str
)
def test_nobody_waits_in_line_for_what_is_not_kept(
    replicas: Replicas, held: Held, redis: RedisServer, unkept: dict[str, Any]
) -> None:
    vars(held).update(unkept)
    apps = replicas(4, lease_wait_s=10, most_bytes=100)
    answers = [app() for app in apps]
    assert eventually(lambda: held.under_way == 1)
    held.let()
    assert eventually(lambda: held.under_way == 3)
    held.let(3)
    assert not any("collapsed" in said(answer) for answer in answers)
    assert held.calls == 4
    assert eventually(lambda: redis.command("EXISTS", held.lease) == ":0")


def test_what_is_kept_again_is_fetched_once_again(replicas: Replicas, held: Held, redis: RedisServer) -> None:
    held.status = 500
    apps = replicas(2, lease_wait_s=10)
    held.let()
    apps[0]().result(10)
    assert eventually(lambda: redis.command("EXISTS", held.lease) == ":0")
    held.status = 200
    answers = [app() for app in apps]
    assert eventually(lambda: held.under_way == 1)
    held.let()
    assert sorted("collapsed" in said(answer) for answer in answers) == [False, True]


def test_a_lease_that_could_not_be_given_back_is_counted(
    replicas: Replicas, held: Held, redis: RedisServer
) -> None:
    held.status = 301
    [app] = replicas(1)
    answer = app()
    assert eventually(lambda: held.under_way == 1)
    redis.stop()
    held.let()
    assert answer.result(10).status == 301
    metrics = app("/metrics").result(10).body.decode()
    assert re.search(r'^cache_redis_errors_total\{reason="redis-down"\} 1.0$', metrics, re.MULTILINE)
