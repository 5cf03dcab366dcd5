"""Hits are answered before the application is asked, and nobody can tell by what is answered."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import HITS, RedisServer, eventually, free_port, get, serving

from app.answers import LOOK, Answer, Look
from app.main import create_app
from app.names import Resource
from app.service import CachingService
from app.settings import Settings
from loadtests.upstream import Stub, StubSettings

pytestmark = pytest.mark.served

HIT = Answer(200, b'etag: "1"\r\n', b"hit", 0, b"redis; hit; ttl=1")
MISS = Look(1)
LATER = Look(2)


@dataclass
class Service:
    """The application, with a cache that answers when the test says so.

    `asked` are the targets that were looked up, and who is to be told; `reached` the requests that came to
    the application's routes, each with what had been found before.
    """

    application: CachingService
    asked: list[tuple[str, Callable[[Look | Answer], None]]] = field(default_factory=list)
    reached: list[tuple[str, Look | None]] = field(default_factory=list)
    able: bool = True
    loop: asyncio.AbstractEventLoop | None = None

    async def routed(self, scope: Any, receive: Any, send: Any) -> None:
        """Stand in for the routes."""
        if scope["type"] == "lifespan":
            self.loop = asyncio.get_running_loop()
            for said in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{said}.complete"})
            return
        self.reached.append((scope["path"], scope[LOOK][1] if LOOK in scope else None))
        while (await receive())["more_body"]:
            pass
        headers = [(b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"usual"})

    def ask(self, resource: Resource, tell: Callable[[Look | Answer], None]) -> bool:
        """Stand in for the cache, where a server asks it."""
        if self.able:
            self.asked.append((resource.target, tell))
        return self.able

    async def look(self, _: Resource) -> Look:
        """Stand in for the cache, where the application asks it."""
        return LATER

    def tell(self, looked: Look | Answer) -> None:
        """Let the oldest question be answered."""
        assert eventually(lambda: self.asked)
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.asked.pop(0)[1], looked)


@pytest.fixture
def service() -> Service:
    application = create_app(Settings("http://127.0.0.1:9"))
    service = Service(application)
    application._cache = service
    application.router.middleware_stack = service.routed
    return service


@contextlib.contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        yield connection


def request(path: str = "/content/a", *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "host: any", *lines, "", ""]).encode()


def answers(connection: socket.socket, count: int) -> list[bytes]:
    """Read so many answers; return their bodies, or as many as came before the end."""
    data, found = b"", []
    while len(found) < count:
        while (end := data.find(b"\r\n\r\n")) < 0 or len(data) < end + 4 + _length(data[:end]):
            more = connection.recv(65536)
            if not more:
                return found
            data += more
        size = end + 4 + _length(data[:end])
        found.append(data[end + 4 : size])
        data = data[size:]
    assert not data
    return found


def _length(head: bytes) -> int:
    found = re.search(rb"content-length: (\d+)", head)
    assert found, head
    return int(found[1])


def test_a_hit_never_reaches_the_application(service: Service) -> None:
    with serving(service.application, HITS) as url, connected(url) as connection:
        for _ in range(3):
            connection.sendall(request("/content/a%20b?c=d"))
            assert eventually(lambda: service.asked)
            assert service.asked[0][0] == "a%20b?c=d"
            service.tell(HIT)
            assert answers(connection, 1) == [b"hit"]
    assert service.reached == []


def test_a_hit_carries_the_date_and_its_own_headers_and_no_others(service: Service) -> None:
    with serving(service.application, HITS, server_header=False) as url, connected(url) as connection:
        connection.sendall(request())
        service.tell(HIT)
        head = connection.recv(65536).decode()
    date = r"date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"
    own = r'etag: "1"\r\ncontent-length: 3\r\nage: 0\r\ncache-status: redis; hit; ttl=1'
    assert re.fullmatch(rf"HTTP/1.1 200 OK\r\n{date}\r\n{own}\r\n\r\nhit", head)


def test_what_was_found_goes_with_a_miss_so_that_nobody_looks_twice(service: Service) -> None:
    with serving(service.application, HITS) as url, connected(url) as connection:
        connection.sendall(request("/content/a"))
        service.tell(MISS)
        assert answers(connection, 1) == [b"usual"]
        service.able = False
        connection.sendall(request("/content/b"))
        assert answers(connection, 1) == [b"usual"]
    assert service.reached == [("/content/a", MISS), ("/content/b", LATER)]


@pytest.mark.parametrize(
    "sent",
    [
        request("/metrics"),
        request("/content"),
        request(method="HEAD"),
        request("/content/a", "content-length: 0", method="POST"),
        request("/content/../a"),
        request("/content/%00"),
        request("/content/a", "connection: close"),
        request("/content/a", "connection: upgrade", "upgrade: h2c"),
        request("/content/a", version="1.0"),
        request("/content/a", "content-length: 2") + b"{}",
    ],
    ids=lambda sent: sent.split(b"\r\n")[0].decode() + " " + sent.split(b"\r\n")[2].decode(),
)
def test_all_else_takes_its_usual_way(service: Service, sent: bytes) -> None:
    with serving(service.application, HITS) as url, connected(url) as connection:
        connection.sendall(sent)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert len(service.reached) == 1
    assert service.asked == []


@pytest.mark.parametrize(
    "option", [{"access_log": True}, {"limit_concurrency": 9}, {"root_path": "/content"}]
)
def test_where_uvicorn_has_more_to_do_requests_take_their_usual_way(
    service: Service, option: dict[str, Any]
) -> None:
    with serving(service.application, HITS, **option) as url:
        assert get(url, "/content/a").body == b"usual"
    assert service.asked == []


def test_a_request_that_comes_in_pieces_is_answered_all_the_same(service: Service) -> None:
    with serving(service.application, HITS) as url, connected(url) as connection:
        sent = request()
        connection.sendall(sent[:20])
        assert eventually(lambda: service.loop is not None)
        connection.sendall(sent[20:])
        # A piece that looks like a request of its own is none.
        connection.sendall(request("/content/b", "content-length: 40", method="POST"))
        connection.sendall(b"GET /content/evil HTTP/1.1\r\nhost: a\r\n\r\n ")
        assert answers(connection, 2) == [b"usual", b"usual"]
    assert [path for path, _ in service.reached] == ["/content/a", "/content/b"]
    assert service.asked == []


def test_answers_come_in_the_order_of_the_requests(service: Service) -> None:
    with serving(service.application, HITS) as url, connected(url) as connection:
        connection.sendall(request("/content/a"))
        assert eventually(lambda: service.asked)
        connection.sendall(request("/other") + request("/content/b"))
        connection.sendall(request("/content/c"))
        service.tell(HIT)
        assert answers(connection, 4) == [b"hit", b"usual", b"usual", b"usual"]
        connection.sendall(request("/content/d"))
        service.tell(HIT)
        assert answers(connection, 1) == [b"hit"]
    assert [path for path, _ in service.reached] == ["/other", "/content/b", "/content/c"]


def test_who_has_gone_away_troubles_nobody(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    with serving(service.application, HITS) as url:
        for looked in (HIT, MISS):
            with connected(url) as connection:
                connection.sendall(request())
                assert eventually(lambda: service.asked)
            service.tell(looked)
        with connected(url) as connection:
            connection.sendall(request())
            service.tell(HIT)
            assert answers(connection, 1) == [b"hit"]
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize(("looked", "body"), [(HIT, b"hit"), (MISS, b"usual")])
def test_a_server_that_stops_answers_what_is_under_way_and_then_closes(
    service: Service, looked: Look | Answer, body: bytes
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(service.application, http=HITS, log_level="warning", access_log=False)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    assert eventually(lambda: server.started)
    with connected(f"http://127.0.0.1:{listener.getsockname()[1]}") as connection:
        connection.sendall(request())
        assert eventually(lambda: service.asked)
        server.should_exit = True
        assert eventually(lambda: not server.servers[0].is_serving())
        service.tell(looked)
        said = b""
        while more := connection.recv(65536):
            said += more
    assert said.endswith(body)
    assert b"connection: close" in said
    thread.join(10)
    assert not thread.is_alive()


def test_a_connection_is_kept_while_it_is_used_and_no_longer(service: Service) -> None:
    with serving(service.application, HITS, timeout_keep_alive=1) as url, connected(url) as connection:
        for _ in range(2):  # once set by a hit, once by the usual way
            loop = asyncio.new_event_loop()
            began = loop.time()
            while loop.time() < began + 1.5:
                connection.sendall(request())
                service.tell(HIT)
                assert answers(connection, 1) == [b"hit"]
            connection.sendall(request("/other"))
            assert answers(connection, 1) == [b"usual"]
            loop.close()
        assert connection.recv(1) == b""  # within the socket's own 10 s


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """One service, one cache, twice: with hits answered early, and all on the usual way."""
    redis = RedisServer(tmp_path_factory.mktemp("redis"), free_port())
    redis.start()
    where: dict[str, Any] = {
        "redis_host": "127.0.0.1",
        "redis_port": redis.port,
        "redis_password": redis.password,
    }
    with serving(Stub(StubSettings(latency_ms=0, body=200, seed=7))) as upstream:
        app = Settings(upstream, ttl_s=3600, **where)
        with serving(create_app(app), HITS) as early, serving(create_app(app), "httptools") as usual:
            yield early, usual
    redis.stop()


_TARGETS = st.lists(
    st.sampled_from(["a", "b/c", "?", "x=1", "%20", "%2F", "%00", "..", "/", "%", "#", "%zz", "%C3%A9", "~"]),
    max_size=4,
).map("".join)
_PATHS = st.builds(
    "{}{}".format,
    st.sampled_from(["/content/"] * 5 + ["/content", "/healthz", "http://any/content/"]),
    _TARGETS,
)
# Lines and the body that they announce.
_BODIES = st.sampled_from(
    [((), b"")] * 5
    + [
        (("content-length: 0",), b""),
        (("content-length: 2",), b"{}"),
        (("content-length: 4",), b"\r\n\r\n"),
        (("transfer-encoding: chunked",), b"2\r\n{}\r\n0\r\n\r\n"),
    ]
)
_LINES = st.lists(
    st.sampled_from(
        ["connection: keep-alive", "accept: */*", "x: " + "y" * 300, "host: again", "cookie: a=b", "age: 1"]
    ),
    max_size=3,
)
_METHODS = st.sampled_from(["GET"] * 6 + ["HEAD", "POST", "OPTIONS", "DELETE"])


def message(
    path: str, method: str, lines: list[str], announced: tuple[tuple[str, ...], bytes], version: str = "1.1"
) -> bytes:
    return request(path, *lines, *announced[0], method=method, version=version) + announced[1]


_KEPT = st.builds(message, _PATHS, _METHODS, _LINES, _BODIES)
_LAST = st.builds(
    message,
    _PATHS,
    _METHODS,
    st.sampled_from([["connection: close"], ["Connection: Close"], ["connection: keep-alive, close"]]),
    _BODIES,
    st.sampled_from(["1.1", "1.1", "1.0"]),
)
_BROKEN = st.sampled_from(
    [
        request("/content/a b"),
        request("/content/\N{LATIN SMALL LETTER E WITH ACUTE} "),
        request("/content/a", "bad header: 1"),
        request("/content/a", ": none"),
        request("/content/a", "content-length: 1", "content-length: 2"),
        request("/content/a", "content-length: -1"),
        request("/content/a", "content-length: 3", "transfer-encoding: chunked"),
        request("/content/a", version="1.1 x"),
        request("/content/a", version="9.9"),
        request("/content/a", method="NONSENSE"),
        request("/content/a", method="get"),
        b"GET /content/a HTTP/1.1\nhost: any\n\n",
    ]
)


@given(sent=st.lists(_KEPT, max_size=4), last=_LAST, cuts=st.lists(st.integers(1, 600), max_size=4))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nobody_can_tell_the_difference(
    both: tuple[str, str], sent: list[bytes], last: bytes, cuts: list[int]
) -> None:
    early, usual = both
    data = b"".join([*sent, last])
    at = sorted({cut for cut in cuts if cut < len(data)})
    pieces = [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)]
    exchanged(usual, pieces)  # now all is cached that can be
    assert exchanged(early, pieces) == exchanged(usual, pieces)


@given(sent=_BROKEN)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_no_http_is_refused_as_ever(both: tuple[str, str], sent: bytes) -> None:
    early, usual = both
    assert exchanged(early, [sent]) == exchanged(usual, [sent])


def exchanged(url: str, pieces: list[bytes]) -> bytes:
    """Send pieces, of which the last closes; return all that is answered, without what the clock changes."""
    with connected(url) as connection:
        for piece in pieces:
            with contextlib.suppress(ConnectionError):
                connection.sendall(piece)
        said = b""
        with contextlib.suppress(ConnectionError):
            while more := connection.recv(65536):
                said += more
    return re.sub(rb"(?m)^(date: .*|age: \d+)\r$|ttl=-?\d+", b"", said)
