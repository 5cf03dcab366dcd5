"""Whatever an upstream sends, asked or not, nobody is given another path's body, and nothing cut is stored.

Sequences of answers, and of bytes that nobody has asked for, on the connections that the app keeps. What the
upstream sends is told apart by its bodies: each names its path, and those that answer nothing say POISON. The
long suite runs 10,000 sequences, half of them on each way that a request can take, in six to twelve minutes.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import socket
import threading
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import unquote, urlsplit

import brotli
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from raw_upstreams import RawUpstream, reset
from redis import Redis
from servers import HITS, RedisServer, free_port, serving

from app.main import create_app
from app.settings import Settings
from app.store.envelope import opened

pytestmark = pytest.mark.served

CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": lambda body: gzip.compress(body, 1),
    "deflate": lambda body: zlib.compress(body, 1),
    "br": lambda body: bytes(brotli.compress(body, quality=1)),
    "gzip, br": lambda body: bytes(brotli.compress(gzip.compress(body, 1), quality=1)),
    "rot13": bytes,
}
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"
HINT = b"HTTP/1.1 103 Early Hints\r\n\r\n"
UNASKED = st.sampled_from(
    [
        POISON, POISON + POISON, POISON[:9], POISON[9:], POISON[:-3], b"x", b"\r\n", b"\x00" * 99,
        b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 6\r\n\r\nPOISON",
        b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
    ]
) | st.binary(min_size=1, max_size=40)  # fmt: skip


@dataclass(frozen=True)
class Saying:
    """What the upstream answers: how it is framed, coded, cut, and what comes before and after it."""

    framing: str = "length"
    coding: str = ""
    status: int = 200
    cut: str = ""  # "coded": the coded body, of which the framing knows; "sent": what is sent of the answer
    before: bytes = b""
    after: bytes = b""
    end: str = "stay"
    etag: bool = False

    @property
    def framed(self) -> bool:
        """Whether the answer says where it ends."""
        return self.framing in ("length", "chunked")

    @property
    def breaks_off(self) -> bool:
        """Whether less is sent than there should be: what ends with its connection is all there is."""
        return self.cut == "sent" and bool(self.framed or self.coding)

    @property
    def whole(self) -> bool:
        """Whether this may be believed to be all of an answer."""
        ended = self.framed or self.end != "reset"
        cut = self.breaks_off or (self.cut == "coded" and bool(self.coding))
        return self.status == 200 and not cut and self.coding != "rot13" and ended

    def body(self, path: bytes, number: int) -> bytes:
        """Return the body, as a reader should see it."""
        body = b"body %d of %b; " % (number, path) + b"0123456789" * (number % 60)
        return body[: len(body) // 2] if self.cut == "coded" and not self.coding else body

    def sent(self, body: bytes) -> bytes:
        """Return what is sent for it."""
        coded = CODINGS[self.coding](body)
        if self.cut == "coded" and self.coding:
            coded = coded[: len(coded) // 2]
        head = [b"HTTP/1.%d %03d Any" % (self.framing != "old", self.status)]
        if self.coding:
            head.append(b"Content-Encoding: " + self.coding.encode())
        if self.etag:
            head.append(b'ETag: "%d"' % len(body))
        if self.framing == "length":
            head.append(b"Content-Length: %d" % len(coded))
        if self.framing == "chunked":
            head.append(b"Transfer-Encoding: chunked")
            half = len(coded) // 2
            parts = [part for part in (coded[:half], coded[half:]) if part]
            coded = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        sent = b"\r\n".join(head) + b"\r\n\r\n" + coded
        if self.breaks_off:
            return self.before + sent[: -1 - len(coded) // 2]
        return self.before + sent + self.after


SAYINGS = st.builds(
    Saying,
    framing=st.sampled_from(["length", "length", "chunked", "close", "old"]),
    coding=st.sampled_from(list(CODINGS)),
    status=st.sampled_from([200, 200, 200, 200, 204, 206, 304, 404, 408, 500, 600, 999, 99, 101]),
    cut=st.sampled_from(["", "", "", "coded", "sent"]),
    before=st.sampled_from([b"", b"", HINT, b"HTTP/1.1 100 Go on\r\n\r\n", b"\r\n"]),
    end=st.sampled_from(["stay", "stay", "close", "reset"]),
    etag=st.booleans(),
)  # fmt: skip
FOLLOWED = st.builds(
    Saying,
    framing=st.sampled_from(["length", "chunked"]),
    after=UNASKED,
    end=st.sampled_from(["stay", "close"]),
)
# Connections are kept only after plain answers.
ANSWERS = st.just(Saying()) | SAYINGS | FOLLOWED
PATHS = st.sampled_from(["a", "b", "c", "d"])


class World:
    """An app, its Redis, and an upstream that answers each path as it is told to."""

    def __init__(self, app: str, upstream: RawUpstream, redis: Redis) -> None:
        parts = urlsplit(app)
        self._where = parts.hostname or "", parts.port
        self.upstream = upstream
        self._redis = redis
        self._numbers = itertools.count()
        self._examples = itertools.count()
        self.example = ""
        self.sayings: dict[str, Saying] = {}
        self.believed: defaultdict[str, set[bytes]] = defaultdict(set)
        self._answering = 0
        self._still = threading.Condition()
        self._pool = ThreadPoolExecutor(4)

    def begin(self) -> None:
        """Begin a sequence, with paths of its own."""
        self.example = str(next(self._examples))
        self.sayings.clear()
        self.believed.clear()

    def answer(self, connection: socket.socket, target: str) -> bool:
        """Answer a request as its path is to be answered."""
        with self._still:
            self._answering += 1
        try:
            saying = self.sayings[target[1:]]
            body = saying.body(target.encode(), next(self._numbers))
            if saying.whole:
                self.believed[target[1:]].add(body)
            connection.sendall(saying.sent(body))
            if saying.end == "reset":
                reset(connection)
            return saying.end == "stay" and saying.framed and not saying.breaks_off
        finally:
            with self._still:
                self._answering -= 1
                self._still.notify_all()

    def ask(self, path: str) -> None:
        """Ask the app for a path, and check what it answers."""
        name = f"{self.example}{path}"
        connection = HTTPConnection(*self._where, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", f"/content/{name}")
            answer = connection.getresponse()
            body = answer.read()
        assert answer.getheader("cache-status"), "every answer says what happened"
        if answer.status == 200:
            assert body in self.believed[name], (name, self.sayings.get(name), body)
        assert b"POISON" not in body
        with self._still:  # what follows an answer has been sent before the next request is
            assert self._still.wait_for(lambda: not self._answering, 20)

    def ask_together(self, paths: list[str]) -> None:
        """Ask for several paths at once."""
        for done in [self._pool.submit(self.ask, path) for path in paths]:
            done.result(30)

    def end(self) -> None:
        """Check what has been stored, and forget it."""
        for key in self._redis.keys("content:*"):
            envelope = opened(self._redis.get(key) or b"")
            if envelope is not None and envelope.status == 200:
                name = unquote(key.decode().rpartition("/")[2])
                assert envelope.body in self.believed[name], (name, envelope)
        self._redis.flushall()


class Hostile(RuleBasedStateMachine):
    """Requests for four paths, each of them answered in any way, and bytes that come unasked."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.begin()

    @rule(path=PATHS, saying=ANSWERS)
    def ask(self, path: str, saying: Saying) -> None:
        self.world.sayings[f"{self.world.example}{path}"] = saying
        self.world.ask(path)

    @rule(sayings=st.lists(ANSWERS, min_size=4, max_size=4))
    def ask_for_all(self, sayings: list[Saying]) -> None:
        for path, saying in zip("abcd", sayings, strict=True):
            self.world.sayings[f"{self.world.example}{path}"] = saying
        self.world.ask_together(list("abcd"))

    @rule(said=UNASKED)
    def say_unasked(self, said: bytes) -> None:
        self.world.upstream.say_unasked(said)

    def teardown(self) -> None:
        self.world.end()


@pytest.fixture(scope="module", params=[HITS, "httptools"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    server = RedisServer(tmp_path_factory.mktemp("redis"), free_port())
    server.start()
    upstream = RawUpstream(lambda connection, target: found.answer(connection, target))
    where = {"redis_host": "127.0.0.1", "redis_port": server.port, "redis_password": server.password}
    with upstream.serving() as url:
        # What is stored expires while a sequence lasts, and is asked for with its ETag.
        times = {"ttl_s": 0.01, "stale_if_error_s": 0.0, "negative_ttl_s": 0.01}
        app = create_app(Settings(url, **where, **times))  # type: ignore[arg-type]
        with serving(app, request.param) as served:
            found = World(served, upstream, Redis(port=server.port, password=server.password))
            yield found
    server.stop()


def run(world: World, examples: int) -> None:
    machine = type("HostileUpstream", (Hostile,), {"world": world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=8, deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )  # fmt: skip


def test_no_sequence_of_answers_gives_or_stores_what_is_not_whole(world: World) -> None:
    run(world, 40)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_no_sequence_of_answers_gives_or_stores_what_is_not_whole_however_many(world: World) -> None:
    run(world, 5000)
