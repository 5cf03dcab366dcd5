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
from traffic.logs.lines import _PLAIN, Clients, Lines, Numbers

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


WORDS = st.sampled_from(
    [
        b"192.0.2.1", b"a.example", b"a.example:443", b"A.example", b"-", b"frank", b"2001:db8::1", b"[x]",
        b'"q"', b"x\\y", b"Mar", b"14", b"09:00:00", b"nginx[7]:", b"2025-03-14T09:00:00Z", b"192.0.2.9:80",
        b"\xc3\xa9",
    ]
)  # fmt: skip
LINES = st.builds(
    lambda before, time, method, target, protocol, answer, after: b'%b [%b] "%b %b%b" %b%b'
    % (b" ".join(before), time, method, target, protocol, answer, after),
    st.lists(WORDS, min_size=1, max_size=6),
    st.sampled_from(
        [b"14/Mar/2025:09:00:00 +0000", b"31/Feb/2025:09:00:00 +0000", b"14/Mar/2025:25:00:00 +0000",
         b"14/mar/2025:09:00:00 -0330", b"14/Mar/2025:09:00:60 +0000", b"1741942800"]
    ),
    st.sampled_from([b"GET", b"HEAD", b"get", b"POST", b"GETS"]),
    st.one_of(BYTES, st.sampled_from([b"http://a.example/x", b"/a b", b"/a\\x22", b'/a"', b"*", b"/a\\"])),
    st.sampled_from([b" HTTP/1.1", b" HTTP/2", b" HTTP/2.0", b"", b" HTTP/1.1 "]),
    st.sampled_from(
        [b"200 1000", b"304 -", b"200", b"- -", b"200 -1", b"404 9999999999999", b"200 12x", b"20 1"]
    ),
    st.sampled_from([b"", b"\r", b' "-" "client"', b' "a" "[14/Mar/2025:09:00:00 +0000] \\"GET /x"', b" "]),
)  # fmt: skip


@given(LINES)
def test_what_is_read_at_once_is_read_to_the_same_result_one_by_one(text: bytes) -> None:
    found = _PLAIN.findall(text)
    assert len(found) == 1
    if not found[0][2]:
        return
    from traffic.logs.formats.known import COMBINED

    clients = Clients()
    lines = Lines(Numbers(), clients, Clock())
    lines.take(text + b"\n", COMBINED)
    entry = parse(text.removesuffix(b"\r"), Clock())
    if isinstance(entry, str):
        assert lines.left_out, "its time is none"
        return
    columns = lines.blocks[0]
    resource = b"http://" + entry.host + entry.target if entry.host else entry.target
    assert list(lines.numbers) == [resource]
    assert columns["at_us"].tolist() == [entry.at_us]
    assert columns["status"].tolist() == [entry.status]
    assert columns["size"].tolist() == [entry.size]
    assert columns["heads"].tolist() == [entry.method == "HEAD"]
    assert [address for address, number in clients.items() if number == columns["clients"][0]] == [
        entry.client
    ]
