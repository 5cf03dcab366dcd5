"""The HTTP client, against servers that behave well and badly."""

from __future__ import annotations

import errno
import itertools
import socket

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.sending.client import Connection, Target, TransportError
from scenarios.outcomes import SHORTAGES

ASK = b"GET /content/a HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def connect():
    opened = []

    def to(server) -> Connection:
        opened.append(Connection(Target.of(server.url)))
        return opened[-1]

    yield to
    for connection in opened:
        connection.close()


def within(seconds: float, exchange, *arguments):
    with gevent.Timeout(seconds):
        return exchange(*arguments)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [("http://127.0.0.1:8000", "127.0.0.1", 8000), ("http://localhost", "localhost", 80)],
)
def test_a_target_is_a_base_url(url: str, host: str, port: int) -> None:
    assert Target.of(url) == Target(host, port)


def test_many_requests_go_over_one_connection(servers, connect) -> None:
    server = servers.answering()
    connection = connect(server)
    for _ in range(20):
        status, head, length = within(5, connection.exchange, ASK)
        assert (status, length) == (200, 5)
        assert b"\r\ncache-status: redis; hit" in head
    assert server.connections == 1


def test_the_request_arrives_as_it_was_given(servers, connect) -> None:
    asked = []
    server = servers.answering(lambda request: asked.append(request) or servers.ok)
    within(5, connect(server).exchange, ASK)
    assert asked == [ASK]


BODY = b"".join(bytes([48 + number % 10]) for number in range(200_000))


@pytest.mark.parametrize(
    ("answer", "status", "length"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n" + BODY, 200, 200_000, id="large"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length:0\r\n\r\n", 200, 0, id="empty"),
        pytest.param(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno", 404, 2, id="404"),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n", 304, 0, id="304"),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n", 304, 0, id="304 of length"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, 0, id="204"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",  # noqa: E501
            200,
            13,
            id="chunked",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 7\r\n\r\n3\r\nabc\r\n"
            b"0\r\nX-Sum: 1\r\nX-End: 2\r\n\r\n",
            200,
            3,
            id="trailers, and chunks before a length",
        ),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            200,
            2,
            id="interim answers",
        ),
    ],
)
def test_answers_of_all_forms_are_read_to_their_end(servers, connect, answer, status, length) -> None:
    connection = connect(servers.answering(answer))
    for _ in range(2):  # the second shows that nothing of the first was left over
        got, _, size = within(5, connection.exchange, ASK)
        assert (got, size) == (status, length)


def test_an_answer_to_head_has_a_length_but_no_body(servers, connect) -> None:
    connection = connect(servers.answering(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"))
    for _ in range(2):
        assert within(5, connection.exchange, ASK.replace(b"GET", b"HEAD"))[::2] == (200, 0)


INTERIM = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world"
TRAILED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nA: b\r\n\r\n"
)
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
SIZED = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world"


@given(st.sampled_from([CHUNKED, SIZED, INTERIM, TRAILED]), st.lists(st.integers(1, 70), max_size=4))
def test_it_does_not_matter_how_an_answer_is_cut_into_packets(answer: bytes, cuts: list[int]) -> None:
    ours, theirs = socket.socketpair()
    connection = Connection(Target("127.0.0.1", 0))
    connection.adopt(ours)
    places = [0, *sorted(cuts), len(answer)]
    parts = [answer[start:end] for start, end in itertools.pairwise(places)]

    def talk() -> None:
        for part in parts:
            theirs.sendall(part)
            gevent.sleep(0)

    with theirs:
        gevent.spawn(talk)
        assert within(5, connection.exchange, ASK)[::2] == (200, 11)
        connection.close()


def test_an_idle_connection_that_the_server_closed_is_opened_anew(servers, connect) -> None:
    def one_answer_each(peer) -> None:
        peer.request()
        peer.send(servers.ok)

    server = servers.scripted(one_answer_each)
    connection = connect(server)
    for _ in range(3):
        assert within(5, connection.exchange, ASK)[0] == 200
        gevent.sleep(0.01)
    assert server.connections == 3


def test_connection_close_is_heeded(servers, connect) -> None:
    server = servers.answering(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
    connection = connect(server)
    for _ in range(2):
        assert within(5, connection.exchange, ASK)[0] == 200
    assert server.connections == 2


def test_a_body_of_no_told_length_ends_with_the_connection(servers, connect) -> None:
    def script(peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 70_000)

    assert within(5, connect(servers.scripted(script)).exchange, ASK)[::2] == (200, 70_000)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(b"", "closed without an answer", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-le", "cut short", id="in the head"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello", "cut short", id="in the body"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel", "cut short", id="in a chunk"
        ),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\n\r\n", "cut short", id="after an interim answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhello", "bad response", id="too much"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello", "bad response", id="no number"),
        pytest.param(b"HTTP/1.1 101 Switching\r\n\r\n", "bad response", id="another protocol"),
        pytest.param(b"HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n", "bad response", id="no status"),
        pytest.param(b"+PONG\r\n\r\n+OK\r\n\r\n", "bad response", id="no HTTP"),
    ],
)
def test_a_broken_answer_is_an_error_and_the_next_request_a_new_connection(
    servers, connect, answer, reason
) -> None:
    def script(peer) -> None:
        peer.request()
        peer.send(answer if peer.number == 0 else servers.ok)

    server = servers.scripted(script)
    connection = connect(server)
    with pytest.raises(TransportError) as failed:
        within(5, connection.exchange, ASK)
    assert failed.value.reason == reason
    assert within(5, connection.exchange, ASK)[0] == 200
    assert server.connections == 2


def test_a_server_that_is_not_there_is_named(servers, connect) -> None:
    server = servers.answering()
    server.close()
    with pytest.raises(TransportError, match=server.url.removeprefix("http://")) as failed:
        within(5, connect(server).exchange, ASK)
    assert failed.value.reason == "connection refused"


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EMFILE, "out of file descriptors"),
        (errno.ENFILE, "out of file descriptors"),
        (errno.EADDRNOTAVAIL, "out of local ports"),
        (errno.ENOBUFS, "out of memory"),
        (errno.EHOSTUNREACH, "unreachable"),
    ],
)
def test_a_shortage_of_this_machine_is_told_from_a_target_that_is_not_there(
    servers, connect, monkeypatch, number, reason
) -> None:
    def short(*_: object) -> None:
        raise OSError(number, "short")

    connection = connect(servers.answering())
    monkeypatch.setattr(gevent.socket, "socket", short)
    with pytest.raises(TransportError) as failed:
        connection.connect()
    assert failed.value.reason == reason
    assert (reason in SHORTAGES) == (number != errno.EHOSTUNREACH)


def test_giving_up_on_an_answer_closes_the_connection(servers, connect) -> None:
    """Else the late answer would be taken for that of the next request."""

    def script(peer) -> None:
        while peer.request():
            if peer.number:
                peer.send(servers.ok)

    connection = connect(servers.scripted(script))
    with pytest.raises(gevent.Timeout):
        within(0.05, connection.exchange, ASK)
    assert within(5, connection.exchange, ASK)[0] == 200
