"""Which format a log is in, by its first lines, and what is said of it."""

from __future__ import annotations

import json
import logging
import logging.config
from pathlib import Path

import pytest
from access_logs import line, written

from traffic.logs import LogError, Reading, read
from traffic.logs.formats.known import UVICORN

UNTIMED = b'INFO:     192.0.2.1:52024 - "GET /a HTTP/1.1" 200 OK'


def test_a_format_without_times_is_refused_with_what_adds_them(tmp_path: Path) -> None:
    with pytest.raises(LogError) as refused:
        read([written(tmp_path, *[UNTIMED] * 9)])
    assert "looks like uvicorn's access log: its lines have no times" in str(refused.value)
    assert f"Its first line: {UNTIMED.decode()}" in str(refused.value)
    assert UVICORN in str(refused.value)


def test_what_uvicorn_writes_once_it_is_told_to_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("uvicorn.access")
    before = (logger.handlers[:], logger.level, logger.propagate)
    try:
        logging.config.dictConfig(json.loads(UVICORN))
        logger.info('%s - "%s %s HTTP/%s" %d', "192.0.2.1:52024", "GET", "/a?b=c", "1.1", 200)
    finally:
        logger.handlers[:], level, logger.propagate = before
        logger.setLevel(level)
    log = read([written(tmp_path, capsys.readouterr().out.strip().encode())])
    assert (log.facts.requests, log.resources[0], log.size.tolist()) == (1, b"/a?b=c", [-1])
    assert log.facts.clients == 1


@pytest.mark.parametrize(
    ("text", "name", "note"),
    [
        (line(), "Combined Log Format", "time in brackets"),
        (line().removesuffix(b' "-" "client/1.0"'), "Common Log Format", "time in brackets"),
        (b'[2025-03-14T09:00:00Z] 192.0.2.1 - - "GET /a HTTP/1.1" 200 10 6ms', "Common Log Format", ""),
        (b'[2025-03-14T09:00:00Z] "GET /a HTTP/1.1" 200 10', "Common Log Format", ""),
        (
            line(before="a.example:443 192.0.2.1 - -"),
            "Combined Log Format",
            "the virtual host before the client",
        ),
        (line("http://a.example/x"), "Combined Log Format with whole URLs (varnishncsa)", "host of each URL"),
        (b"Mar 14 09:00:00 web1 nginx[77]: " + line(), "Combined Log Format", "behind syslog's prefix"),
        (line() + b' 0 "web@docker" "http://192.0.2.9:80" 2ms', "Traefik's access log", ""),
    ],
)
def test_a_sentence_says_what_was_detected(tmp_path: Path, text: bytes, name: str, note: str) -> None:
    facts = read([written(tmp_path, *[text] * 3, b"odd")]).facts
    assert facts.format == name
    assert facts.detected[0].startswith(f"{name}: ")
    assert note in facts.detected[0]


def test_fields_of_json_and_of_tables_are_named(tmp_path: Path) -> None:
    text = b'{"ts": 1741942800.25, "request": {"method": "GET", "uri": "/a"}, "status": 200, "size": 3}'
    assert read([written(tmp_path, text)]).facts.detected == (
        "Caddy's JSON log: time from ts, method from request.method, path from request.uri, "
        "status from status, bytes from size",
    )
    table = read([written(tmp_path, b"when,time,path", b"x,2025-03-14 09:00:00+00,/a?b")])
    assert table.facts.detected == (
        "table: time from time, path from path; no status, so each is taken as 200",
    )
    assert table.resources[0] == b"/a?b"


def test_messages_between_requests_are_no_reason_to_refuse_a_log(tmp_path: Path) -> None:
    text = b'{"ts": 1741942800.25, "request": {"method": "GET", "uri": "/a"}, "status": 200, "size": 3}'
    other = b'{"ts": 1741942800.25, "logger": "tls", "msg": "renewed"}'
    facts = read([written(tmp_path, *[other] * 9, text)]).facts
    assert (facts.requests, facts.unreadable) == (1, 0)
    assert [(kind.reason, kind.lines) for kind in facts.left_out] == [("a message that is no request", 9)]


@pytest.mark.parametrize(
    ("lines", "given", "keys"),
    [
        ([b'{"when": "2025-03-14T09:00:00Z", "where": "/a"}'], "time=when, path=where", [b"/a"]),
        ([b"when;where", b"1741942800;/a"], "time=when,path=where", [b"/a"]),
        ([b"time,path,full", b"1741942800,/a,/a?b"], "url=full", [b"/a?b"]),
    ],
)
def test_fields_can_be_named(tmp_path: Path, lines: list[bytes], given: str, keys: list[bytes]) -> None:
    log = read([written(tmp_path, *lines)], Reading(log_format=given))
    assert list(log.resources) == keys


@pytest.mark.parametrize(
    ("lines", "given", "said"),
    [
        (
            [b'{"when": 1, "where": "/a"}'],
            None,
            "no field that is known to be a time and a path; name them, such as",
        ),
        (
            [b'{"when": 1, "where": "/a"}'],
            "time=at, path=where",
            "there is no field at; there are when, where",
        ),
        (
            [b"when,where", b"1,/a"],
            "time=when",
            "leaves open which field is the time, or the path; its first line",
        ),
        (
            [b"time,path", b"1,/a"],
            "hour=time",
            "hour=time names no part of a request; there are time, request",
        ),
        (
            [b"[", b'{"time": 1, "path": "/a"},', b"]"],
            None,
            "is a JSON array: write one object per line, with jq",
        ),
        ([b"GET /a 200"] * 3, None, "describe its lines with --log-format"),
        ([b"#Version: 1.0", b"#Fields: date cs-method"], None, "does not name time and cs-uri-stem"),
    ],
)
def test_a_log_that_nothing_is_known_of_is_refused_with_its_first_line_and_the_remedy(
    tmp_path: Path, lines: list[bytes], given: str | None, said: str
) -> None:
    with pytest.raises(LogError) as refused:
        read([written(tmp_path, *lines)], Reading(log_format=given))
    assert said in str(refused.value)


def test_a_w3c_log_may_change_its_fields_and_take_the_day_from_its_head(tmp_path: Path) -> None:
    log = read(
        [
            written(
                tmp_path,
                b"#Version: 1.0",
                b"#Date: 2025-03-14 00:00:00",
                b"#Fields: time cs-method cs-uri sc-status",
                b'09:00:00 GET "/a b" 200',
                b"#Fields: sc-status cs-uri-stem cs-uri-query time date",
                b"404 /c x=1 09:00:01 2025-03-14",
                b"404 /c",
            )
        ]
    )
    assert [log.resources[key] for key in log.keys.tolist()] == [b"/a b", b"/c?x=1"]
    assert log.status.tolist() == [200, 404]
    assert log.at_us.tolist() == [0, 1_000_000]
    assert log.facts.unreadable == 1
