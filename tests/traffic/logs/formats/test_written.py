"""Whatever a server can write comes back as it was asked for: a writer for each format, and its reader."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote_from_bytes

import pytest
from access_logs import BEGAN_US, apache, nginx, written
from hypothesis import given, settings
from hypothesis import strategies as st

from traffic.logs import LogError, Reading, read
from traffic.logs.formats.entry import Entry
from traffic.logs.formats.known import recognized
from traffic.logs.formats.times import Clock

SECOND = 1_000_000
Writer = Callable[[Entry], bytes]
ADDRESSES = st.sampled_from([b"192.0.2.1", b"198.51.100.77", b"2001:db8::1"])


def civil(entry: Entry) -> bytes:
    return f"{_at(entry):%d/%b/%Y:%H:%M:%S} +0000".encode()


def iso(entry: Entry, end: str = "Z") -> str:
    return f"{_at(entry):%Y-%m-%dT%H:%M:%S}.{entry.at_us % SECOND:06d}{end}"


def _at(entry: Entry) -> datetime:
    return datetime.fromtimestamp(entry.at_us // SECOND, UTC)


def request(entry: Entry, escaped: Callable[[bytes], bytes] = bytes) -> bytes:
    return entry.method.encode() + b" " + escaped(entry.target) + b" HTTP/1.1"


def combined(entry: Entry) -> bytes:
    return b'%b - frank [%b] "%b" %d %d "http://ref.example/\\"x" "agent \\" 1"' % (
        entry.client, civil(entry), request(entry, apache), entry.status, entry.size,
    )  # fmt: skip


def common(entry: Entry) -> bytes:
    return b'%b - - [%b] "%b" %d %d' % (
        entry.client, civil(entry), request(entry, nginx), entry.status, entry.size,
    )  # fmt: skip


def with_hosts(entry: Entry) -> bytes:
    return entry.host + b" " + combined(entry)


def ingress(entry: Entry) -> bytes:
    return (
        common(entry)
        + b' "-" "client" 300 0.003 [ns-svc-80] [] 192.0.2.9:80, 192.0.2.8:80 61, - 0.1, - 200, - ab'
    )


def nginx_json(entry: Entry) -> bytes:
    """Write as `log_format … escape=json`: bytes beyond ASCII are left as they are."""
    escaped = b"".join(
        {b'"': rb"\"", b"\\": rb"\\", b"\n": rb"\n"}.get(sign)
        or (b"\\u%04x" % sign[0] if sign < b" " else sign)
        for sign in (bytes((byte,)) for byte in request(entry))
    )
    return b'{"time": "%b", "remote_addr": "%b", "request": "%b", "status": "%d", "bytes_sent": "%d"}' % (
        iso(entry, "+00:00").encode(), entry.client, escaped, entry.status, entry.size,
    )  # fmt: skip


def nginx_json_unescaped(entry: Entry) -> bytes:
    """Write as a `log_format` of JSON without escape=json, which many have: `\\x22`."""
    return b'{"msec": %d.%03d, "remote_addr": "%b", "request": "%b", "status": %d, "bytes_sent": %d}' % (
        entry.at_us // SECOND, entry.at_us % SECOND // 1000, entry.client, request(entry, nginx),
        entry.status, entry.size,
    )  # fmt: skip


def caddy(entry: Entry) -> bytes:
    return json.dumps(
        {
            "level": "info", "ts": entry.at_us / SECOND, "msg": "handled request",
            "request": {"remote_ip": entry.client.decode(), "method": entry.method,
                        "host": entry.host.decode(),
                        "uri": entry.target.decode(), "headers": {"Accept": ["*/*"]}},
            "size": entry.size, "status": entry.status,
        }
    ).encode()  # fmt: skip


def traefik(entry: Entry) -> bytes:
    return json.dumps(
        {
            "ClientHost": entry.client.decode(), "DownstreamContentSize": entry.size, "RequestHost":
            entry.host.decode(), "DownstreamStatus": entry.status, "RequestMethod": entry.method,
            "RequestPath": entry.target.decode(), "StartUTC": iso(entry), "time": iso(entry)[:19] + "Z",
        }, ensure_ascii=False
    ).encode()  # fmt: skip


def gcp(entry: Entry) -> bytes:
    url = f"https://{entry.host.decode()}{entry.target.decode()}"
    return json.dumps(
        {
            "httpRequest": {"requestMethod": entry.method, "requestUrl": url, "responseSize": str(entry.size),
                            "status": entry.status, "remoteIp": entry.client.decode()},
            "timestamp": iso(entry), "receiveTimestamp": "2030-01-01T00:00:00Z",
        }
    ).encode()  # fmt: skip


def _port(client: bytes) -> bytes:
    return (b"[%b]" % client if b":" in client else client) + b":4711"


def alb(entry: Entry) -> bytes:
    return (
        b'https %b app/lb/1 %b 192.0.2.9:80 0.001 0.002 0.000 %d 200 100 %d "%b https://%b:443%b HTTP/1.1" '
        b'"client" - - - "Root=1-0" "a.example" "-" 0 2025-03-14T09:00:00.1Z "forward" "-" "-"'
    ) % (
        iso(entry).encode(), _port(entry.client), entry.status, entry.size, entry.method.encode(), entry.host,
        nginx(entry.target),
    )  # fmt: skip


def elb(entry: Entry) -> bytes:
    return b'%b lb %b 192.0.2.9:80 0.1 0.2 0.0 %d 200 0 %d "%b http://%b:80%b HTTP/1.1" "client" - -' % (
        iso(entry).encode(), _port(entry.client), entry.status, entry.size, entry.method.encode(), entry.host,
        nginx(entry.target),
    )  # fmt: skip


def s3(entry: Entry) -> bytes:
    return (
        b'owner bucket [%b] %b req 0123 REST.GET.OBJECT item "%b" %d - %d 9 10 9 "-" "S3 \\"x" - id= SigV4 '
        b"AES AuthHeader %b TLSv1.2 - -"
    ) % (
        civil(entry), entry.client, request(entry, nginx), entry.status, entry.size, entry.host,
    )  # fmt: skip


def envoy(entry: Entry) -> bytes:
    return b'[%b] "%b" %d - 0 %d 3 2 "%b" "client" "id" "%b" "192.0.2.9:80"' % (
        iso(entry).encode(), request(entry), entry.status, entry.size, entry.client, entry.host,
    )  # fmt: skip


def istio(entry: Entry) -> bytes:
    return (
        b'[%b] "%b" %d UH,NR no_healthy_upstream - "-" 0 %d 3 - "-" "client" "id" "%b" "-" inbound|80|| - '
        b"192.0.2.9:80 %b outbound_.80 default"
    ) % (
        iso(entry).encode(), request(entry), entry.status, entry.size, entry.host, _port(entry.client),
    )  # fmt: skip


def haproxy(entry: Entry) -> bytes:
    asked = b"".join(
        b"#%02X" % byte if byte < 33 or byte > 126 or byte in b'#"' else bytes((byte,))
        for byte in entry.target
    )
    return (
        b"Mar 14 09:00:00 host haproxy[77]: %b:5501 [%b.%03d] fe~ be/s1 0/0/0/72/+72 %d +%d - - ---- "
        b'5/4/0/1/0 0/0 {a.example|x} {} "%b %b HTTP/1.1"'
    ) % (
        entry.client, civil(entry)[:-6], entry.at_us % SECOND // 1000, entry.status, entry.size,
        entry.method.encode(), asked,
    )  # fmt: skip


def squid(entry: Entry) -> bytes:
    return b"%d.%03d     52 %b TCP_MISS/%03d %d %b http://%b%b - HIER_DIRECT/192.0.2.9 text/html" % (
        entry.at_us // SECOND, entry.at_us % SECOND // 1000, entry.client, entry.status, entry.size,
        entry.method.encode(), entry.host, entry.target,
    )  # fmt: skip


def cloudfront(entry: Entry) -> bytes:
    at = iso(entry)
    stem, _, query = entry.target.partition(b"?")
    return "\t".join(
        [
            at[:10], at[11:19], "XYZ1", str(entry.size), entry.client.decode(), entry.method,
            entry.host.decode(), quote_from_bytes(stem, safe="/"), str(entry.status), "-", "client%20(x)",
            quote_from_bytes(query, safe="=&") or "-",
        ]
    ).encode()  # fmt: skip


def iis(entry: Entry) -> bytes:
    at = iso(entry)
    stem, _, query = entry.target.partition(b"?")
    return b"%b %b 192.0.2.9 %b %b %b 443 %b %d %d 5 agent+1" % (
        at[:10].encode(), at[11:19].encode(), entry.method.encode(), stem, query or b"-", entry.client,
        entry.status, entry.size,
    )  # fmt: skip


def table(delimiter: str) -> Writer:
    def row(entry: Entry) -> bytes:
        file = io.StringIO()
        url = f"http://{entry.host.decode()}" + entry.target.decode()
        row = [iso(entry), url, entry.method, entry.status, entry.size, entry.client.decode(), 'a "b"']
        csv.writer(file, delimiter=delimiter, lineterminator="").writerow(row)
        return file.getvalue().encode()

    return row


ASCII = "".join(map(chr, range(33, 127)))
ANY = st.binary(max_size=20).map(lambda text: b"/" + text.replace(b"\n", b"").strip(b" "))
VISIBLE = st.text(ASCII, max_size=20).map(lambda text: b"/" + text.encode())
UNQUOTED = VISIBLE.map(lambda text: text.replace(b'"', b"").replace(b"\\", b""))
UTF8 = st.text(max_size=20).map(lambda text: b"/" + text.encode("utf-8", "ignore").strip(b" \n"))
LINE = UTF8.map(lambda text: b"".join(text.replace(b"\x00", b"").split()))
QUERY = UNQUOTED.filter(lambda text: not text.endswith((b"?", b"?-")) and b" " not in text)
NONE = st.just(b"")
HOSTS = st.sampled_from([b"a.example", b"b.example"])
UNASKED = ANY.map(lambda path: path.removesuffix(b"?"))
COLUMNS = "time,url,method,Status-Code,bytes,Client IP,agent\n"
IIS_HEAD = (
    b"#Software: srv\n#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port c-ip sc-status "
    b"sc-bytes time-taken cs(User-Agent)\n"
)
CLOUDFRONT_HEAD = (
    b"#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem "
    b"sc-status cs(Referer) cs(User-Agent) cs-uri-query\n"
)


class Written(NamedTuple):
    """How a format is written: targets and hosts that it can have, the µs that it tells, its first lines."""

    name: str
    writer: Writer
    targets: st.SearchStrategy[bytes]
    hosts: st.SearchStrategy[bytes]
    unit_us: int
    head: bytes = b""


FORMATS = (
    Written("Combined Log Format", combined, ANY, NONE, SECOND),
    Written("Common Log Format", common, ANY, NONE, SECOND),
    Written("Combined Log Format", with_hosts, ANY, HOSTS, SECOND),
    Written("ingress-nginx's access log", ingress, ANY, NONE, SECOND),
    Written("nginx's JSON log", nginx_json, ANY, NONE, 1),
    Written("nginx's JSON log", nginx_json_unescaped, ANY, NONE, 1000),
    Written("Caddy's JSON log", caddy, UTF8, HOSTS, 1000),
    Written("Traefik's JSON log", traefik, UTF8, HOSTS, 1),
    Written("Google Cloud load balancing's log", gcp, UTF8, HOSTS, 1),
    Written("ALB access log", alb, ANY, HOSTS, 1),
    Written("ELB access log", elb, ANY, HOSTS, 1),
    Written("Amazon S3 server access log", s3, ANY, HOSTS, SECOND),
    Written("Envoy's access log", envoy, UNQUOTED, HOSTS, 1),
    Written("Envoy's access log", istio, UNQUOTED, HOSTS, 1),
    Written("HAProxy's HTTP log", haproxy, ANY, NONE, 1000),
    Written("Squid's native log", squid, VISIBLE, HOSTS, 1000),
    Written("CloudFront's access log", cloudfront, UNASKED, HOSTS, SECOND, CLOUDFRONT_HEAD),
    Written("W3C extended log format", iis, QUERY, NONE, SECOND, IIS_HEAD),
    Written("table", table(","), LINE, HOSTS, 1, COLUMNS.encode()),
    Written("table", table("\t"), LINE, HOSTS, 1, COLUMNS.replace(",", "\t").encode()),
)


def entries(form: Written) -> st.SearchStrategy[tuple[Written, list[Entry]]]:
    parts = st.integers(0, SECOND // form.unit_us - 1)
    at_us = st.tuples(st.integers(10**9, 2 * 10**9 - 1), parts).map(
        lambda at: at[0] * SECOND + at[1] * form.unit_us
    )
    one = st.builds(
        Entry,
        at_us=at_us,
        method=st.sampled_from(["GET", "HEAD", "POST"]),
        host=form.hosts,
        target=form.targets,
        status=st.integers(100, 599),
        size=st.integers(0, 10**10),
        client=ADDRESSES,
    )
    return st.tuples(st.just(form), st.lists(one, min_size=1, max_size=4))


@settings(max_examples=40)  # of each
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.writer.__name__)
@given(st.data())
def test_what_a_server_writes_comes_back_as_it_was_asked_for(form: Written, data: st.DataObject) -> None:
    _, some = data.draw(entries(form))
    lines = (form.head + b"\n".join(form.writer(entry) for entry in some)).split(b"\n")
    known, clock = recognized("access.log", lines), Clock()
    assert known.name == form.name
    found = [known.parse(line, clock) for line in lines]
    assert [one for one in found if isinstance(one, Entry)] == some
    assert len(found) - len(some) == form.head.count(b"\n"), found


WRAPPERS: dict[str, Callable[[bytes], bytes]] = {
    "Kubernetes' prefix": lambda text: b"2025-03-14T09:00:00.123456789Z stdout F " + text,
    "syslog's prefix": lambda text: b"<190>Mar  4 09:00:00 web1 nginx[77]: " + text,
    "the field log": lambda text: json.dumps(
        {"log": text.decode("utf-8", "surrogateescape") + "\n", "stream": "stdout"}, ensure_ascii=False
    ).encode("utf-8", "surrogateescape"),
    "the field message": lambda text: json.dumps(
        {"@timestamp": "2025-03-14T09:00:00Z", "message": text.decode("utf-8", "surrogateescape")},
        ensure_ascii=False,
    ).encode("utf-8", "surrogateescape"),
}  # fmt: skip
LINEAR = [form for form in FORMATS if not form.head and form.writer is not haproxy]  # it has a prefix already


@settings(max_examples=60)  # of each
@pytest.mark.parametrize("wrapper", WRAPPERS)
@given(st.sampled_from(LINEAR).flatmap(entries))
def test_collectors_do_not_hide_what_is_in_their_lines(
    wrapper: str, drawn: tuple[Written, list[Entry]]
) -> None:
    form, some = drawn
    lines = [WRAPPERS[wrapper](form.writer(entry)) for entry in some]
    known, clock = recognized("access.log", lines), Clock()
    assert wrapper in known.note
    assert [known.parse(line, clock) for line in lines] == some


def counted(path: Path, reading: Reading) -> None:
    """Read a log: every line is a request or left out, or it is refused by a sentence."""
    try:
        facts = read([path], reading).facts
    except LogError as error:
        said = str(error)
        assert said.startswith((str(path), "--log-format")), said
        return
    assert facts.lines == facts.requests + sum(kind.lines for kind in facts.left_out)


@given(
    st.sampled_from(FORMATS).flatmap(entries),
    st.lists(st.binary(max_size=60), max_size=3),
    st.integers(0, 400),
)
def test_no_line_of_any_format_brings_it_down(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[Written, list[Entry]], junk: list[bytes], cut: int
) -> None:
    form, some = drawn
    text = form.head + b"\n".join(
        [*(form.writer(entry) for entry in some * 3), *junk, form.writer(some[0])[:cut]]
    )
    path = tmp_path_factory.mktemp("log") / "access.log"
    path.write_bytes(text)
    counted(path, Reading())


FORMAT_STRINGS = st.one_of(
    st.text(max_size=80),
    st.lists(
        st.sampled_from(
            ["$remote_addr", "$time_local", '"$request"', "$status", "%t", '"%r"', "%>s", "%b", " ", "[", "]",
             "$a", "${b}c", "%{x}i", "%", "\\", "time=", "path=x", ",", "log_format a ", "'"]
        ),
        max_size=12,
    ).map("".join),
)  # fmt: skip


@given(FORMAT_STRINGS, st.lists(st.binary(max_size=80), max_size=5))
def test_no_format_string_brings_it_down(
    tmp_path_factory: pytest.TempPathFactory, described: str, lines: list[bytes]
) -> None:
    path = written(tmp_path_factory.mktemp("log") / "access.log", *lines, common(SOME))
    try:
        reading = Reading(log_format=described)
    except LogError:
        return
    counted(path, reading)


SOME = Entry(BEGAN_US, "GET", b"", b"/a", 200, 10, b"192.0.2.1")
