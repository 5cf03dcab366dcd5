"""`GET /content/{path}`: what is answered, from where, and what the response says of it."""

import asyncio
import http.client
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from servers import HITS, RedisServer, eventually, get, serving

from app.answers import Answer
from app.main import create_app
from app.names import Resource
from app.service import get_cache
from app.settings import Settings

pytestmark = pytest.mark.served


@pytest.fixture(params=[HITS, "httptools"])
def app(request: pytest.FixtureRequest, redis: RedisServer, upstream: str) -> Iterator[str]:
    settings = Settings(
        upstream,
        ttl_s=30,
        ttl_jitter=0,
        redis_host="127.0.0.1",
        redis_port=redis.port,
        redis_password=redis.password,
    )
    with serving(create_app(settings), request.param) as url:
        yield url


def calls(upstream: str) -> int:
    return int(re.findall(rb'"calls": (\d+)', get(upstream, "/_stub/counts").body)[0])


def metric(app: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", get(app, "/metrics").body.decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_the_first_request_is_a_miss_and_is_stored(app: str, upstream: str, redis: RedisServer) -> None:
    answer = get(app, "/content/repos/a/b")
    assert answer.status == 200
    assert answer.headers["cache-status"] == "redis; fwd=uri-miss; fwd-status=200; stored"
    assert answer.headers["age"] == "0"
    assert answer.body == get(upstream, "/repos/a/b").body
    assert redis.command("EXISTS", f"content:{upstream}/repos/a/b") == ":1"


def test_the_next_is_a_hit_of_the_same_bytes_and_makes_no_call(app: str, upstream: str) -> None:
    first = get(app, "/content/repos/a/b")
    before = calls(upstream)
    second = get(app, "/content/repos/a/b")
    assert re.fullmatch(r"redis; hit; ttl=(30|29)", second.headers["cache-status"])
    assert second.body == first.body
    assert second.headers["etag"] == first.headers["etag"]
    assert second.headers["content-type"] == first.headers["content-type"]
    assert calls(upstream) == before


def test_what_a_test_overrides_answers_hits_too(redis: RedisServer, upstream: str) -> None:
    class Replaced:
        async def look(self, resource: Resource) -> Answer:
            return Answer(200, b"", resource.target.encode())

    settings = Settings(
        upstream, redis_host="127.0.0.1", redis_port=redis.port, redis_password=redis.password
    )
    app = create_app(settings)
    with serving(app, HITS) as url:
        upstreams = get(url, "/content/a").body
        assert "hit" in get(url, "/content/a").headers["cache-status"]
        app.dependency_overrides[get_cache] = Replaced
        assert get(url, "/content/a").body == b"a"
        app.dependency_overrides.clear()
        assert get(url, "/content/a").body == upstreams


def test_middleware_sees_every_request(redis: RedisServer, upstream: str) -> None:
    seen: list[str] = []

    class Noting:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                seen.append(scope["path"])
            await self.app(scope, receive, send)

    settings = Settings(
        upstream, redis_host="127.0.0.1", redis_port=redis.port, redis_password=redis.password
    )
    app = create_app(settings)
    app.add_middleware(Noting)
    with serving(app, HITS) as url:
        for _ in range(3):
            get(url, "/content/a")
    assert seen == ["/content/a"] * 3


def test_the_time_that_redis_took_is_counted_for_every_answer(app: str) -> None:
    get(app, "/content/timed")
    before = metric(app, "redis_seconds_count")
    get(app, "/content/timed")
    assert metric(app, "redis_seconds_count") == before + 1
    assert 0 < metric(app, "redis_seconds_sum") < 1


def test_age_counts_the_seconds_in_the_cache(app: str) -> None:
    get(app, "/content/old")
    began = time.monotonic()
    assert eventually(lambda: get(app, "/content/old").headers["age"] == "1", 3)
    assert 0.5 < time.monotonic() - began < 2.5


def test_age_goes_on_from_the_upstreams_own(redis: RedisServer) -> None:
    settings = {"redis_host": "127.0.0.1", "redis_port": redis.port, "redis_password": redis.password}
    with (
        serving(answering(200, {"age": "100"})) as upstream,
        serving(create_app(Settings(upstream, **settings)), HITS) as app,
    ):
        assert get(app, "/content/a").headers["age"] == "100"
        assert get(app, "/content/a").headers["age"] in ("100", "101")


def test_the_time_to_live_may_be_a_fraction_of_a_second(redis: RedisServer, upstream: str) -> None:
    settings = Settings(
        upstream, ttl_s=0.3, redis_host="127.0.0.1", redis_port=redis.port, redis_password=redis.password
    )
    with serving(create_app(settings), HITS) as app:
        get(app, "/content/a")
        assert "hit" in get(app, "/content/a").headers["cache-status"]
        assert eventually(lambda: "fwd=" in get(app, "/content/a").headers["cache-status"], 2)


def test_the_query_is_part_of_what_is_asked_and_kept(app: str, upstream: str) -> None:
    main, other = get(app, "/content/a?ref=main"), get(app, "/content/a?ref=other")
    assert main.body == get(upstream, "/a?ref=main").body
    assert main.body != other.body
    assert "hit" in get(app, "/content/a?ref=main").headers["cache-status"]


@pytest.mark.parametrize("status", [301, 302, 400, 403, 429, 500, 503])
def test_neither_redirects_nor_refusals_nor_failures_are_kept(redis: RedisServer, status: int) -> None:
    settings = {"redis_host": "127.0.0.1", "redis_port": redis.port, "redis_password": redis.password}
    headers = {"location": "http://192.0.2.1/secret"} if status < 400 else {}
    with (
        serving(answering(status, headers)) as upstream,
        serving(create_app(Settings(upstream, **settings)), HITS) as app,
    ):
        for _ in range(2):
            answer = get(app, "/content/a")
            assert answer.status == status
            assert answer.headers["cache-status"] == f"redis; fwd=uri-miss; fwd-status={status}"
        assert metric(app, f'upstream_requests_total{{status="{status}"}}') == 2


def test_an_upstream_that_does_not_answer_is_a_502_without_its_address(redis: RedisServer) -> None:
    settings = {"redis_host": "127.0.0.1", "redis_port": redis.port, "redis_password": redis.password}
    with serving(create_app(Settings("http://127.0.0.1:1", **settings)), HITS) as app:
        answer = get(app, "/content/a")
        assert answer.status == 502
        assert b"127.0.0.1" not in answer.body
        assert metric(app, 'upstream_requests_total{status="error"}') == 1


def test_a_body_that_is_too_long_is_cut_off(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.upstream.calls.MOST_BYTES", 100_000)

    async def lengthy(scope: dict[str, Any], _: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for left in reversed(range(1000)):  # an end, so that the server of this test can stop
                await send({"type": "http.response.body", "body": bytes(10_000), "more_body": left > 0})
                await asyncio.sleep(0)

    settings = {"redis_host": "127.0.0.1", "redis_port": redis.port, "redis_password": redis.password}
    with serving(lengthy) as upstream, serving(create_app(Settings(upstream, **settings)), HITS) as app:
        assert get(app, "/content/a").status == 502


def test_without_a_redis_every_response_says_that_there_is_no_cache(upstream: str) -> None:
    with serving(create_app(Settings(upstream)), HITS) as app:
        for _ in range(2):
            said = get(app, "/content/a").headers["cache-status"]
            assert said == "redis; fwd=bypass; fwd-status=200; detail=no-cache"
        assert calls(upstream) == 2
        assert get(app, "/readyz").status == 200


def test_somebody_elses_bytes_under_our_key_are_overwritten(
    app: str, redis: RedisServer, upstream: str
) -> None:
    redis.command("SET", f"content:{upstream}/a", "not an envelope")
    assert get(app, "/content/a").headers["cache-status"].endswith("stored")
    assert "hit" in get(app, "/content/a").headers["cache-status"]


def test_the_app_counts_what_its_responses_say(app: str, upstream: str) -> None:
    for path in ("a", "a", "b", "a"):
        get(app, f"/content/{path}")
    assert metric(app, 'cache_requests_total{outcome="hit"}') == 2
    assert metric(app, 'cache_requests_total{outcome="miss"}') == 2
    assert metric(app, 'upstream_requests_total{status="200"}') == calls(upstream) == 2


def test_the_token_goes_to_the_upstream_and_nowhere_else(redis: RedisServer) -> None:
    seen: list[bytes] = []

    async def noting(scope: dict[str, Any], _: Any, send: Any) -> None:
        if scope["type"] == "http":
            seen.append(dict(scope["headers"]).get(b"authorization", b""))
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})

    settings = {"redis_host": "127.0.0.1", "redis_port": redis.port, "redis_password": redis.password}
    with (
        serving(noting) as upstream,
        serving(create_app(Settings(upstream, upstream_token="t0ken", **settings)), HITS) as app,
    ):
        answers = [get(app, path) for path in ("/content/a", "/content/a", "/metrics", "/readyz", "/nowhere")]
        assert seen == [b"Bearer t0ken"]
        assert not any(b"t0ken" in answer.body or "t0ken" in str(answer.headers) for answer in answers)


def answering(status: int, headers: dict[str, str]) -> Any:
    """An upstream with one answer to everything."""

    async def application(scope: dict[str, Any], _: Any, send: Any) -> None:
        if scope["type"] == "http":
            pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": status, "headers": pairs})
            await send({"type": "http.response.body", "body": b"an answer"})

    return application


def test_ready_is_said_only_while_redis_answers(app: str, redis: RedisServer) -> None:
    assert get(app, "/healthz").status == get(app, "/readyz").status == 200
    redis.stop()
    assert get(app, "/readyz").status == 503
    assert get(app, "/healthz").status == 200


def test_head_is_answered_as_get_would_be_without_a_body(app: str, upstream: str) -> None:
    miss = get(app, "/content/a", "HEAD")
    assert (miss.status, miss.body) == (200, b"")
    assert miss.headers["cache-status"] == "redis; fwd=uri-miss; fwd-status=200; stored"
    hit = get(app, "/content/a")
    assert hit.headers["cache-status"].startswith("redis; hit")
    assert int(miss.headers["content-length"]) == len(hit.body) > 0
    again = get(app, "/content/a", "HEAD")
    assert (again.body, again.headers["etag"]) == (b"", hit.headers["etag"])
    assert again.headers["cache-status"].startswith("redis; hit")
    assert get(app, "/content/..%2fa", "HEAD").status == 400
    assert calls(upstream) == 1
    assert metric(app, 'cache_requests_total{outcome="hit"}') == 2


def test_the_connection_is_of_use_after_a_head(app: str) -> None:
    host, port = app.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    for method in ("GET", "HEAD", "GET", "HEAD", "GET"):
        connection.request(method, "/content/a")
        answer = connection.getresponse()
        assert answer.status == 200
        assert bool(answer.read()) == (method == "GET")
    connection.close()


def test_each_operation_has_a_name_of_its_own(app: str) -> None:
    paths = json.loads(get(app, "/openapi.json").body)["paths"]
    assert set(paths["/content/{path}"]) == {"get", "head"}
    names = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(names) == len(set(names))


def test_what_the_process_remembers_is_answered_before_the_framework_too(
    redis: RedisServer, upstream: str
) -> None:
    settings = Settings(
        upstream, ttl_s=60, ttl_jitter=0, l1_s=60, redis_host="127.0.0.1", redis_port=redis.port,
        redis_password=redis.password,
    )  # fmt: skip
    application = create_app(settings)
    reached: list[str] = []

    routed = application.router.middleware_stack

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            reached.append(scope["path"])
        await routed(scope, receive, send)

    application.router.middleware_stack = noted
    with serving(application, HITS) as url:
        told = [get(url, "/content/a").headers["cache-status"].split(";")[:2] for _ in range(4)]
    assert told == [["redis", " fwd=uri-miss"], ["redis", " hit"], ["l1", " hit"], ["l1", " hit"]]
    assert reached == ["/content/a"], "the miss alone"
