"""Filling a cache before anybody asks: `python -m app.warm`, with a real Redis and a real upstream."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import HITS, RedisServer, free_port, get, serving

from app.content.wanted import InputError, Wanted, wanted
from app.main import create_app
from app.names import Names
from app.settings import Settings
from loadtests.upstream import Stub, StubSettings

served = pytest.mark.served
NAMES = Names(Settings("http://127.0.0.1:9"))


@contextmanager
def warming(*options: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "app.warm", *options], text=True, env={**os.environ, **environment},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def warm(lines: str, *options: str, **environment: str) -> tuple[int, dict[str, Any], str]:
    """Return exit code, what was printed last, and what was said on standard error."""
    with warming(*options, **environment) as process:
        printed, said = process.communicate(lines, timeout=30)
    return process.returncode, json.loads((printed.splitlines() or ["{}"])[-1]), said


@pytest.fixture
def configured(redis: RedisServer, upstream: str) -> dict[str, str]:
    return {
        "UPSTREAM_URL": upstream, "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(redis.port),
        "REDIS_PWD": redis.password, "CACHE_TTL": "60", "CACHE_TTL_JITTER": "0", "CACHE_REVALIDATE": "0",
        "CACHE_STALE_IF_ERROR": "0", "CACHE_NEGATIVE_TTL": "0",
    }  # fmt: skip


@pytest.fixture
def app(configured: dict[str, str]) -> Iterator[Callable[..., str]]:
    with ExitStack() as stack:

        def serve(**more: str) -> str:
            settings = Settings.from_environment(configured | more)
            return stack.enter_context(serving(create_app(settings), HITS))

        yield serve


def status_of(app: str, path: str) -> str:
    return get(app, path).headers["cache-status"].split(";")[1].strip()


@served
def test_what_was_stored_is_hit_and_nothing_else(configured: dict[str, str], app: Any, stub: Stub) -> None:
    code, said, _ = warm("30 /content/a%20b?x=1&y=%2F\n45.5 /content/c\n", **configured)
    assert (code, said["wanted"], said["filled"], said["failed"], said["calls"]) == (0, 2, 2, {}, 2)
    url = app()
    answer = get(url, "/content/a%20b?x=1&y=%2F")
    said_ttl_s = int(answer.headers["cache-status"].removeprefix("redis; hit; ttl="))
    assert 10 < said_ttl_s < 30
    assert int(answer.headers["age"]) + said_ttl_s in (59, 60), "as old as one of the app's own"
    assert status_of(url, "/content/c") == "hit"
    assert status_of(url, "/content/d").startswith("fwd=uri-miss")
    counted = get(url, "/metrics").body.decode()
    assert 'upstream_requests_total{status="200"} 1.0' in counted, "the miss is all that the app counts"


@served
def test_seconds_count_from_the_moment_that_is_given(configured: dict[str, str], app: Any) -> None:
    url = app()
    with warming("--hold", **configured) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(
            "".join(f"{0.2 + number / 20:.3f} /content/{number}\n" for number in range(20)) + "\n"
        )
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == {"fetched": 20, "calls": 20}
        begin_s = time.time() + 0.3
        process.stdin.write(f"{begin_s}\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["filled"] == 20
        seen = []
        for number in range(20):  # asked at times on both sides of each one's end
            expires_s = begin_s + 0.2 + number / 20
            off_s = (0.02, -0.02)[number % 2]
            time.sleep(max(expires_s + off_s - time.time(), 0))
            before_s = time.time()
            hit = status_of(url, f"/content/{number}") == "hit"
            seen.append((hit, before_s < expires_s, time.time() < expires_s))
    assert all(hit in (before, after) for hit, before, after in seen)
    assert {hit for hit, _, _ in seen} == {True, False}


@served
def test_several_caches_get_each_their_own_and_each_name_is_fetched_once(
    configured: dict[str, str], redis: RedisServer, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    other = RedisServer(folder, free_port())
    other.start()
    try:
        code, said, _ = warm(
            "30,- /content/a\n-,30 /content/b\n30,30 /content/c\n",
            "--redis", f"127.0.0.1:{redis.port}", "--redis", f"127.0.0.1:{other.port}", **configured,
        )  # fmt: skip
        assert (code, said["filled"], said["calls"]) == (0, 4, 3)
        keys = [f"content:{configured['UPSTREAM_URL']}/{name}" for name in "abc"]
        held = [[server.command("EXISTS", key) for key in keys] for server in (redis, other)]
        assert held == [[":1", ":0", ":1"], [":0", ":1", ":1"]]
    finally:
        other.stop()


@served
def test_an_expired_copy_is_stored_where_the_settings_keep_such_copies(
    configured: dict[str, str], app: Any, stub: Stub
) -> None:
    kept = {"CACHE_STALE_IF_ERROR": "60"}
    code, said, _ = warm("-5 /content/a\n-61 /content/b\n", **(configured | kept))
    assert (code, said["filled"], said["failed"]) == (0, 1, {"over": 1})
    url = app(**kept)
    stub._use(StubSettings(latency_ms=0, seed=7, error_ratio=1.0))
    assert get(url, "/content/a").status == 200
    assert get(url, "/content/b").status == 502


@served
def test_what_the_app_would_not_store_is_not_stored_and_said_by_reason(
    configured: dict[str, str], stub: Stub, redis: RedisServer
) -> None:
    stub._use(StubSettings(latency_ms=0, seed=7, missing_ratio=0.5, body=1000, body_spread=2.0))
    lines = "".join(f"30 /content/{number}\n" for number in range(60))
    code, said, _ = warm(lines, **(configured | {"CACHE_MAX_BODY": "1500"}))
    assert code == 0
    assert set(said["failed"]) == {"status-404", "too-large"}
    assert said["filled"] + sum(said["failed"].values()) == said["wanted"] == 60
    assert redis.command("DBSIZE") == f":{said['filled']}"
    _, said, _ = warm(lines, **(configured | {"CACHE_NEGATIVE_TTL": "5"}))
    assert said["filled"] == 60
    stub._use(StubSettings(latency_ms=0, seed=7))
    _, said, _ = warm("3600 /content/0\n", **configured)
    assert said["failed"] == {"too-long": 1}, "the app believes nothing that is fresh for longer than its TTL"


@served
def test_a_path_that_the_app_refuses_is_passed_over(configured: dict[str, str]) -> None:
    code, said, _ = warm("30 /content/../a\n30 /content/b\n30 /content/%ff\n", **configured)
    assert (code, said["filled"], said["failed"], said["calls"]) == (0, 1, {"refused": 2}, 1)


@served
def test_it_calls_no_faster_than_it_may(configured: dict[str, str]) -> None:
    began = time.monotonic()
    _, said, _ = warm(
        "".join(f"30 /content/{number}\n" for number in range(11)), "--rate", "10", **configured
    )
    assert said["filled"] == 11
    assert said["seconds"] >= 1.0
    assert time.monotonic() - began < 10


@served
def test_it_leaves_the_reserve_of_the_quota_alone(configured: dict[str, str], stub: Stub) -> None:
    stub._use(StubSettings(latency_ms=0, seed=7, rate_limit=30))
    lines = "".join(f"30 /content/{number}\n" for number in range(40))
    _, said, _ = warm(lines, "--concurrency", "1", "--rate", "1000", **configured)
    assert said["failed"] == {"upstream-quota": 20}
    assert said["calls"] == 20


@served
def test_a_redis_that_is_not_there_is_said(configured: dict[str, str]) -> None:
    code, said, error = warm("30 /content/a\n", **(configured | {"REDIS_PORT": str(free_port())}))
    assert (code, said["failed"]) == (1, {"redis-down": 1})
    assert error.strip().endswith("app.warm: nothing was stored")


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("/content/a\n", "line 1: '/content/a' is not a number of seconds"),
        ("5 /content/a\n5 /b\n", "line 2: '/b' does not begin with /content/"),
        ("nan /content/a\n", "line 1: 'nan' is not a number"),
        ("1,2 /content/a\n", "line 1: '1,2' has seconds for 2 caches, and there are 1"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(lines: str, complaint: str) -> None:
    environment = {"UPSTREAM_URL": "http://127.0.0.1:9", "REDIS_HOST": "127.0.0.1"}
    code, _, said = warm(lines, **environment)
    assert code == 1
    assert complaint in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("options", "environment", "complaint"),
    [
        ([], {"UPSTREAM_URL": "http://127.0.0.1:9"}, "REDIS_HOST or REDIS_SOCKET: name the Redis to fill"),
        ([], {"REDIS_HOST": "a"}, "UPSTREAM_URL"),
        (["--redis", "x"], {"UPSTREAM_URL": "http://127.0.0.1:9"}, "--redis x: is not HOST:PORT or"),
        (["--rate", "0"], {}, "--rate is above 0"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_named(
    options: list[str], environment: dict[str, str], complaint: str
) -> None:
    code, _, said = warm("", *options, **environment)
    assert code in (1, 2)
    assert complaint in said
    assert "Traceback" not in said


@given(st.lists(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=2, max_size=2), max_size=8))
def test_lines_are_read_as_they_were_meant(lifetimes: list[list[float | None]]) -> None:
    lines = [
        f"{','.join('-' if each is None else repr(each) for each in pair)} /content/{number}?q\n"
        for number, pair in enumerate(lifetimes)
    ]
    assert list(wanted([*lines, "\n", "rubbish"], NAMES, 2)) == [
        Wanted(NAMES.resource(f"{number}?q"), tuple(pair)) for number, pair in enumerate(lifetimes)
    ]


@given(st.text())
def test_any_line_is_read_or_refused_with_its_number(line: str) -> None:
    with contextlib.suppress(InputError):
        assert len(list(wanted(["1 /content/a", line], NAMES, 1))) == (2 if line.rstrip("\r\n") else 1)
