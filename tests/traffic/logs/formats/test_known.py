"""Which format a log is in, by its first lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from access_logs import line, written

from traffic.logs import LogError, read

OTHERS = {
    "JSON lines": b'{"time": "2025-03-14T09:00:00Z", "request": "GET /a HTTP/1.1", "status": 200}',
    "uvicorn's access log": b'INFO:     192.0.2.1:52024 - "GET /a HTTP/1.1" 200 OK',
    "Amazon S3 server access log": b"owner bucket [14/Mar/2025:09:00:00 +0000] 192.0.2.1 req 01 "
    b'REST.GET.OBJECT a "GET /b/a HTTP/1.1" 200 - 10 10 10 9 "-" "client" -',
    "ALB access log": b"https 2025-03-14T09:00:00.1Z app/lb/1 192.0.2.1:12 192.0.2.9:80 0.1 0.2 0.0 200 200 "
    b'1 1 "GET https://a.example:443/a HTTP/1.1" "client"',
    "ELB access log": b"2025-03-14T09:00:00.1Z lb 192.0.2.1:12 192.0.2.9:80 0.001 0.002 0.000 200 200 0 10 "
    b'"GET http://a.example:80/a HTTP/1.1" "client" - -',
    "HAProxy's HTTP log": b"Mar 14 09:00:00 host haproxy[77]: 192.0.2.1:55 [14/Mar/2025:09:00:00.584] fe~ "
    b'be/s1 0/0/0/72/72 200 10 - - ---- 5/4/0/1/0 0/0 "GET /a HTTP/1.1"',
    "Envoy's access log": b'[2025-03-14T09:00:00.123Z] "GET /a HTTP/1.1" 200 - via_upstream - "-" 0 10 3 2',
    "Squid's native log": b"1741942800.123     52 192.0.2.1 TCP_MISS/200 10 GET http://a.example/a - H/- -",
}


@pytest.mark.parametrize(("name", "text"), OTHERS.items())
def test_another_format_is_refused_by_its_name_with_the_first_line(
    tmp_path: Path, name: str, text: bytes
) -> None:
    with pytest.raises(LogError) as refused:
        read([written(tmp_path, *[text] * 9)])
    assert f"looks like {name}" in str(refused.value)
    assert f"Its first line: {text.decode()[:60]}" in str(refused.value)


def test_a_w3c_log_is_known_by_its_head(tmp_path: Path) -> None:
    head = [b"#Version: 1.0", b"#Fields: date time cs-method"]
    with pytest.raises(LogError, match="looks like W3C extended log format"):
        read([written(tmp_path, *head, *[b"2025-03-14 09:00:00 GET"] * 20)])


def test_what_uvicorn_writes_once_it_is_told_to_can_be_read(tmp_path: Path) -> None:
    text = b'192.0.2.1:52024 - - [14/Mar/2025:09:00:00 +0000] "GET /a HTTP/1.1" 200 OK'
    log = read([written(tmp_path, text)])
    assert (log.facts.requests, log.resources[0], log.size.tolist()) == (1, b"/a", [-1])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (line(), "Combined Log Format"),
        (line().removesuffix(b' "-" "client/1.0"'), "Common Log Format"),
        (b'[2025-03-14T09:00:00Z] 192.0.2.1 - - "GET /a HTTP/1.1" 200 10 6ms', "Common Log Format"),
        (b'[2025-03-14T09:00:00Z] "GET /a HTTP/1.1" 200 10', "Common Log Format"),
    ],
)
def test_the_format_of_a_log_that_is_read(tmp_path: Path, text: bytes, name: str) -> None:
    assert read([written(tmp_path, *[text] * 3, b"odd")]).facts.format == name
