"""Calls to the upstream: each is counted, none leaves the configured URL, and nothing is carried over."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from servers import HITS, Answer, RedisServer, get, serving

from app.main import create_app
from app.settings import Settings

pytestmark = pytest.mark.served


@pytest.fixture
def serve(redis: RedisServer) -> Iterator[Callable[..., str]]:
    """Serve the app before a given upstream."""
    where = {"redis_host": "127.0.0.1", "redis_port": redis.port, "redis_password": redis.password}
    with contextlib.ExitStack() as stack:

        def serve(upstream: str, **settings: Any) -> str:
            merged: dict[str, Any] = {**where, **settings}
            return stack.enter_context(serving(create_app(Settings(upstream, **merged)), HITS))

        yield serve


def counted(app: str) -> dict[str, int]:
    """Return the app's calls by status."""
    text = get(app, "/metrics").body.decode()
    found = re.findall(r'^upstream_requests_total\{status="(\w+)"\} (\S+)$', text, re.MULTILINE)
    return {status: int(float(count)) for status, count in found}


def timed(app: str) -> int:
    """Return of how many calls the app knows what they took."""
    found = re.search(r"^upstream_seconds_count (\S+)$", get(app, "/metrics").body.decode(), re.MULTILINE)
    assert found
    return int(float(found[1]))


@dataclass
class Dropping:
    """An upstream that answers so many requests of a connection, and ends it when the next has come."""

    answers: int
    seen: int = 0

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.close()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            for answered in range(self.answers + 1):
                if not connection.recv(65536):
                    return
                self.seen += 1
                if answered < self.answers:
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


def test_a_call_that_is_made_again_on_a_new_connection_is_counted_again(serve: Callable[..., str]) -> None:
    dropping = Dropping(answers=1)
    with dropping.serving() as upstream:
        app = serve(upstream)
        assert [get(app, f"/content/{path}").status for path in "abc"] == [200, 200, 200]
        assert dropping.seen == 5
        assert counted(app) == {"200": 3, "error": 2}


def test_a_call_is_made_again_once(serve: Callable[..., str]) -> None:
    dropping = Dropping(answers=0)
    with dropping.serving() as upstream:
        app = serve(upstream)
        assert get(app, "/content/a").status == 502
        assert counted(app) == {"error": dropping.seen} == {"error": 2}


def test_calls_that_fail_are_timed_too(serve: Callable[..., str]) -> None:
    dropping = Dropping(answers=1)
    with dropping.serving() as upstream:
        app = serve(upstream)
        for path in "ab":
            get(app, f"/content/{path}")
    get(app, "/content/c")
    assert sum(counted(app).values()) == timed(app) >= 4


@dataclass
class Origin:
    """An upstream with an answer for each path below /base: its status and its headers."""

    answers: dict[str, tuple[int, list[tuple[str, str]]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[bytes, bytes]] = field(default_factory=list)

    async def __call__(self, scope: dict[str, Any], _: Any, send: Callable[..., Any]) -> None:
        if scope["type"] != "http":
            return
        path = scope["raw_path"].decode() + ("?" + scope["query_string"].decode()).rstrip("?")
        self.asked.append(path)
        self.headers.append(dict(scope["headers"]))
        status, headers = self.answers.get(path.removeprefix("/base/"), (200, []))
        pairs = [(name.encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": path.encode()})

    def redirect(self, path: str, to: str, status: int = 301) -> None:
        self.answers[path] = (status, [("location", to)])


@pytest.fixture
def origin() -> Origin:
    return Origin()


@pytest.fixture
def upstream(origin: Origin) -> Iterator[str]:
    with serving(origin) as url:
        yield url


def test_what_the_upstream_asks_to_remember_is_sent_with_nobodys_call(
    serve: Callable[..., str], origin: Origin
) -> None:
    origin.answers["a"] = (200, [("set-cookie", "session=of-one; Path=/")])
    with serving(origin) as upstream:
        # By a name: aiohttp takes no cookies from hosts that are addresses.
        app = serve(upstream.replace("127.0.0.1", "localhost") + "/base")
        answer = get(app, "/content/a")
        get(app, "/content/b")
    assert origin.asked == ["/base/a", "/base/b"]
    assert not any(b"cookie" in headers for headers in origin.headers)
    assert "set-cookie" not in answer.headers


def test_all_links_are_kept(serve: Callable[..., str], origin: Origin, upstream: str) -> None:
    links = ['</a?page=2>; rel="next"', '</a?page=9>; rel="last"']
    origin.answers["a"] = (200, [("link", link) for link in links])
    app = serve(upstream + "/base")
    for _ in range(2):
        assert get(app, "/content/a").headers["link"] == ", ".join(links)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["b", "/base/b", "{base}/b", "./b", "../base/b", "b#part", "http:b", "%62"])
def test_a_redirect_below_the_upstreams_url_is_followed(
    serve: Callable[..., str], origin: Origin, upstream: str, status: int, to: str
) -> None:
    origin.redirect("a", to.format(base=upstream + "/base"), status)
    app = serve(upstream + "/base")
    answer = get(app, "/content/a")
    assert (answer.status, answer.body) == (200, b"/base/b")
    assert answer.headers["cache-status"] == "redis; fwd=uri-miss; fwd-status=200; stored"
    assert origin.asked == ["/base/a", "/base/b"]
    assert counted(app) == {str(status): 1, "200": 1}
    assert "hit" in get(app, "/content/a").headers["cache-status"]


def test_a_redirect_takes_its_query_along(serve: Callable[..., str], origin: Origin, upstream: str) -> None:
    origin.redirect("a?x=1", "caf%C3%A9/b?page=2&q=%20")
    get(serve(upstream + "/base"), "/content/a?x=1")
    assert origin.asked[1:] == ["/base/caf%C3%A9/b?page=2&q=%20"]


def test_three_redirects_are_followed_and_no_more(
    serve: Callable[..., str], origin: Origin, upstream: str
) -> None:
    for number in range(4):
        origin.redirect(str(number), str(number + 1))
    app = serve(upstream + "/base")
    assert get(app, "/content/1").body == b"/base/4"
    answer = get(app, "/content/0")
    assert answer.status == 301
    assert answer.headers["cache-status"] == "redis; fwd=uri-miss; fwd-status=301"
    assert origin.asked[4:] == ["/base/0", "/base/1", "/base/2", "/base/3"]


def test_what_a_redirect_led_to_is_asked_whether_it_still_holds(
    serve: Callable[..., str], origin: Origin, upstream: str, redis: RedisServer
) -> None:
    origin.redirect("a", "b")
    origin.answers["b"] = (200, [("etag", '"first"')])
    app = serve(upstream + "/base", ttl_s=0.05, revalidate_s=60)
    body = get(app, "/content/a").body
    origin.answers["b"] = (304, [("etag", '"first"')])
    while "hit" in (answer := get(app, "/content/a")).headers["cache-status"]:
        pass
    assert (answer.status, answer.body) == (200, body)
    assert answer.headers["cache-status"] == "redis; fwd=stale; fwd-status=304; stored"
    assert origin.headers[-1][b"if-none-match"] == b'"first"'


@pytest.mark.parametrize(
    "to",
    [
        "http://192.0.2.1/base/b", "//192.0.2.1/base/b", "https://{host}/base/b", "http://{host}0/base/b",
        "http://user@{host}/base/b", "http://{host}@192.0.2.1/base/b", "http://{host}:99999/base/b",
        "/b", "/basement/b", "/base", "../b", "/base/../b", "%2e%2e/b", "/base/%2E%2e/b", "/base/..%2fb",
        "..\\b", "%5c..%5cb", "\\\\192.0.2.1\\b", "/\\192.0.2.1/b", "/base/%00", "/base/%ff", "http://[",
        "file:///etc/passwd", "javascript:alert(1)", "",
    ],
)  # fmt: skip
def test_any_other_redirect_is_passed_on_and_says_nothing_of_where_to(
    serve: Callable[..., str], origin: Origin, upstream: str, to: str
) -> None:
    origin.redirect("a", to.format(host=upstream.removeprefix("http://")))
    answer: Answer = get(serve(upstream + "/base"), "/content/a")
    assert answer.status == 301
    assert "location" not in answer.headers
    assert set(origin.asked) == {"/base/a"}
