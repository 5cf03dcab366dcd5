"""Several workers of one service count together, where they are told where to."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import HITS, RedisServer, eventually, free_port, get

pytestmark = [pytest.mark.served, pytest.mark.slow]

REQUESTS = 40


@contextlib.contextmanager
def workers(
    redis: RedisServer, upstream: str, log: Path, *options: str, **environment: str
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    port = free_port()
    where = {
        "UPSTREAM_URL": upstream, "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(redis.port),
        "REDIS_PWD": redis.password,
    }  # fmt: skip
    command = [
        sys.executable, "-m", "uvicorn", "app.main:app", "--no-access-log", "--port", str(port), *options,
    ]  # fmt: skip
    with log.open("wb") as written:
        started = subprocess.Popen(
            command, stdout=written, stderr=written, env={**os.environ, **where, **environment}
        )
    try:
        yield f"http://127.0.0.1:{port}", started
    finally:
        started.terminate()
        started.wait(20)


def answers(url: str) -> bool:
    with contextlib.suppress(OSError):
        return get(url, "/healthz").status == 200
    return False


def totals(url: str) -> tuple[int, int, int]:
    """Return requests, calls, and the calls whose time is known."""
    text = get(url, "/metrics").body.decode()
    sums = [
        sum(float(count) for count in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE))
        for name in ("cache_requests_total", "upstream_requests_total", "upstream_seconds_count")
    ]
    return int(sums[0]), int(sums[1]), int(sums[2])


@pytest.mark.parametrize("http", [HITS, "httptools"])
def test_any_worker_tells_what_all_have_counted(
    redis: RedisServer, upstream: str, tmp_path: Path, http: str
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    options = ("--workers", "3", "--http", http)
    with workers(redis, upstream, tmp_path / "log", *options, PROMETHEUS_MULTIPROC_DIR=str(shared)) as (
        url,
        _,
    ):
        assert eventually(lambda: answers(url), 30)
        for number in range(REQUESTS):
            assert get(url, f"/content/{number % 4}").status == 200
        found = {totals(url) for _ in range(12)}
    assert found == {(REQUESTS, 4, 4)}


def test_a_worker_that_counts_for_itself_says_so(redis: RedisServer, upstream: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with workers(redis, upstream, log, "--workers", "2") as (url, _):
        assert eventually(lambda: answers(url), 30)
        assert eventually(lambda: "/metrics counts this worker alone" in log.read_text())
    [line, *_] = [line for line in log.read_text().splitlines() if "this worker alone" in line]
    assert json.loads(line)["unset"] == "PROMETHEUS_MULTIPROC_DIR"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"PROMETHEUS_MULTIPROC_DIR": "/nowhere/at/all"}, "PROMETHEUS_MULTIPROC_DIR: there is no folder"),
        ({"REDIS_HOST": "redis..svc"}, "REDIS_HOST: 'redis..svc' is not a host name or an address"),
        ({"REDIS_TLS": "on", "REDIS_TLS_CA": __file__}, "REDIS_TLS_CA: "),
    ],
)
def test_an_app_that_cannot_start_says_why_in_a_sentence(
    redis: RedisServer, upstream: str, tmp_path: Path, environment: dict[str, str], said: str
) -> None:
    log = tmp_path / "log"
    with workers(redis, upstream, log, **environment) as (_, started):
        assert started.wait(30) != 0
    assert f"The app cannot start. {said}" in log.read_text()
    assert "Traceback" not in log.read_text()
