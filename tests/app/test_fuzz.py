"""Whatever is asked, the service does not fail of its own making, and asks nobody but its upstream."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import HITS, RedisServer, free_port, serving

from app.main import create_app
from app.settings import Settings

pytestmark = pytest.mark.served

BASE = b"/base/"
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
# What breaks parsers: separators plain and encoded, once and twice, dots, controls, and half of a character.
_PIECES = st.sampled_from(
    [
        "..", ".", "/", "//", "%2e%2e", "%2F", "%252e%252e", "%252F", "%5c", "%00", "%0a", "%0d%0a", "%7f",
        "%ff",
        "%c0%ae", "%C3%A9", "%F0%9F%98%80", "%ed%a0%80", "@", ":", ":8080", "http://192.0.2.1/", "%3f", "%23",
        "?", "#", "&", "=", ";", "%", "%zz", "a", "repos", "~", "[", "]", "{", "|", "^", "`", "%20", "+", "*",
    ]
)  # fmt: skip
_RAW = st.sampled_from(
    [
        b"\x00", b"\x01", b"\t", b"\x0b", b"\x1b", b"\x7f", b"\x80", b"\xa0", b"\xff", b"\xc3\xa9", b"\xc3",
        b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b" ", b"\r", b"\n", b"\r\n", b"\\", b'"', b"<",
    ]
)  # fmt: skip
_TARGETS = st.one_of(
    st.lists(st.one_of(_PIECES.map(str.encode), _RAW), max_size=12).map(b"".join),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=80).map(str.encode),
    st.binary(max_size=80),
    st.integers(1, 100_000).map(lambda length: b"a" * length),
    st.integers(1, 33_000).map(lambda length: b"../" * length),
    st.integers(1, 33_000).map(lambda length: b"%2F" * length),
)
# What a request line names beside a path of the service: another host, or a path that only looks like one.
_BEFORE = st.sampled_from(
    [b"/content/", b"/content/", b"/content/", b"//content/", b"http://192.0.2.1/content/", b""]
)
# No 429: after two of them the app leaves the upstream alone, whatever is asked.
_STATUSES: Final = (200, 301, 403, 404, 410, 500)


@dataclass
class Asked:
    """An app, and the paths that its upstream was asked for, as they were spelled."""

    url: str
    paths: list[bytes]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    paths: list[bytes] = []

    async def noting(scope: dict[str, Any], _: Any, send: Callable[..., Any]) -> None:
        if scope["type"] == "http":
            path = scope["raw_path"]
            paths.append(path)
            headers = [
                (b"content-type", b"application/json"),
                (b"location", b"http://192.0.2.1/base/elsewhere"),
            ]
            status = _STATUSES[zlib.crc32(path) % len(_STATUSES)]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b"{}"})

    redis = RedisServer(tmp_path_factory.mktemp("redis"), free_port())
    redis.start()
    where: dict[str, Any] = {"redis_host": "127.0.0.1", "redis_port": redis.port}
    with (
        serving(noting) as upstream,
        serving(
            create_app(Settings(upstream + "/base", redis_password=redis.password, **where)), HITS
        ) as app,
    ):
        yield Asked(app, paths)
    redis.stop()


def raw(url: str, line: bytes) -> tuple[int, bytes]:
    """Send a request line byte by byte as it is; return the first answer's status and its head, 0 if none."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30) as connection:
        with contextlib.suppress(ConnectionError):  # who has refused already need not read the rest
            connection.sendall(b"GET " + line + b" HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n")
        answer = b""
        with contextlib.suppress(ConnectionError):
            while b"\r\n\r\n" not in answer and (part := connection.recv(65536)):
                answer += part
    head = answer.partition(b"\r\n\r\n")[0].lower()
    return int(head.split(b" ", 2)[1]) if head else 0, head


def ours(status: int, head: bytes) -> bool:
    """Tell whether an answer is a failure that is none of the upstream's."""
    return status >= 500 and b"fwd-status=%d" % status not in head


@given(before=_BEFORE, target=_TARGETS)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_line_breaks_the_service_or_leaves_the_upstream(
    asked: Asked, before: bytes, target: bytes
) -> None:
    asked.paths.clear()
    status, head = raw(asked.url, before + target)
    assert status, "no answer"
    assert not ours(status, head), head
    for path in asked.paths:
        assert path.startswith(BASE)
        assert b".." not in unquote_to_bytes(path).split(b"/")
        assert path.isascii()
    # The service goes on, and knows no more of the line than it should.
    assert raw(asked.url, b"/healthz")[0] == 200


@pytest.mark.parametrize("byte", [b"\x00", b"\x1f", b"\x7f", b"\x80", b"\xff", b"\xc3\xa9"])
def test_a_raw_control_or_high_byte_is_refused_or_asked_for_encoded(asked: Asked, byte: bytes) -> None:
    asked.paths.clear()
    status, _ = raw(asked.url, b"/content/a" + byte)
    assert status == 400 or asked.paths == [BASE + b"a" + quote(byte).encode()]


@pytest.mark.parametrize("byte", [b"a", b"%2e", b"/", b"\xff"])
def test_a_line_of_a_hundred_kilobytes_is_no_fault_of_ours(asked: Asked, byte: bytes) -> None:
    status, head = raw(asked.url, b"/content/" + byte * (100_000 // len(byte)))
    assert status
    assert not ours(status, head), head


def test_what_openapi_says_is_what_is_served(asked: Asked) -> None:
    checks = (
        "no_failure_of_its_own,status_code_conformance,content_type_conformance,response_schema_conformance"
    )
    command = [
        str(SCHEMATHESIS), "run", f"{asked.url}/openapi.json", "--checks", checks, "--max-examples", "60",
        "--seed", "1", "--no-color", "--phases", "examples,coverage,fuzzing",
    ]  # fmt: skip
    support = Path(__file__).parents[1] / "support"
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "own_failures", "PYTHONPATH": str(support)}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=environment)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    assert asked.paths
    assert all(path.startswith(BASE) for path in asked.paths)
    assert {_STATUSES[zlib.crc32(path) % len(_STATUSES)] for path in asked.paths} == set(_STATUSES)
