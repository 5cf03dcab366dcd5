"""A client that sends nothing, half a request, or does not read holds its connection for a bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from servers import HITS, RedisServer, eventually, get, serving

from app.main import create_app
from app.settings import Settings

pytestmark = pytest.mark.served

BOUNDED = "app.clients:Bounded"
WHOLE = b"GET /content/a HTTP/1.1\r\nHost: x\r\n\r\n"
Serve = Callable[..., str]


@pytest.fixture(params=[HITS, BOUNDED])
def serve(redis: RedisServer, upstream: str, request: pytest.FixtureRequest) -> Iterator[Serve]:
    """Serve the app by uvicorn, with options of its own."""
    where = {"redis_host": "127.0.0.1", "redis_port": redis.port, "redis_password": redis.password}
    with contextlib.ExitStack() as stack:

        def serve(to: str = upstream, **options: Any) -> str:
            app = create_app(Settings(to, **where))  # type: ignore[arg-type]
            return stack.enter_context(serving(app, request.param, **options))

        yield serve


@contextlib.contextmanager
def connected(app: str) -> Iterator[socket.socket]:
    parts = urlsplit(app)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as connection:
        yield connection


def closed_after_s(connection: socket.socket) -> float:
    """Read until the server closes; return how long that took."""
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while connection.recv(65536):
            pass
    return time.monotonic() - began


@pytest.mark.parametrize(
    "sent",
    [
        b"", b"G", b"GET /content/a", WHOLE[:-2], b"\r\n\r\n",
        b"POST /content/a HTTP/1.1\r\nContent-Length: 9\r\n\r\n{", WHOLE,
        WHOLE + b"GET /con", WHOLE + b"\r\n", WHOLE + WHOLE,
    ],
)  # fmt: skip
def test_a_connection_without_a_request_is_closed(serve: Serve, sent: bytes) -> None:
    with connected(serve(timeout_keep_alive=1)) as connection:
        connection.sendall(sent)
        assert 0.5 < closed_after_s(connection) < 4


def test_half_a_request_is_not_waited_for_as_long_as_another(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.clients.REQUEST_S", 0.5)
    app = serve(timeout_keep_alive=60)
    with connected(app) as connection, connected(app) as idle:
        connection.sendall(WHOLE)
        connection.recv(65536)
        connection.sendall(WHOLE[:9])
        assert closed_after_s(connection) < 4
        idle.settimeout(0.1)
        with pytest.raises(TimeoutError):
            idle.recv(1)


def test_a_request_that_drips_is_given_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.clients.REQUEST_S", 0.5)
    with connected(serve(timeout_keep_alive=60)) as connection:
        began, ended = time.monotonic(), False
        connection.settimeout(0.05)
        while not ended and time.monotonic() < began + 5:
            with contextlib.suppress(TimeoutError):
                try:
                    connection.sendall(b"x")
                    ended = connection.recv(1) == b""
                except ConnectionError:
                    ended = True
        assert ended


def test_who_waits_for_a_slow_answer_is_not_sent_away(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.clients.REQUEST_S", 0.3)

    async def slow(scope: dict[str, Any], _: Any, send: Callable[..., Any]) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(2)
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"at last"})

    with serving(slow) as upstream, connected(serve(upstream, timeout_keep_alive=1)) as connection:
        connection.sendall(WHOLE + WHOLE[:9])
        answer = b""
        while b"at last" not in answer and (more := connection.recv(65536)):
            answer += more
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"at last")


def test_a_connection_that_is_used_stays(serve: Serve) -> None:
    parts = urlsplit(serve(timeout_keep_alive=1))
    with contextlib.closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)) as one:
        one.connect()
        used, until_s = one.sock, time.monotonic() + 2.5
        while time.monotonic() < until_s:
            one.request("GET", "/content/a")
            assert len(one.getresponse().read()) > 0
        assert one.sock is used


def test_a_client_that_does_not_read_is_sent_away(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.clients.READING_S", 0.3)
    body = b"x" * 900_000

    async def large(scope: dict[str, Any], _: Any, send: Callable[..., Any]) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": body})

    with serving(large) as upstream:
        app = serve(upstream)
        assert get(app, "/content/a").body == body
        with connected(app) as connection:
            asked = 0

            def gone() -> bool:
                nonlocal asked
                try:
                    connection.sendall(WHOLE)
                except OSError:
                    return True
                asked += 1
                return False

            connection.setblocking(False)
            assert eventually(gone, 20)
            assert asked
        assert get(app, "/content/a").body == body
