"""After a failover the app goes where Redis's name leads now, whichever of its addresses answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from relays import Relay
from servers import HITS, RedisServer, eventually, free_port, get, serving

from app.logs import Seldom
from app.main import create_app
from app.settings import Settings
from app.store.dialing import Dialer
from app.store.resp import RedisError, RefusedError, encode

pytestmark = pytest.mark.served


@pytest.fixture
def next_redis(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "next"
    folder.mkdir()
    server = RedisServer(folder, free_port())
    server.start()
    yield server
    server.stop()


def becomes_a_replica(redis: RedisServer) -> None:
    redis.command("REPLICAOF", "127.0.0.1", "1")


def becomes_a_replica_that_knows_nothing(redis: RedisServer) -> None:
    redis.command("CONFIG", "SET", "replica-serve-stale-data", "no")
    redis.command("REPLICAOF", "127.0.0.1", "1")


@pytest.mark.parametrize("http", [HITS, "httptools"])
@pytest.mark.parametrize("fails", [becomes_a_replica, becomes_a_replica_that_knows_nothing])
def test_a_failover_is_followed_and_said_once(
    redis: RedisServer, next_redis: RedisServer, upstream: str, http: str, fails: Any, logged: Any
) -> None:
    relay = Relay(redis.port)
    with relay.serving() as port:
        settings = Settings(
            upstream, redis_host="127.0.0.1", redis_port=port, redis_password=redis.password, lease=False
        )
        with serving(create_app(settings), http) as app:
            get(app, "/content/a")
            assert "hit" in get(app, "/content/a").headers["cache-status"]
            relay.target = next_redis.port
            fails(redis)
            assert "detail=redis-" in get(app, "/content/b").headers["cache-status"]
            assert eventually(lambda: "stored" in get(app, "/content/b").headers["cache-status"], 3)
            assert "hit" in get(app, "/content/b").headers["cache-status"]
    assert relay.made == 2
    assert [line["reason"] for line in logged("redis is looked up again")] in (
        ["redis-readonly"],
        ["redis-masterdown"],
    )


@pytest.mark.parametrize("http", [HITS, "httptools"])
def test_a_redis_that_stays_read_only_is_asked_for_hits_and_looked_up_seldom(
    redis: RedisServer, upstream: str, http: str
) -> None:
    relay = Relay(redis.port)
    with relay.serving() as port:
        settings = Settings(upstream, redis_host="127.0.0.1", redis_port=port, redis_password=redis.password)
        with serving(create_app(settings), http) as app:
            get(app, "/content/kept")
            becomes_a_replica(redis)
            for number in range(50):
                assert "detail=redis-readonly" in get(app, f"/content/{number}").headers["cache-status"]
                assert "hit" in get(app, "/content/kept").headers["cache-status"]
            assert relay.made <= 3
            redis.command("REPLICAOF", "NO", "ONE")
            assert eventually(lambda: "stored" in get(app, "/content/new").headers["cache-status"], 3)


def dial(settings: Settings, *addresses: tuple[str, int]) -> Any:
    """Connect to what a name stands for, and ask; return the answer."""

    async def ask() -> Any:
        loop = asyncio.get_running_loop()

        async def found(*_: Any, **__: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

        loop.getaddrinfo = found  # type: ignore[method-assign]
        connection = await Dialer(settings, ignore, ignore, ignore).connect()
        try:
            return await connection.ask(encode(b"PING"))
        finally:
            connection.close()

    return asyncio.run(ask())


def ignore(_: RedisError | RefusedError | float) -> None:
    pass


@contextlib.contextmanager
def swallowing() -> Iterator[tuple[str, int]]:
    """An address where connections are neither taken nor refused: its queue is full."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.2", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        yield listener.getsockname()


def test_an_address_where_nobody_answers_is_passed_by_in_time(redis: RedisServer) -> None:
    settings = Settings("http://x", redis_host="both.test", redis_password=redis.password)
    alive, refusing = ("127.0.0.1", redis.port), ("127.0.0.1", free_port())
    with swallowing() as dead:
        assert dial(settings, dead, alive) == b"PONG"
        assert dial(settings, refusing, dead, alive) == b"PONG"
        assert dial(settings, refusing, alive) == b"PONG"
        with pytest.raises(RedisError, match=r"could not be reached within 0\.1 s"):
            dial(settings, dead, dead)


@pytest.mark.parametrize("host", ["redis..svc", "r" * 64])
def test_a_host_that_cannot_be_looked_up_fails_no_request(upstream: str, host: str) -> None:
    with serving(create_app(Settings(upstream, redis_host=host)), HITS) as app:
        answer = get(app, "/content/a")
    assert (answer.status, "detail=redis-down" in answer.headers["cache-status"]) == (200, True)


def test_what_goes_on_and_on_is_logged_seldom(caplog: pytest.LogCaptureFixture) -> None:
    seldom = Seldom(logging.getLogger("test.seldom"), 3600)
    for number in range(9):
        seldom.warning("it goes on", reason=str(number))
        seldom.warning("and on", reason=str(number))
    assert [record.message for record in caplog.records] == ["it goes on", "and on"]
