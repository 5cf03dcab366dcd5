"""What an upstream sends unasked, cuts or garbles is nobody's answer and is never stored."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import re
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import brotli
import pytest
import uvloop
from raw_upstreams import RawUpstream, reset, response
from servers import HITS, Answer, RedisServer, eventually, get, serving

from app.main import create_app
from app.metrics import Metrics
from app.names import Resource
from app.settings import Settings
from app.upstream.calls import MOST_BYTES, SMALL_BYTES, Upstream
from app.upstream.connections import Connector

pytestmark = pytest.mark.served

Serve = Callable[..., str]
Logged = Callable[..., list[dict[str, str]]]


@pytest.fixture(params=[HITS, "httptools"])
def serve(redis: RedisServer, request: pytest.FixtureRequest) -> Iterator[Serve]:
    """Serve the app before an upstream that answers by a function, on both ways that a request can take."""
    where = {"redis_host": "127.0.0.1", "redis_port": redis.port, "redis_password": redis.password}
    with contextlib.ExitStack() as stack:

        def serve(upstream: RawUpstream, **settings: Any) -> str:
            url = stack.enter_context(upstream.serving())
            app = create_app(Settings(url, **{**where, **settings}))
            return stack.enter_context(serving(app, request.param))

        yield serve


def echo(connection: socket.socket, target: str) -> None:
    connection.sendall(response(b"body of " + target.encode()))


def is_answered(app: str, path: str) -> bool:
    answer = get(app, f"/content/{path}")
    return answer.status == 200 and answer.body == f"body of /{path}".encode()


def fails_and_is_not_kept(app: str, path: str, why: str, redis: RedisServer) -> Answer:
    answer = get(app, f"/content/{path}")
    assert (answer.status, answer.headers["cache-status"]) == (502, f"redis; fwd=uri-miss; detail={why}")
    assert redis.command("EXISTS", f"content:{path}") == ":0"
    return answer


UNASKED = {
    "a late 408": response(b"late", "Connection: close", status="408 Request Timeout"),
    "a second response": response(b"POISON"),
    "half a response": b"HTTP/1.1 200 OK\r\nContent-Le",
    "its rest": b"ngth: 6\r\n\r\nPOISON",
    "an early hint": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "a byte": b"x",
    "a line end": b"\r\n",
}


@pytest.mark.parametrize("said", UNASKED.values(), ids=UNASKED)
def test_a_connection_on_which_something_came_unasked_is_not_used_again(serve: Serve, said: bytes) -> None:
    upstream = RawUpstream(echo)
    app = serve(upstream)
    for number in range(3):
        assert is_answered(app, f"a{number}")
        upstream.say_unasked(said)
        assert is_answered(app, f"b{number}")
        assert is_answered(app, f"b{number}")  # and nothing else was stored
    assert upstream.made == 4


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_what_has_come_and_has_not_been_read_is_seen(run: Callable[[Any], None]) -> None:
    upstream = RawUpstream(echo)

    async def ask_twice(url: str) -> None:
        async with aiohttp.ClientSession(connector=Connector(limit=0)) as session:
            for path in ("a", "b"):
                async with session.get(f"{url}/{path}") as answer:
                    assert await answer.read() == f"body of /{path}".encode()
                upstream.say_unasked(
                    UNASKED["a second response"]
                )  # and the loop does not run before the next

    with upstream.serving() as url:
        run(ask_twice(url))
    assert upstream.made == 2


def test_a_connection_on_which_nothing_came_is_used_again(serve: Serve) -> None:
    upstream = RawUpstream(echo)
    app = serve(upstream)
    assert all(is_answered(app, path) for path in "abcde")
    assert upstream.made == 1


@pytest.mark.parametrize("more", [response(b"POISON"), b"HTTP/1.1 408 late\r\n", b"\r\nx"])
def test_what_follows_an_answer_at_once_answers_nothing(serve: Serve, more: bytes) -> None:
    """The answer itself is whole, and may be given, but nothing that follows it is."""

    def answer(connection: socket.socket, target: str) -> None:
        connection.sendall(response(b"body of " + target.encode()) + more)

    upstream = RawUpstream(answer)
    app = serve(upstream)
    for path in "abc":
        found = get(app, f"/content/{path}")
        assert found.status == 502 or found.body == f"body of /{path}".encode()
    assert b"POISON" not in b"".join(get(app, f"/content/{path}").body for path in "abc")


def test_a_408_that_crosses_a_request_is_no_answer_to_it(serve: Serve) -> None:
    def answer(connection: socket.socket, target: str) -> bool | None:
        if len(upstream.asked) == 2:
            connection.sendall(UNASKED["a late 408"])
            return False
        return echo(connection, target)

    upstream = RawUpstream(answer)
    app = serve(upstream)
    assert is_answered(app, "a")
    assert is_answered(app, "b")
    assert upstream.asked == ["/a", "/b", "/b"]


def deflated(body: bytes) -> bytes:
    """Return what some servers call deflate: it lacks zlib's header."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def zstandard(body: bytes) -> bytes:
    zstd = pytest.importorskip("backports.zstd", reason="from Python 3.14 on it is in the standard library")
    return bytes(zstd.compress(body))


WHOLE = b"".join(b"%d of a body that is long enough to be cut; " % number for number in range(2000))
CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": lambda body: gzip.compress(body[:999]) + gzip.compress(body[999:]),
    "deflate": zlib.compress,
    "Deflate": deflated,
    "br": brotli.compress,
    "zstd": zstandard,
    "gzip, br": lambda body: bytes(brotli.compress(gzip.compress(body))),
    "identity": bytes,
}


@pytest.mark.parametrize("coding", CODINGS)
def test_a_body_is_decoded_and_kept_if_it_is_whole_and_only_then(
    serve: Serve, redis: RedisServer, coding: str
) -> None:
    encoded = CODINGS[coding](WHOLE)
    cuts = {"half": len(encoded) // 2, "most": len(encoded) - 1, "head": 5}

    def answer(connection: socket.socket, target: str) -> None:
        sent = encoded[: cuts.get(target[1:], len(encoded))] + (b"x" if target == "/more" else b"")
        connection.sendall(response(sent, f"Content-Encoding: {coding}"))

    app = serve(RawUpstream(answer))
    for _ in range(2):
        found = get(app, "/content/whole")
        assert (found.status, found.body, "content-encoding" in found.headers) == (200, WHOLE, False)
    assert "hit" in found.headers["cache-status"]
    for path in [*cuts, "more"] if coding != "identity" else []:
        found = get(app, f"/content/{path}")
        assert found.status == 502
        assert re.fullmatch(r"redis; fwd=uri-miss; detail=body-(cut|broken)", found.headers["cache-status"])
        assert redis.command("EXISTS", f"content:{path}") == ":0"


@pytest.mark.parametrize("coding", ["compress", "aes128gcm", "gzip, rot13", "gzip,gzip,gzip,gzip"])
def test_a_coding_that_is_not_known_fails(serve: Serve, redis: RedisServer, coding: str) -> None:
    app = serve(RawUpstream(lambda c, _: c.sendall(response(b"abc", f"Content-Encoding: {coding}"))))
    fails_and_is_not_kept(app, "a", "coding-unknown", redis)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_what_is_no_such_stream_fails(serve: Serve, redis: RedisServer, coding: str) -> None:
    app = serve(RawUpstream(lambda c, _: c.sendall(response(b"plain " * 99, f"Content-Encoding: {coding}"))))
    fails_and_is_not_kept(app, "a", "body-broken", redis)


def test_a_redirect_may_name_a_coding_and_have_no_body(serve: Serve) -> None:
    app = serve(
        RawUpstream(lambda c, _: c.sendall(response(b"", "Content-Encoding: gzip", status="302 Found")))
    )
    assert get(app, "/content/a").status == 302


BOMBS = {
    "gzip": gzip.compress(bytes(MOST_BYTES + 1)),
    "br": brotli.compress(bytes(MOST_BYTES + 1), quality=3),
    "gzip, gzip": gzip.compress(gzip.compress(bytes(10 * MOST_BYTES))),
}


@pytest.mark.parametrize("coding", BOMBS)
def test_a_body_is_as_large_as_it_is_decoded(serve: Serve, redis: RedisServer, coding: str) -> None:
    app = serve(RawUpstream(lambda c, _: c.sendall(response(BOMBS[coding], f"Content-Encoding: {coding}"))))
    fails_and_is_not_kept(app, "a", "body-too-large", redis)


def test_a_stream_of_empty_members_ends(serve: Serve, redis: RedisServer) -> None:
    empty = gzip.compress(b"") * 2000
    app = serve(RawUpstream(lambda c, _: c.sendall(response(empty, "Content-Encoding: gzip"))))
    fails_and_is_not_kept(app, "a", "body-broken", redis)


@pytest.mark.parametrize(
    ("etag", "asked"), [(b'"a"', b'"a"'), ('"café"'.encode(), '"café"'.encode()), (b'"caf\xe9"', None)]
)
def test_an_etag_is_asked_for_as_it_came_or_not_at_all(
    serve: Serve, etag: bytes, asked: bytes | None
) -> None:
    def answer(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nETag: %b\r\nContent-Length: 2\r\n\r\nok" % etag)

    upstream = RawUpstream(answer)
    app = serve(upstream, ttl_s=0.05)
    assert eventually(lambda: get(app, "/content/a") and len(upstream.heads) == 2)
    found = re.search(rb"(?i)if-none-match: ([^\r]*)", upstream.heads[1])
    assert (found and found[1]) == asked


def test_only_so_many_large_bodies_are_held_at_once_and_small_ones_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.upstream.calls.LARGE_AT_ONCE", 1)
    body, go_on = b"x" * 3 * SMALL_BYTES, threading.Event()

    def answer(connection: socket.socket, target: str) -> None:
        sent = response(b"small" if target == "/small" else body)
        half = len(sent) // 2 if target == "/first" else len(sent)
        connection.sendall(sent[:half])
        if target == "/first":
            assert go_on.wait(20)
            connection.sendall(sent[half:])

    async def fetch(url: str) -> None:
        upstream = Upstream(Settings(url), Metrics())

        async def get(path: str) -> bytes:
            return (await upstream.get(Resource(path.encode(), path))).body

        first = asyncio.create_task(get("first"))
        while not upstream._large.locked():
            await asyncio.sleep(0.001)
        second = asyncio.create_task(get("second"))
        while not upstream._large._waiters:  # it has as much as it may have without a turn
            await asyncio.sleep(0.001)
        assert await get("small") == b"small"
        assert not second.done()
        go_on.set()
        assert await first == await second == body
        await upstream.close()

    with RawUpstream(answer).serving() as url:
        asyncio.run(asyncio.wait_for(fetch(url), 20))


UNENDED = {
    "a body without a length": b"HTTP/1.1 200 OK\r\n\r\nonly a part",
    "a body of HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\nonly a part",
    "a body with a length": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nonly a part",
    "a body in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nonly\r\n",
    "a last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nonly\r\n0\r\n",
}


@pytest.mark.parametrize("sent", UNENDED.values(), ids=UNENDED)
def test_a_body_that_ends_in_a_reset_is_not_whole(serve: Serve, redis: RedisServer, sent: bytes) -> None:
    def answer(connection: socket.socket, _: str) -> bool:
        connection.sendall(sent)
        reset(connection)
        return False

    app = serve(RawUpstream(answer))
    fails_and_is_not_kept(app, "a", "upstream-down", redis)


def test_a_body_that_ends_with_the_connection_is_whole(serve: Serve) -> None:
    def answer(connection: socket.socket, _: str) -> bool:
        connection.sendall(UNENDED["a body without a length"])
        return False

    assert get(serve(RawUpstream(answer)), "/content/a").body == b"only a part"


@pytest.mark.parametrize("status", [101, 600, 700, 999, 0, 99, 1000])
def test_a_status_that_is_none_fails_is_counted_and_logged_with_its_cause(
    serve: Serve, redis: RedisServer, status: int, logged: Logged
) -> None:
    app = serve(RawUpstream(lambda c, _: c.sendall(response(b"odd", status=f"{status:03d} Odd"))))
    why = "upstream-down" if status == 1000 else "upstream-status"
    fails_and_is_not_kept(app, "a", why, redis)
    line = logged()[-1]
    assert status == 1000 or (line["reason"], line["cause"]) == ("upstream-status", f"status {status}")
    assert counted(app) == {"error": 1}
    assert is_well(app)


def test_a_long_header_is_read_and_a_longer_one_is_a_cause(
    serve: Serve, redis: RedisServer, logged: Logged
) -> None:
    def answer(connection: socket.socket, target: str) -> None:
        value = "secret" * (int(target[1:]) // 6)
        connection.sendall(response(b"body of " + target.encode(), f"Content-Security-Policy: {value}"))

    app = serve(RawUpstream(answer))
    for size in (9_000, 20_000, 60_000):
        assert is_answered(app, str(size))
    fails_and_is_not_kept(app, "100000", "upstream-down", redis)
    line = logged()[-1]
    assert "65536" in line["cause"]
    assert "secret" not in json.dumps(line)
    assert counted(app) == {"200": 3, "error": 1}


def counted(app: str) -> dict[str, int]:
    text = get(app, "/metrics").body.decode()
    found = re.findall(r'^upstream_requests_total\{status="(\w+)"\} (\S+)$', text, re.MULTILINE)
    return {status: int(float(count)) for status, count in found}


def is_well(app: str) -> bool:
    return get(app, "/healthz").status == 200
