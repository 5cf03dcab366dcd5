"""Whatever Redis does, a request is answered from the upstream, within a bounded time, and says why."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from servers import HITS, RedisServer, eventually, free_port, get, serving

from app.answers import Answer, Look
from app.content.answering import Cache
from app.main import create_app
from app.metrics import Metrics
from app.names import Resource
from app.settings import Settings

pytestmark = pytest.mark.served

# Connecting, authenticating and asking may each time out once (0.1 s each); the rest is for a busy machine.
BOUND_S = 1.0


def breaks_connections(redis: RedisServer) -> None:
    redis.stop()


def hangs(redis: RedisServer) -> None:
    redis.hang()


def wants_another_password(redis: RedisServer) -> None:
    redis.command("CONFIG", "SET", "requirepass", "changed")
    redis.password = "changed"
    redis.command("CLIENT", "KILL", "TYPE", "normal")


def is_full(redis: RedisServer) -> None:
    redis.command("CONFIG", "SET", "maxmemory", "1")


def is_a_replica(redis: RedisServer) -> None:
    redis.command("REPLICAOF", "127.0.0.1", "1")


Fault = Callable[[RedisServer], None]
# What each does to a request that would be a hit, and to one that would be a miss.
FAULTS: list[tuple[Fault, str, str]] = [
    (breaks_connections, r"fwd=bypass; fwd-status=200; detail=redis-down", "detail=redis-down"),
    (hangs, r"fwd=bypass; fwd-status=200; detail=redis-timeout", "detail=redis-timeout"),
    (wants_another_password, r"fwd=bypass; fwd-status=200; detail=redis-", "detail=redis-"),
    (is_full, "hit", "fwd=uri-miss; fwd-status=200; detail=redis-full"),
    (is_a_replica, "hit", "fwd=uri-miss; fwd-status=200; detail=redis-readonly"),
]


@pytest.fixture
def app(redis: RedisServer, upstream: str) -> Iterator[str]:
    settings = Settings(
        upstream, ttl_s=30, redis_host="127.0.0.1", redis_port=redis.port, redis_password=redis.password
    )
    with serving(create_app(settings), HITS) as url:
        yield url


@pytest.mark.parametrize(
    ("fault", "of_a_hit", "of_a_miss"), FAULTS, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_redis_in_trouble_fails_no_request(
    app: str, redis: RedisServer, fault: Fault, of_a_hit: str, of_a_miss: str
) -> None:
    body = get(app, "/content/kept").body
    fault(redis)
    kept, new = get(app, "/content/kept"), get(app, "/content/new")
    assert (kept.status, kept.body) == (200, body)
    assert new.status == 200
    assert of_a_hit in kept.headers["cache-status"]
    assert of_a_miss in new.headers["cache-status"]
    assert kept.took_s < BOUND_S
    assert new.took_s < BOUND_S


@pytest.mark.parametrize("fault", [hangs, is_full, is_a_replica], ids=lambda fault: fault.__name__)
def test_it_recovers_without_a_restart(app: str, redis: RedisServer, fault: Fault) -> None:
    fault(redis)
    get(app, "/content/new")
    redis.resume()
    redis.command("REPLICAOF", "NO", "ONE")
    redis.command("CONFIG", "SET", "maxmemory", "0")
    assert eventually(lambda: "hit" in get(app, "/content/new").headers["cache-status"], 5)


def test_a_redis_that_comes_back_is_used_again(app: str, redis: RedisServer) -> None:
    redis.stop()
    assert "detail=redis-down" in get(app, "/content/a").headers["cache-status"]
    redis.start()
    assert eventually(lambda: "stored" in get(app, "/content/a").headers["cache-status"], 5)
    assert "hit" in get(app, "/content/a").headers["cache-status"]


def speaking(*answers: bytes) -> tuple[int, threading.Thread]:
    """A server that answers every command with the next of these bytes, the last one for ever."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection: socket.socket) -> None:
        place = 0
        with connection:
            while connection.recv(65536):
                answer = answers[min(place, len(answers) - 1)]
                place += 1
                if answer == b"":
                    return
                connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1]), threading.current_thread()


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"-LOADING Redis is loading the dataset in memory\r\n", "redis-loading"),
        (b"-NOPERM this user has no permissions to run the 'get' command\r\n", "redis-denied"),
        (b"-WRONGPASS invalid username-password pair or user is disabled.\r\n", "redis-auth"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "redis-"),
        (b"\x00\xff\xfe garbage", "redis-"),
        (b"", "redis-down"),
        (b":1\r\n", "redis-garbage"),
        (b"*0\r\n", "redis-garbage"),
        (b"*1\r\n$1\r\na\r\n", "redis-garbage"),
        (b"#t\r\n", "redis-garbage"),
        (b",1.5\r\n", "redis-garbage"),
        (b"%1\r\n+a\r\n:1\r\n", "redis-garbage"),
        (b"-\xff\xfe\r\n", "redis-"),
    ],
    ids=[
        "loading", "no permission", "wrong password", "another protocol", "garbage", "closes",
        "a number", "an empty list", "a list", "a truth", "a fraction", "a map", "an error in no words",
    ],
)  # fmt: skip
def test_a_redis_that_answers_nonsense_is_passed_by(upstream: str, answer: bytes, detail: str) -> None:
    port, _ = speaking(answer)
    with serving(create_app(Settings(upstream, redis_host="127.0.0.1", redis_port=port)), HITS) as app:
        for _ in range(2):
            response = get(app, "/content/a")
            assert response.status == 200
            assert f"detail={detail}" in response.headers["cache-status"]
            assert response.took_s < BOUND_S


@pytest.mark.parametrize("answer", [b":1\r\n", b"*0\r\n", b"#t\r\n"])
@pytest.mark.parametrize("lease", [True, False])
def test_a_connection_that_begins_to_answer_nonsense_leaves_nobody_waiting(
    upstream: str, answer: bytes, lease: bool
) -> None:
    nothing, ok = b"$-1\r\n", b"+OK\r\n"
    # A cold request looks, claims and looks again, stores, and gives the lease back; then answers go wrong.
    usual = [nothing, ok, nothing, ok, b":1\r\n"] if lease else [nothing, ok]
    port, _ = speaking(*usual, answer)
    settings = Settings(upstream, redis_host="127.0.0.1", redis_port=port, lease=lease)
    with serving(create_app(settings), HITS) as app:
        assert "stored" in get(app, "/content/a").headers["cache-status"]
        for _ in range(3):  # the breaker's probe is answered nonsense, too
            response = get(app, "/content/a")
            assert response.status == 200
            assert response.headers["cache-status"].endswith(
                "fwd=bypass; fwd-status=200; detail=redis-garbage"
            )
            assert response.took_s < BOUND_S
        assert get(app, "/readyz").status == 503


@pytest.mark.parametrize("answer", [7, [], [b"a"], True, 1.5, ValueError("unforeseen")])
def test_who_asks_is_told_whatever_redis_answers(answer: object) -> None:
    async def ask() -> list[Look | Answer]:
        cache = Cache(Settings("http://127.0.0.1:1", redis_host="127.0.0.1", redis_port=1), Metrics())
        assert cache.store is not None
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if isinstance(answer, Exception):
            answered.set_exception(answer)
        else:
            answered.set_result(answer)
        cache.store.asked = lambda key: answered  # type: ignore[method-assign]
        told: list[Look | Answer] = []
        assert cache.ask(Resource(b"a", "a"), told.append)
        await asyncio.sleep(0)
        await cache.close()
        return told

    [look] = asyncio.run(ask())
    assert isinstance(look, Look)
    assert look.reason in ("redis-garbage", "redis-error")


def test_a_redis_that_was_never_there_is_passed_by(upstream: str) -> None:
    with serving(create_app(Settings(upstream, redis_host="127.0.0.1", redis_port=free_port())), HITS) as app:
        assert "detail=redis-down" in get(app, "/content/a").headers["cache-status"]
        assert get(app, "/content/a").took_s < BOUND_S


def test_a_redis_that_dies_between_the_read_and_the_write_costs_no_answer(redis: RedisServer) -> None:
    async def killing(scope: dict[str, object], _: object, send: Callable[..., object]) -> None:
        if scope["type"] == "http":
            redis.stop()
            await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[misc]
            await send({"type": "http.response.body", "body": b"an answer"})  # type: ignore[misc]

    settings = {"redis_host": "127.0.0.1", "redis_port": redis.port, "redis_password": redis.password}
    with serving(killing) as upstream, serving(create_app(Settings(upstream, **settings)), HITS) as app:  # type: ignore[arg-type]
        answer = get(app, "/content/a")
        assert (answer.status, answer.body) == (200, b"an answer")
        assert answer.headers["cache-status"] == "redis; fwd=uri-miss; fwd-status=200; detail=redis-down"
        assert answer.took_s < BOUND_S
