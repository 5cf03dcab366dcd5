"""Whatever happens, `Cache-Status` is a structured field (RFC 8941) that says what RFC 9211 lets it say.

And it means to the load side what the app has counted.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from origins import Origin
from servers import HITS, Answer, RedisServer, eventually, free_port, get, serving

from app.main import create_app
from app.settings import Settings
from loadtests.reading.answers import Reader
from scenarios.outcomes import OUTCOMES

pytestmark = pytest.mark.served

TOKEN = r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*"
PARAMETER = re.compile(rf"; (?P<key>[a-z*][a-z0-9_.*-]*)(?:=(?P<value>{TOKEN}|-?\d{{1,15}}))?")
TYPES: dict[str, Callable[[str | None], bool]] = {
    "hit": lambda value: value is None,
    "fwd": lambda value: value in ("bypass", "uri-miss", "stale"),
    "fwd-status": lambda value: re.fullmatch(r"[1-5]\d\d", value or "") is not None,
    "ttl": lambda value: re.fullmatch(r"-?\d+", value or "") is not None,
    "stored": lambda value: value is None,
    "collapsed": lambda value: value is None,
    "detail": lambda value: re.fullmatch(TOKEN, value or "") is not None,
    "why": lambda value: re.fullmatch(TOKEN, value or "") is not None,  # our own
}


def parsed(said: str) -> dict[str, str | None]:
    """Read the header strictly: one cache, parameters of the right types, each once."""
    name = re.match(TOKEN, said)
    assert name is not None, said
    assert name[0] in ("redis", "l1")
    at, found = name.end(), dict[str, str | None]()
    while at < len(said):
        parameter = PARAMETER.match(said, at)
        assert parameter is not None, said
        assert parameter["key"] not in found, said
        assert TYPES[parameter["key"]](parameter["value"]), said
        found[parameter["key"]] = parameter["value"]
        at = parameter.end()
    assert ("hit" in found) != ("fwd" in found), said
    return found


class Service:
    """The app, a Redis that may be hurt, and an upstream that may be told what to do."""

    def __init__(self, redis: RedisServer, stack: contextlib.ExitStack) -> None:
        self.redis, self.origin, self._stack = redis, Origin(), stack
        self.upstream = stack.enter_context(serving(self.origin))
        self.url = ""

    def serve(self, **settings: Any) -> None:
        plain: dict[str, Any] = {
            "ttl_s": 0.3, "ttl_jitter": 0.0, "revalidate_s": 0.0, "stale_if_error_s": 0.0,
            "redis_host": "127.0.0.1", "redis_port": self.redis.port, "redis_password": self.redis.password,
        }  # fmt: skip
        upstream = settings.pop("upstream", self.upstream)
        self.url = self._stack.enter_context(
            serving(create_app(Settings(upstream, **(plain | settings))), HITS)
        )

    def get(self, path: str = "a") -> Answer:
        return get(self.url, f"/content/{path}")

    def expired(self, ttl_s: float = 0.3) -> None:
        """Have a response that has expired."""
        self.get()
        until_s = time.monotonic() + ttl_s + 0.05
        assert eventually(lambda: time.monotonic() > until_s)

    def counted(self) -> dict[str, float]:
        text = get(self.url, "/metrics").body.decode()
        return {
            name: float(n) for name, n in re.findall(r'cache_requests_total{outcome="(\w+)"} (\S+)', text)
        }


@pytest.fixture
def service(redis: RedisServer) -> Iterator[Service]:
    with contextlib.ExitStack() as stack:
        yield Service(redis, stack)


def a_miss(service: Service) -> None:
    service.serve()


def a_hit(service: Service) -> None:
    service.serve(ttl_s=60)
    service.get()


def a_404_that_is_remembered(service: Service) -> None:
    service.serve(negative_ttl_s=60)
    service.origin.status = 404
    service.get()


def a_hit_in_l1(service: Service) -> None:
    service.serve(ttl_s=60, l1_s=60)
    service.get()
    service.get()


def a_hit_without_its_framework(service: Service) -> None:
    a_hit(service)
    service.get()


def expired_and_the_same(service: Service) -> None:
    service.serve(revalidate_s=60)
    service.expired()


def expired_and_fetched(service: Service) -> None:
    service.serve(stale_if_error_s=60)
    service.expired()


def stale_while_it_is_fetched(service: Service) -> None:
    service.serve(stale_while_revalidate_s=60)
    service.expired()


def stale_where_the_upstream_fails(service: Service) -> None:
    service.serve(stale_if_error_s=60)
    service.expired()
    service.origin.status = 503


def stale_where_no_answer_comes(service: Service) -> None:
    service.serve(stale_if_error_s=60)
    service.expired()
    service.origin.breaks = True


def stale_where_the_answer_takes_long(service: Service) -> None:
    service.serve(stale_if_error_s=60)
    service.expired()
    service.origin.takes_s = 1.3


def stale_where_it_took_long_before(service: Service) -> None:
    service.serve(ttl_s=1, stale_if_error_s=60)
    service.expired(1)
    service.origin.takes_s = 2
    service.get()


def stale_where_the_quota_is_spent(service: Service) -> None:
    service.serve(stale_if_error_s=60)
    service.origin.headers = spent()
    service.expired()


def a_redirect(service: Service) -> None:
    service.serve()
    service.origin.status = 301


def a_failure_that_is_passed_on(service: Service) -> None:
    service.serve()
    service.origin.status = 500


def too_large_to_keep(service: Service) -> None:
    service.serve(most_bytes=1)


def a_full_redis(service: Service) -> None:
    service.serve(lease=False)
    service.redis.command("CONFIG", "SET", "maxmemory", "1")


def a_redis_that_is_gone(service: Service) -> None:
    service.serve()
    service.redis.stop()


def no_redis(service: Service) -> None:
    service.serve(redis_host=None)


def a_spent_quota(service: Service) -> None:
    service.serve()
    service.origin.headers = spent()
    service.get("other")


def a_spent_quota_and_no_redis(service: Service) -> None:
    service.serve(redis_host=None)
    service.origin.headers = spent()
    service.get("other")


def no_upstream(service: Service) -> None:
    service.serve(upstream=f"http://127.0.0.1:{free_port()}")


def an_upstream_that_breaks_off(service: Service) -> None:
    service.serve()
    service.origin.breaks = True


def an_expired_response_and_an_upstream_that_breaks_off(service: Service) -> None:
    service.serve(revalidate_s=60)
    service.expired()
    service.origin.body, service.origin.breaks = b"second", True


def neither_redis_nor_upstream(service: Service) -> None:
    service.serve(upstream=f"http://127.0.0.1:{free_port()}")
    service.redis.stop()


def neither_cache_nor_upstream(service: Service) -> None:
    service.serve(upstream=f"http://127.0.0.1:{free_port()}", redis_host=None)


def too_late(service: Service) -> None:
    service.serve()
    service.origin.takes_s = 2


def too_large_to_answer(service: Service) -> None:
    service.serve()
    service.origin.body = b"x" * 2000


def spent() -> dict[str, str]:
    return {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + 60)}


EVERYTHING: list[tuple[Callable[[Service], None], str, str]] = [
    (a_miss, "redis; fwd=uri-miss; fwd-status=200; stored", "miss"),
    (a_hit, r"redis; hit; ttl=\d+", "hit"),
    (a_hit_without_its_framework, r"redis; hit; ttl=\d+", "hit"),
    (a_404_that_is_remembered, r"redis; hit; ttl=\d+; detail=negative", "hit"),
    (a_hit_in_l1, r"l1; hit; ttl=\d+", "hit"),
    (expired_and_the_same, "redis; fwd=stale; fwd-status=304; stored", "miss"),
    (expired_and_fetched, "redis; fwd=stale; fwd-status=200; stored", "miss"),
    (stale_while_it_is_fetched, "redis; hit; ttl=0; detail=stale; why=revalidating", "stale"),
    (stale_where_the_upstream_fails, "redis; hit; ttl=0; detail=stale; why=upstream-503", "stale"),
    (stale_where_no_answer_comes, "redis; hit; ttl=0; detail=stale; why=upstream-failed", "stale"),
    (stale_where_the_answer_takes_long, "redis; hit; ttl=-1; detail=stale; why=upstream-slow", "stale"),
    (stale_where_it_took_long_before, "redis; hit; ttl=-1; detail=stale; why=upstream-slow", "stale"),
    (stale_where_the_quota_is_spent, "redis; hit; ttl=0; detail=stale; why=quota", "stale"),
    (a_redirect, "redis; fwd=uri-miss; fwd-status=301", "miss"),
    (a_failure_that_is_passed_on, "redis; fwd=uri-miss; fwd-status=500", "error"),
    (too_large_to_keep, "redis; fwd=uri-miss; fwd-status=200", "miss"),
    (a_full_redis, "redis; fwd=uri-miss; fwd-status=200; detail=redis-full", "miss"),
    (a_redis_that_is_gone, "redis; fwd=bypass; fwd-status=200; detail=redis-down", "bypass"),
    (no_redis, "redis; fwd=bypass; fwd-status=200; detail=no-cache", "bypass"),
    (a_spent_quota, "redis; fwd=uri-miss; detail=quota", "error"),
    (a_spent_quota_and_no_redis, "redis; fwd=bypass; detail=no-cache; why=quota", "error"),
    (no_upstream, "redis; fwd=uri-miss; detail=upstream-down", "error"),
    (an_upstream_that_breaks_off, "redis; fwd=uri-miss; detail=upstream-down", "error"),
    (
        an_expired_response_and_an_upstream_that_breaks_off,
        "redis; fwd=stale; detail=upstream-down",
        "error",
    ),
    (neither_redis_nor_upstream, "redis; fwd=bypass; detail=redis-down; why=upstream-down", "error"),
    (neither_cache_nor_upstream, "redis; fwd=bypass; detail=no-cache; why=upstream-down", "error"),
    (too_late, "redis; fwd=uri-miss; detail=upstream-timeout", "error"),
    (too_large_to_answer, "redis; fwd=uri-miss; detail=body-too-large", "error"),
]


@pytest.mark.parametrize(
    ("happens", "expected", "word"), EVERYTHING, ids=[case[0].__name__ for case in EVERYTHING]
)
def test_what_happened_is_said_as_the_standards_want_it_and_counted_as_it_is_said(
    service: Service,
    happens: Callable[[Service], None],
    expected: str,
    word: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.upstream.calls.MOST_BYTES", 1000)
    monkeypatch.setattr("app.upstream.calls.TIMEOUT_S", 1.5)
    happens(service)
    before = service.counted()
    answer = service.get()
    said = answer.headers["cache-status"]
    assert re.fullmatch(expected, said), said
    parsed(said)
    assert OUTCOMES[Reader().read(answer.status, f"\r\ncache-status: {said}\r\n".encode()).outcome] == word
    counted = service.counted()
    assert {name for name in counted if counted[name] != before.get(name, 0)} == {word}
    assert sum(counted.values()) == sum(before.values()) + 1


def test_who_joins_says_so_and_is_counted_so(service: Service) -> None:
    service.serve()
    service.origin.takes_s = 0.5
    answers: list[Answer] = []
    crowd = [threading.Thread(target=lambda: answers.append(service.get())) for _ in range(3)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    said = sorted(answer.headers["cache-status"] for answer in answers)
    assert said[0] == "redis; fwd=uri-miss; fwd-status=200; stored"
    assert said[1:] == ["redis; fwd=uri-miss; fwd-status=200; stored; collapsed"] * 2
    assert all(parsed(one) for one in said)
    assert service.counted() == {"miss": 1, "delayed": 2}


@pytest.mark.parametrize(
    "said",
    [
        "redis; fwd=uri-miss; detail=the body is too large",
        "redis; fwd=uri-miss; fwd-status=abc",
        "redis; fwd=uri-miss; hit",
        "redis; hit; hit",
        "redis; hit;",
        'redis; hit; detail="a b"',
        "redis; hit; Detail=a",
        "redis",
        "",
    ],
)
def test_the_parser_of_these_tests_is_strict(said: str) -> None:
    with pytest.raises((AssertionError, KeyError)):
        parsed(said)
