"""Several deployments and replicas on one Redis: none is given the answers of another, or older ones."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from origins import Origin
from servers import HITS, Answer, RedisServer, eventually, get, serving
from ways import WAYS, served

from app.main import create_app
from app.metrics import Metrics
from app.names import Names
from app.settings import Settings
from app.store.envelope import Envelope, opened, tombstone
from app.store.resp import RedisError
from app.store.values import PASS, Store
from compose import credentials

pytestmark = [pytest.mark.served, pytest.mark.usefixtures("patient")]


@contextlib.contextmanager
def deployed(redis: RedisServer, upstream: str, way: str = HITS, **settings: Any) -> Iterator[str]:
    where: dict[str, Any] = {"redis_port": redis.port, "redis_password": redis.password}
    app = create_app(Settings(upstream, redis_host="127.0.0.1", **(where | settings)))
    with served(app, way) if way in WAYS else serving(app, way) as url:
        yield url


def keys(redis: RedisServer) -> list[str]:
    return sorted(key for key in redis.raw("KEYS", "*").decode().split("\n") if key)


@pytest.mark.parametrize("way", WAYS)
def test_two_upstreams_and_two_tokens_on_one_redis_are_four_caches(redis: RedisServer, way: str) -> None:
    async def private(scope: Any, _: Any, send: Any) -> None:
        if scope["type"] == "http":
            token = dict(scope["headers"]).get(b"authorization", b"nobody")
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": scope["raw_path"] + b" of " + token})

    with serving(private) as one, serving(private) as other:
        for _ in range(2):
            for upstream in (one, f"{one}/api", other):
                for token in (None, "first", "second"):
                    with deployed(redis, upstream, way, upstream_token=token) as url:
                        said = (f"Bearer {token}" if token else "nobody").encode()
                        path = b"/api/me" if upstream.endswith("/api") else b"/me"
                        assert get(url, "/content/me").body == path + b" of " + said
        assert len(keys(redis)) == 9
        assert f"content:{one}/me" in keys(redis)
        assert not any("first" in key or "second" in key for key in keys(redis))
        with deployed(redis, one, way, upstream_token="first") as url:
            assert "; hit" in get(url, "/content/me").headers["cache-status"]


def test_a_password_in_the_upstreams_url_is_in_no_key() -> None:
    of = [
        Names(Settings(f"https://{user}api.example/v1")).resource("a?b").key for user in ("", "u:p@", "u:q@")
    ]
    assert of[0] == b"https://api.example/v1/a?b"
    assert len(set(of)) == 3
    assert not any(b"u:" in key for key in of)


NOW_S = 2e9


def packed(asked_s: float, body: bytes = b"x") -> bytes:
    return Envelope(200, asked_s, asked_s, asked_s + 60, b"", body).pack()


def storing(redis: RedisServer, story: Callable[[Store], Any], **settings: Any) -> Any:
    """Run a story with a store."""
    where: dict[str, Any] = {"redis_port": redis.port, "redis_password": redis.password}

    async def run() -> Any:
        store = Store(Settings("http://127.0.0.1:1", redis_host="127.0.0.1", **(where | settings)), Metrics())
        try:
            return await story(store)
        finally:
            await store.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("held", "stored"),
    [
        (packed(NOW_S - 10), True),
        (packed(NOW_S - 5), True),
        (packed(NOW_S - 4.999), False),
        (packed(NOW_S), False),
        (tombstone(NOW_S - 1), False),
        (tombstone(NOW_S - 10), True),
        (packed(NOW_S + 0.1), True),  # by a clock that is ahead
        (packed(NOW_S + 1e9), True),
        (packed(NOW_S - 1)[:13], True),
        (packed(NOW_S - 1)[:6], True),
        (b"", True),
        (b"something else", True),
        (b"scb4" + packed(NOW_S - 1)[4:], True),
        (struct.pack(">4sHd", b"scb5", 200, float("nan")) + b"rest", True),
        (struct.pack(">4sHd", b"scb5", 200, float("inf")) + b"rest", True),
    ],
)
def test_what_was_asked_for_later_stays(redis: RedisServer, held: bytes, stored: bool) -> None:
    """Of answers that are in Redis, those whose call began later than five seconds ago."""
    redis.raw("SET", "content:a", held)
    data = packed(NOW_S - 5, b"new" * 1000)
    assert storing(redis, lambda store: store.put(b"a", data, 60, NOW_S)) is stored
    assert redis.raw("GET", "content:a") == (data if stored else held)
    if stored:
        assert 59_000 < int(redis.raw("PTTL", "content:a")) <= 60_000


@pytest.mark.parametrize(
    "command", [("RPUSH", "x"), ("SADD", "x"), ("HSET", "a", "b"), ("ZADD", "1", "x")], ids=str
)
def test_a_value_of_another_type_is_none_and_is_overwritten(
    redis: RedisServer, command: tuple[str, ...]
) -> None:
    async def story(store: Store) -> None:
        assert await store.get(b"a") is None
        assert await store.holder(b"a") == PASS, "and a lease of another type is waited for by nobody"
        assert await store.put(b"a", packed(NOW_S), 60, NOW_S)
        assert opened(await store.get(b"a") or b"") is not None

    for key in ("content:a", "lease:a"):
        redis.raw(command[0], key, *command[1:])
    storing(redis, story)
    assert 0 < int(redis.raw("PTTL", "lease:a")) <= 1000


def limited(redis: RedisServer, *changes: str) -> dict[str, Any]:
    """Let in a user with the rights that the stacks give, changed as a test asks; return the settings."""
    user = credentials.acl(hashlib.sha256(b"limited").hexdigest()).splitlines()[1].split()[1:]
    redis.raw("ACL", "SETUSER", *user, *changes)
    return {"redis_user": "app", "redis_password": "limited"}


def test_the_user_of_the_stacks_may_do_all_that_it_takes(redis: RedisServer) -> None:
    async def story(store: Store) -> None:
        assert await store.put(b"a", packed(NOW_S - 1), 60, NOW_S)
        assert not await store.put(b"a", packed(NOW_S - 2), 60, NOW_S)
        assert await store.get(b"a") == packed(NOW_S - 1)
        assert await store.claim(b"a", b"token", 5)
        await store.release(b"a", b"token", kept=True)
        with pytest.raises(RedisError, match=r"NOPERM|No permissions"):
            await store._ask(b"*1\r\n$6\r\nDBSIZE\r\n")

    storing(redis, story, **limited(redis))
    assert keys(redis) == ["content:a"]


def test_without_scripts_it_is_stored_all_the_same_and_said_once(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(store: Store) -> None:
        for asked_s in (NOW_S - 1, NOW_S - 2):
            assert await store.put(b"a", packed(asked_s), 60, NOW_S)

    storing(redis, story, **limited(redis, "-eval"))
    assert redis.raw("GET", "content:a") == packed(NOW_S - 2)
    assert sum("permits no scripts" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (("-set",), "redis-denied"),
        (("resetkeys", "~other:*"), "redis-denied"),
        (("-eval", "-set"), "redis-denied"),
    ],
    ids=str,
)
def test_what_may_not_be_stored_says_why(redis: RedisServer, changes: tuple[str, ...], reason: str) -> None:
    async def story(store: Store) -> str:
        with pytest.raises(RedisError) as caught:
            await store.put(b"a", packed(NOW_S), 60, NOW_S)
        return caught.value.reason

    assert storing(redis, story, **limited(redis, *changes)) == reason


def test_a_full_redis_says_so(redis: RedisServer) -> None:
    async def story(store: Store) -> str:
        with pytest.raises(RedisError) as caught:
            await store.put(b"a", packed(NOW_S), 60, NOW_S)
        return caught.value.reason

    redis.raw("CONFIG", "SET", "maxmemory", "1")
    assert storing(redis, story) == "redis-full"


class Moving(Origin):
    """An upstream whose `/a` leads to wherever the test says; each place has the same ETag."""

    to = "/b"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["raw_path"] == b"/a":
            self.paths.append("/a")
            self.asked.append(dict(scope["headers"]))
            headers = [(b"location", self.to.encode())]
            await send({"type": "http.response.start", "status": 302, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        if scope["type"] == "http":
            self.headers = {}
            asked = dict(scope["headers"])
            self.paths.append(scope["raw_path"].decode())
            self.asked.append(asked)
            status = 304 if asked.get(b"if-none-match") == b'"1"' else 200
            await send({"type": "http.response.start", "status": status, "headers": [(b"etag", b'"1"')]})
            body = b"" if status == 304 else b"body of " + scope["raw_path"]
            await send({"type": "http.response.body", "body": body})


def test_a_validator_is_used_for_the_url_whose_it_is(redis: RedisServer) -> None:
    """Where a redirect leads elsewhere now, what has the same ETag there is another thing."""
    origin = Moving()
    with (
        serving(origin) as upstream,
        deployed(redis, upstream, ttl_s=0.2, ttl_jitter=0.0, revalidate_s=60.0, stale_if_error_s=0.0) as url,
    ):

        def fetched(said: str) -> bytes:
            found: list[Answer] = []

            def comes() -> bool:
                found.append(get(url, "/content/a"))
                return said in found[-1].headers["cache-status"]

            assert eventually(comes), [answer.headers["cache-status"] for answer in found]
            return found[-1].body

        assert fetched("fwd=uri-miss; fwd-status=200; stored") == b"body of /b"
        assert fetched("fwd=stale; fwd-status=304; stored") == b"body of /b"
        assert [b"if-none-match" in asked for asked in origin.asked[-2:]] == [False, True]
        origin.to = "/c"
        assert fetched("fwd=stale; fwd-status=200; stored") == b"body of /c"
        assert not any(b"if-none-match" in asked for asked in origin.asked[-2:])
        assert fetched("fwd=stale; fwd-status=304; stored") == b"body of /c"


def test_a_304_that_nobody_asked_for_is_a_failure(redis: RedisServer) -> None:
    origin = Origin()
    with serving(origin) as upstream, deployed(redis, upstream, ttl_s=0.2, ttl_jitter=0.0) as url:
        origin.status = 304
        answer = get(url, "/content/a")
        assert (answer.status, answer.headers["cache-status"]) == (
            502, "redis; fwd=uri-miss; detail=upstream-304",
        )  # fmt: skip
        origin.status = 200
        assert get(url, "/content/a").body == b"first"


def test_many_replicas_that_race_leave_the_newest(redis: RedisServer) -> None:
    """Whatever the order in which they land, what was asked for last is what is there."""

    def race(number: int) -> None:
        storing(redis, lambda store: store.put(b"a", packed(NOW_S - number, b"%d" % number), 60, NOW_S))

    threads = [threading.Thread(target=race, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = opened(redis.raw("GET", "content:a"))
    assert found is not None
    assert found.body == b"0"
