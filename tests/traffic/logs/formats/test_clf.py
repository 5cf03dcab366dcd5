"""Lines of Common and Combined Log Format and their relatives: what each asks for, and of which host."""

from __future__ import annotations

from pathlib import Path

import pytest
from access_logs import BEGAN_US, apache, line, nginx, written
from hypothesis import given
from hypothesis import strategies as st

from traffic.logs import read
from traffic.logs.formats.clf import parse
from traffic.logs.formats.entry import Entry
from traffic.logs.formats.times import Clock

BYTES = st.binary(min_size=0, max_size=30).map(lambda text: b"/" + text.replace(b"\n", b"").strip(b" "))


def asked(text: bytes) -> tuple[bytes, bytes]:
    entry = parse(text, Clock())
    assert isinstance(entry, Entry), entry
    return entry.host, entry.target


@given(BYTES, st.sampled_from([apache, nginx]))
def test_any_path_comes_back_from_what_servers_make_of_it(target: bytes, escaped) -> None:
    assert asked(line(escaped(target))) == (b"", target)


@pytest.mark.parametrize(
    ("target", "host", "read_as"),
    [
        (b"/go?to=https://h.example/a", b"", b"/go?to=https://h.example/a"),
        (b"http://a.example/x?y", b"a.example", b"/x?y"),
        (b"HTTP://A.example:80/x", b"a.example", b"/x"),
        (b"https://a.example:443", b"a.example", b"/"),
        (b"https://a.example:8443?x=1", b"a.example:8443", b"/?x=1"),
        (b"http://user:pw@a.example/x", b"a.example", b"/x"),
        (b"//a/b", b"", b"//a/b"),
        (b"/a b c", b"", b"/a b c"),
        (b"/p#one", b"", b"/p#one"),
        (b"/a%2Fb", b"", b"/a%2Fb"),
        (rb"/say/\"hat\"", b"", b'/say/"hat"'),
        (rb"/a\\b\x5Cc", b"", rb"/a\b\c"),
        (b'/say/"hat"', b"", b'/say/"hat"'),
        ("/über".encode(), b"", "/über".encode()),
        (b"/\xfcber", b"", b"/\xfcber"),
    ],
)
def test_a_target_is_what_was_sent(target: bytes, host: bytes, read_as: bytes) -> None:
    assert asked(line(target)) == (host, read_as)


@pytest.mark.parametrize(
    ("before", "host", "client"),
    [
        (b"192.0.2.1 - -", b"", b"192.0.2.1"),
        (b"192.0.2.1 - j doe", b"", b"192.0.2.1"),
        (b"client.example - frank", b"", b"client.example"),
        (b"2001:db8::1 - -", b"", b"2001:db8::1"),
        (b"a.example:443 192.0.2.1 - -", b"a.example:443", b"192.0.2.1"),
        (b"A.example 192.0.2.1 - -", b"a.example", b"192.0.2.1"),
        (b"a.example 2001:db8::1 - -", b"a.example", b"2001:db8::1"),
        (b"a.example:443 client.example - -", b"a.example:443", b"client.example"),
        (b"a.example client.example - -", b"a.example", b"client.example"),
        (b"192.0.2.9:443 192.0.2.1 - -", b"192.0.2.9:443", b"192.0.2.1"),
        (b"198.51.100.7 192.0.2.1 - -", b"", b"198.51.100.7"),  # two clients: one forwarded by the other
        (b"192.0.2.1:52024 192.0.2.9 - -", b"", b"192.0.2.1"),
        (b"Mar 14 09:00:00 web1 nginx[77]: 192.0.2.1 - -", b"", b"192.0.2.1"),
        (b"<190>Mar 14 09:00:00 web1 nginx: a.example 192.0.2.1 - -", b"a.example", b"192.0.2.1"),
        (b"<190>1 2025-03-14T09:00:00Z web1 nginx 77 - - 192.0.2.1 - -", b"", b"192.0.2.1"),
        (
            b"2025-03-14T09:00:00.123456789Z stdout F a.example:80 192.0.2.1 - -",
            b"a.example:80",
            b"192.0.2.1",
        ),
        (b"2025-03-14T09:00:00.123456789Z 192.0.2.1 - -", b"", b"192.0.2.1"),
        (b"[pod/web-1/nginx] 192.0.2.1 - -", b"", b"192.0.2.1"),
        (b"web-1  | 192.0.2.1 - -", b"", b"192.0.2.1"),
        (b'"192.0.2.1 - -', b"", b"192.0.2.1"),
        (rb"192.0.2.1 - x [01/Jan/2001:00:00:00 +0000] \"GET /evil HTTP/1.1\" 200 1", b"", b"192.0.2.1"),
        (b"192.0.2.1 - [a]", b"", b"192.0.2.1"),
        (b'192.0.2.1 - "j doe "', b"", b"192.0.2.1"),
    ],
)
def test_the_host_is_the_one_before_the_client(before: bytes, host: bytes, client: bytes) -> None:
    entry = parse(line(b"/a", before=before), Clock())
    assert entry == Entry(BEGAN_US, "GET", host, b"/a", 200, 1000, client)


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("14/Mar/2025:09:00:00 +0000", 0),
        ("14/Mar/2025:04:00:10 -0500", 10_000_000),
        ("14/Mar/2025:14:30:20 +0530", 20_000_000),
        ("14/Mar/2025:09:00:00", 0),
        ("14/Mar/2025:09:00:00 GMT", 0),
        ("14/Mar/2025:03:00:00 CST", 0),
        ("14/Mär/2025:09:00:01.037 +0000", 1_037_000),
        ("14/03/2025:09:00:00 +0000", 0),
        ("2025-03-14T09:00:00+00:00", 0),
        ("2025-03-14 10:00:00,5 +0100", 500_000),
        ("1741942800.123", 123_000),
        ("1741942800123", 123_000),
        ("Fri Mar 14 09:00:02 2025", 2_000_000),
        ("31/Dec/2016:23:59:60 +0000", None),
        ("32/Mar/2025:09:00:00 +0000", "no time"),
        ("14/Foo/2025:09:00:00 +0000", "no time"),
    ],
)
def test_times_are_read_in_whatever_form_they_have(text: str, us: object) -> None:
    read_us = Clock().read(text.encode())
    if us == "no time":
        assert read_us is None
    elif us is None:
        assert read_us == Clock().read(b"01/Jan/2017:00:00:00 +0000"), "a leap second is the next one"
    else:
        assert read_us == BEGAN_US + us


def test_zones_that_are_open_are_said(tmp_path: Path) -> None:
    lines = [line().replace(b" +0000]", zone + b"]") for zone in (b"", b" CST", b" XYZ", b" UTC")]
    assert read([written(tmp_path, *lines)]).facts.remarks == (
        "its times have no zone: taken as UTC",
        "zone CST is taken as UTC-06:00",
        "zone XYZ is taken as UTC+00:00",
    )


@pytest.mark.parametrize("size", ["-", "-1", "", "10" * 20, "abc"])
def test_what_cannot_be_a_size_is_none(size: str) -> None:
    entry = parse(line(size=size), Clock())
    assert isinstance(entry, Entry)
    assert entry.size == -1
