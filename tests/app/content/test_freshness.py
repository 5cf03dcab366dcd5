"""What is expired, missing or failing: revalidated, served stale, remembered for a while, or left alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from origins import Origin
from servers import HITS, RedisServer, eventually, get, serving

from app.answers import Answer, Look
from app.content.answering import Cache
from app.content.memory import MOST, Troubles
from app.main import create_app
from app.metrics import Metrics
from app.names import Names, Resource
from app.settings import Settings

pytestmark = pytest.mark.served


@pytest.fixture
def origin() -> Origin:
    return Origin()


@pytest.fixture
def serve(redis: RedisServer, origin: Origin) -> Iterator[Callable[..., str]]:
    """Serve the app with plain settings, changed as a test asks."""
    plain = {
        "ttl_s": 0.3, "ttl_jitter": 0.0, "revalidate_s": 0.0, "stale_if_error_s": 0.0, "negative_ttl_s": 0.0,
    }  # fmt: skip
    where = {"redis_host": "127.0.0.1", "redis_port": redis.port, "redis_password": redis.password}
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(serving(origin))

        def serve(**settings: Any) -> str:
            merged: dict[str, Any] = {**plain, **where, **settings}
            return stack.enter_context(serving(create_app(Settings(upstream, **merged)), HITS))

        yield serve


def said(app: str, path: str = "a") -> str:
    return get(app, f"/content/{path}").headers["cache-status"]


def expire(app: str) -> None:
    """Wait until what was cached just now has expired, without asking for it."""
    until_s = time.monotonic() + 0.35
    assert eventually(lambda: time.monotonic() > until_s)


def metric(app: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", get(app, "/metrics").body.decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize("lease", [True, False])
def test_a_clock_that_is_set_back_makes_nothing_immortal(
    serve: Callable[..., str], origin: Origin, monkeypatch: pytest.MonkeyPatch, lease: bool
) -> None:
    app = serve(ttl_s=0.3, l1_s=0.1, lease=lease)
    assert get(app, "/content/a").body == b"first"
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 3600)
    origin.body = b"second"
    expired_s = time.monotonic() + 0.3
    assert eventually(lambda: time.monotonic() > expired_s)
    assert get(app, "/content/a").body == b"second"
    origin.body = b"third"
    expired_s = time.monotonic() + 0.4
    assert eventually(lambda: time.monotonic() > expired_s)
    assert get(app, "/content/a").body == b"third"


def test_what_has_expired_and_still_holds_is_not_sent_again(
    serve: Callable[..., str], origin: Origin
) -> None:
    app = serve(revalidate_s=60)
    get(app, "/content/a")
    expire(app)
    answer = get(app, "/content/a")
    assert answer.body == b"first"
    assert answer.headers["cache-status"] == "redis; fwd=stale; fwd-status=304; stored"
    assert origin.asked[-1][b"if-none-match"] == b'"first"'
    assert "; hit" in said(app)
    assert metric(app, 'upstream_requests_total{status="304"}') == 1
    assert metric(app, 'cache_requests_total{outcome="miss"}') == 2


def test_without_revalidation_nobody_asks_for_changes_alone(
    serve: Callable[..., str], origin: Origin
) -> None:
    app = serve(stale_if_error_s=60)
    get(app, "/content/a")
    expire(app)
    assert said(app) == "redis; fwd=stale; fwd-status=200; stored"
    assert b"if-none-match" not in origin.asked[-1]


def test_a_304_brings_stored_headers_up_to_date(serve: Callable[..., str], origin: Origin) -> None:
    app = serve(revalidate_s=60)
    origin.headers = {"last-modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
    get(app, "/content/a")
    expire(app)
    origin.headers = {"last-modified": "Tue, 02 Jan 2024 00:00:00 GMT"}
    for expected in ("fwd-status=304", "hit"):
        answer = get(app, "/content/a")
        assert expected in answer.headers["cache-status"]
        assert answer.headers["last-modified"] == "Tue, 02 Jan 2024 00:00:00 GMT"
        assert answer.body == b"first"


@pytest.mark.parametrize("status", [404, 301, 410, 400])
def test_what_has_gone_does_not_come_back_when_the_upstream_fails(
    serve: Callable[..., str], origin: Origin, status: int
) -> None:
    app = serve(stale_if_error_s=60)
    get(app, "/content/a")
    expire(app)
    origin.status = status
    assert get(app, "/content/a").status == status
    origin.status = 500
    assert get(app, "/content/a").status == 500


def test_what_was_long_under_way_is_as_old(serve: Callable[..., str], origin: Origin) -> None:
    app = serve(ttl_s=30)
    origin.takes_s = 1.1
    assert get(app, "/content/a").headers["age"] == "1"
    answer = get(app, "/content/a")
    assert answer.headers["age"] == "1"
    assert answer.headers["cache-status"] in ("redis; hit; ttl=30", "redis; hit; ttl=29")


def test_a_failed_call_says_why_it_was_made(serve: Callable[..., str], origin: Origin) -> None:
    app = serve(revalidate_s=60)
    get(app, "/content/a")
    expire(app)
    origin.body, origin.breaks = b"second", True
    for path, why in (("a", "stale"), ("never-seen", "uri-miss")):
        answer = get(app, f"/content/{path}")
        assert answer.status == 502
        assert re.fullmatch(rf"redis; fwd={why}; detail=upstream-down", answer.headers["cache-status"])


def test_what_has_expired_and_changed_is_replaced(serve: Callable[..., str], origin: Origin) -> None:
    app = serve(revalidate_s=60)
    get(app, "/content/a")
    expire(app)
    origin.body = b"second"
    answer = get(app, "/content/a")
    assert (answer.body, answer.headers["age"]) == (b"second", "0")
    assert answer.headers["cache-status"] == "redis; fwd=stale; fwd-status=200; stored"


def test_what_is_stale_is_served_while_it_is_fetched_anew(serve: Callable[..., str], origin: Origin) -> None:
    app = serve(stale_while_revalidate_s=60)
    get(app, "/content/a")
    expire(app)
    origin.body = b"second"
    answer = get(app, "/content/a")
    assert answer.body == b"first"
    assert "hit; ttl=0; detail=stale" in answer.headers["cache-status"]
    assert eventually(lambda: get(app, "/content/a").body == b"second")
    assert metric(app, 'cache_requests_total{outcome="stale"}') >= 1


def test_a_stale_response_is_refreshed_once_by_all_who_looked_before_the_refresh_ended(
    redis: RedisServer, origin: Origin
) -> None:
    async def story(upstream: str) -> int:
        where: dict[str, Any] = {"redis_port": redis.port, "redis_password": redis.password}
        settings = Settings(
            upstream, ttl_s=0.1, stale_while_revalidate_s=60, lease=False, redis_host="127.0.0.1", **where
        )
        cache = Cache(settings, Metrics())
        a, b = Names(settings).resource("a"), Names(settings).resource("b")
        await cache.answer(a, await looked(cache, a))
        early, late = await looked(cache, a), await looked(cache, a)
        assert early.found is not None
        await cache.answer(a, early)
        while cache._flights.landed < 2:
            await asyncio.sleep(0.01)
        assert b"detail=stale" in (await cache.answer(a, late)).said
        await cache.answer(b, await looked(cache, b))  # what was begun before has got as far
        await cache.close()
        return len(origin.asked)

    async def looked(cache: Cache, resource: Resource) -> Look:
        """Look a resource up until it is no hit."""
        while isinstance(look := await cache.look(resource), Answer):
            await asyncio.sleep(0.01)
        return look

    with serving(origin) as upstream:
        assert asyncio.run(story(upstream)) == 3


@pytest.mark.parametrize("status", [500, 503, 401, 403, 407, 408, 421, 425, 429])
def test_what_is_stale_is_better_than_a_failure(
    serve: Callable[..., str], origin: Origin, status: int
) -> None:
    app = serve(stale_if_error_s=60)
    get(app, "/content/a")
    expire(app)
    origin.status = status
    answer = get(app, "/content/a")
    assert (answer.status, answer.body) == (200, b"first")
    assert f"detail=stale; why=upstream-{status}" in answer.headers["cache-status"]
    assert get(app, "/content/never-seen").status == status


def test_nothing_stale_is_served_beyond_its_time(serve: Callable[..., str], origin: Origin) -> None:
    app = serve(stale_if_error_s=0.1, revalidate_s=60)
    get(app, "/content/a")
    expire(app)
    origin.status = 500
    assert eventually(lambda: get(app, "/content/a").status == 500, 2)


def test_a_404_is_remembered_for_a_while(serve: Callable[..., str], origin: Origin) -> None:
    app = serve(negative_ttl_s=0.3)
    origin.status = 404
    assert get(app, "/content/a").status == 404
    answer = get(app, "/content/a")
    assert answer.status == 404
    assert answer.headers["cache-status"].endswith("detail=negative")
    assert len(origin.asked) == 1
    origin.status = 200
    assert eventually(lambda: get(app, "/content/a").status == 200, 2)


def test_a_body_above_the_cap_is_answered_and_not_kept(serve: Callable[..., str], origin: Origin) -> None:
    app = serve(most_bytes=100)
    origin.body = b"x" * 101
    assert get(app, "/content/a").body == origin.body
    assert "stored" not in said(app)
    assert len(origin.asked) == 2


def test_lifetimes_are_spread_by_the_jitter(serve: Callable[..., str], origin: Origin) -> None:
    app = serve(ttl_s=1000, ttl_jitter=0.2)
    for number in range(40):
        get(app, f"/content/{number}")
    left = [int(said(app, str(number)).split("ttl=")[1]) for number in range(40)]
    assert 795 <= min(left) < 900 < 1100 < max(left) <= 1200


def test_the_first_level_answers_without_redis_until_its_own_time_is_up(
    serve: Callable[..., str], redis: RedisServer
) -> None:
    app = serve(ttl_s=60, l1_s=0.5)
    get(app, "/content/a")
    assert said(app).startswith("redis; hit")
    assert said(app).startswith("l1; hit")
    redis.stop()
    assert said(app).startswith("l1; hit")
    assert eventually(lambda: "fwd=bypass" in said(app), 3)


def test_an_upstream_that_hangs_is_waited_for_only_so_long_where_something_stale_is_at_hand(
    serve: Callable[..., str], origin: Origin
) -> None:
    app = serve(stale_if_error_s=60)
    get(app, "/content/a")
    expire(app)
    origin.takes_s, origin.body = 3.0, b"second"
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: get(app, "/content/a"), range(5)))
    again = get(app, "/content/a")
    for answer in [*answers, again]:
        assert answer.body == b"first"
        assert answer.headers["cache-status"].endswith("detail=stale; why=upstream-slow")
    assert all(0.9 < answer.took_s < 2 for answer in answers)
    assert again.took_s < 0.5
    # The call goes on behind it, and brings what was wanted.
    assert eventually(lambda: get(app, "/content/a").body == b"second")
    assert len(origin.asked) == 2
    assert metric(app, 'cache_requests_total{outcome="stale"}') >= 6


def test_a_failure_is_not_waited_for_again_at_once(serve: Callable[..., str], origin: Origin) -> None:
    app = serve(ttl_s=0.3, stale_if_error_s=60, stale_while_revalidate_s=0.1)
    get(app, "/content/a")
    expire(app)
    origin.status = 503
    until_s = time.monotonic() + 1.5
    asked = 0
    while time.monotonic() < until_s:
        assert re.search("detail=stale; why=(upstream-503|revalidating)", said(app))
        asked += 1
    assert 3 <= len(origin.asked) - 1 <= 6 < asked
    origin.status, origin.body = 200, b"second"
    assert eventually(lambda: get(app, "/content/a").body == b"second", 2)


def test_what_would_not_last_the_wait_is_no_reason_to_wait_less(
    serve: Callable[..., str], origin: Origin
) -> None:
    app = serve(stale_if_error_s=0.9)
    get(app, "/content/a")
    expire(app)
    origin.takes_s = 1.5
    assert said(app) == "redis; fwd=stale; fwd-status=200; stored"


def test_without_single_flight_each_request_waits_for_its_own_call(
    serve: Callable[..., str], origin: Origin
) -> None:
    app = serve(stale_if_error_s=60, single_flight=False)
    get(app, "/content/a")
    expire(app)
    origin.takes_s = 1.5
    assert said(app) == "redis; fwd=stale; fwd-status=200; stored"


def test_troubles_are_remembered_for_a_while_and_not_without_number() -> None:
    troubles = Troubles(5.0)
    troubles.note(b"a", b"upstream-503", 100.0)
    assert troubles.why(b"a", 104.9) == b"upstream-503"
    assert troubles.why(b"b", 104.9) is None
    assert troubles.why(b"a", 105.0) is None
    for number in range(MOST + 10):
        troubles.note(b"%d" % number, b"upstream-slow", 200.0)
    assert troubles.why(b"9", 200.0) is None
    assert troubles.why(b"%d" % MOST, 200.0) == b"upstream-slow"


def quota(remaining: int, reset_s: float) -> dict[str, str]:
    return {"x-ratelimit-remaining": str(remaining), "x-ratelimit-reset": str(int(time.time() + reset_s))}


def test_the_last_calls_of_the_quota_are_left_to_what_is_not_cached(
    serve: Callable[..., str], origin: Origin
) -> None:
    app = serve(stale_if_error_s=60, upstream_reserve=5)
    origin.headers = quota(5, 60)
    get(app, "/content/a")
    expire(app)
    assert "detail=stale; why=quota" in said(app)
    assert "stored" in said(app, "new")
    assert len(origin.asked) == 2


def test_a_spent_quota_is_not_asked_for_more(serve: Callable[..., str], origin: Origin) -> None:
    app = serve()
    origin.headers = quota(0, 60)
    get(app, "/content/a")
    answer = get(app, "/content/b")
    assert answer.status == 503
    assert 50 < int(answer.headers["retry-after"]) <= 62
    assert json.loads(answer.body)["detail"] == "the upstream's quota is used up"
    assert len(origin.asked) == 1


def test_an_upstream_that_asks_for_patience_is_given_it(serve: Callable[..., str], origin: Origin) -> None:
    app = serve()
    origin.status, origin.headers = 429, {"retry-after": "1"}
    assert get(app, "/content/a").status == 429
    assert get(app, "/content/a").status == 503
    origin.status, origin.headers = 200, {}
    assert eventually(lambda: get(app, "/content/a").status == 200, 3)
    assert len(origin.asked) == 2
