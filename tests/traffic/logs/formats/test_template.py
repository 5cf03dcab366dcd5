"""Logs in formats that the user describes with the server's own format string."""

from __future__ import annotations

import time

import pytest
from access_logs import BEGAN_US, apache, nginx
from hypothesis import given
from hypothesis import strategies as st

from traffic.logs import LogError
from traffic.logs.formats.entry import UNREADABLE, Entry
from traffic.logs.formats.template import compiled
from traffic.logs.formats.times import Clock

A = Entry(BEGAN_US, "GET", b"", b"/a?b=c", 200, 10, b"192.0.2.1")
HOST = A._replace(host=b"a.example")
INGRESS = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
    '"$http_user_agent" $request_length $request_time [$proxy_upstream_name] '
    "[$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time "
    "$upstream_status $req_id"
)


@pytest.mark.parametrize(
    ("described", "text", "entry"),
    [
        (
            '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent',
            b'192.0.2.1 - - [14/Mar/2025:09:00:00 +0000] "GET /a?b=c HTTP/1.1" 200 10', A,
        ),
        (
            "log_format main '$remote_addr [$time_iso8601] \"$request\" '\n '$status $bytes_sent';",
            b'192.0.2.1 [2025-03-14T10:00:00+01:00] "GET /a?b=c HTTP/1.1" 200 10', A,
        ),
        (
            "$msec|$request_method|$host|$request_uri|$status|$bytes_sent|$remote_addr",
            b"1741942800.000|GET|a.example|/a?b=c|200|10|192.0.2.1", HOST,
        ),
        (
            INGRESS,
            b'192.0.2.1 - - [14/Mar/2025:09:00:00 +0000] "GET /a?b=c HTTP/2.0" 200 10 "-" "x" 300 0.003 '
            b"[ns-80] [] 192.0.2.9:80, 192.0.2.8:80 61, - 0.1, - 200, - abcdef", A,
        ),
        (
            'log_format j escape=json \'{"t":"$time_iso8601","r":"$request","s":$status,"h":"$host"}\';',
            rb'{"t":"2025-03-14T09:00:00+00:00","r":"GET /\"a\u0001 HTTP/1.1","s":404,"h":"a.example"}',
            Entry(BEGAN_US, "GET", b"a.example", b'/"a\x01', 404, -1),
        ),
        (
            "$time_local $uri?$args $status",
            b"14/Mar/2025:09:00:00 +0000 /a?b=c 200", A._replace(size=-1, client=b""),
        ),
        (
            r'%h %l %u %t \"%r\" %>s %b',
            b'192.0.2.1 - - [14/Mar/2025:09:00:00 +0000] "GET /a?b=c HTTP/1.1" 200 10', A,
        ),
        (
            r'LogFormat "%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"" vhost_combined',
            b'a.example:443 192.0.2.1 - - [14/Mar/2025:09:00:00 +0000] "GET /a?b=c HTTP/1.1" 200 10 "-" '
            b'"x \\" y"', HOST,
        ),
        (
            "%{usec}t %D %m %U%q %s %B %{X-Forwarded-For}i %a",
            b"1741942800000000 1234 GET /a?b=c 200 10 - 192.0.2.1", A,
        ),
        ('%{%Y-%m-%dT%H:%M:%S}t "%r" %>s', b'2025-03-14T09:00:00 "GET /a?b=c HTTP/1.1" 200',
         A._replace(size=-1, client=b"")),
    ],
)  # fmt: skip
def test_a_line_is_read_as_it_is_described(described: str, text: bytes, entry: Entry) -> None:
    template = compiled(described)
    assert template(text, Clock()) == entry
    assert template(text[:10], Clock()) == UNREADABLE


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ("", "has neither nginx's variables"),
        ("hello", "has neither nginx's variables"),
        ("$remote_addr $status", "has no time; it needs"),
        ("%h %r %>s", "has no time; it needs"),
        ("$time_local $status", "has no request; it needs"),
    ],
)
def test_a_description_that_does_not_say_when_what_was_asked_for_is_refused(
    described: str, said: str
) -> None:
    with pytest.raises(LogError, match=r"--log-format"):
        compiled(described)
    with pytest.raises(LogError) as refused:
        compiled(described)
    assert said in str(refused.value)


PATHS = st.binary(max_size=20).map(lambda text: b"/" + text.replace(b"\n", b"").strip(b" "))


@given(PATHS, st.integers(100, 599), st.integers(0, 10**9))
def test_any_path_comes_back_from_what_the_described_servers_write(
    path: bytes, status: int, size: int
) -> None:
    entry = A._replace(target=path, status=status, size=size)
    of_nginx = b'192.0.2.1 [1741942800.000] "GET %b HTTP/1.1" %d %d' % (nginx(path), status, size)
    assert compiled('$remote_addr [$msec] "$request" $status $bytes_sent')(of_nginx, Clock()) == entry
    of_apache = b'%d "GET %b HTTP/1.1" 192.0.2.1 [14/Mar/2025:09:00:00 +0000] %d' % (
        size,
        apache(path),
        status,
    )
    assert compiled('%b "%r" %h %t %>s')(of_apache, Clock()) == entry


def test_no_line_takes_long() -> None:
    """Variables give nothing back: lines that fit almost take no time that grows with their square."""
    template, clock = compiled(INGRESS), Clock()
    lines = [part * 20_000 for part in (b" ", b'"', b"\\", b"- ", b", ", b"[", b": ", b"a, b ", b'\\"')]
    good = b'192.0.2.1 - - [14/Mar/2025:09:00:00 +0000] "GET /a HTTP/1.1" 200 10 "-" "x" 300 0.003 [ns] [] '
    began = time.monotonic()
    for one in (*lines, *(good + text for text in lines)):
        template(one, clock)
    assert time.monotonic() - began < 5
