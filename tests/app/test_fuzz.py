"""Whatever is asked, the service does not fail of its own making, and asks nobody but its upstream."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import HITS, RedisServer, free_port, serving

from app.main import create_app
from app.settings import Settings

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
_TARGETS = st.one_of(
    st.lists(_PIECES, max_size=12).map("".join),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=80),
    st.integers(1, 30_000).map(lambda length: "a" * length),
    st.integers(1, 3000).map(lambda length: "../" * length),
)


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
            paths.append(scope["raw_path"])
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
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


def status(url: str, target: str) -> int:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.putrequest("GET", target, skip_host=True)
        connection.putheader("Host", "any")
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


@given(target=_TARGETS)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_path_breaks_the_service_or_leaves_the_upstream(asked: Asked, target: str) -> None:
    try:
        found = status(asked.url, f"/content/{target}")
    except http.client.InvalidURL:
        return  # the client itself refuses to send it
    assert found < 500, target
    assert all(path.startswith(BASE) and b"/../" not in path for path in asked.paths)
    asked.paths.clear()


def test_what_openapi_says_is_what_is_served(asked: Asked) -> None:
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    command = [
        str(SCHEMATHESIS), "run", f"{asked.url}/openapi.json", "--checks", checks, "--max-examples", "60",
        "--seed", "1", "--no-color", "--phases", "examples,coverage,fuzzing",
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stdout[-4000:]
    assert asked.paths
    assert all(path.startswith(BASE) for path in asked.paths)
