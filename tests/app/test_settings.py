"""The app's configuration: from the environment alone, and no secret is shown."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from servers import RedisServer

from app.ping import measure
from app.settings import ConfigurationError, Settings

URL = {"UPSTREAM_URL": "http://127.0.0.1:1"}


def test_defaults() -> None:
    settings = Settings.from_environment(URL)
    assert settings.ttl_s == 3600
    assert not settings.cached


def test_every_variable_is_read(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from-a-file\n")
    settings = Settings.from_environment(
        {
            "UPSTREAM_URL": "https://api.example.org/v3/", "REDIS_HOST": "redis", "REDIS_PORT": "6380",
            "REDIS_PWD_FILE": str(tmp_path / "password"), "REDIS_USER": "app", "CACHE_TTL": "0.5",
            "UPSTREAM_TOKEN": "t0ken",
        }
    )  # fmt: skip
    assert settings.upstream_url == "https://api.example.org/v3"
    assert (settings.redis_host, settings.redis_port, settings.redis_user) == ("redis", 6380, "app")
    assert (settings.redis_password, settings.upstream_token, settings.ttl_s) == ("from-a-file", "t0ken", 0.5)
    assert settings.cached


def test_a_socket_is_a_redis_too() -> None:
    assert Settings.from_environment({**URL, "REDIS_SOCKET": "/run/redis.sock"}).cached


def test_secrets_are_not_shown() -> None:
    shown = repr(Settings.from_environment({**URL, "REDIS_PWD": "s3cret", "UPSTREAM_TOKEN": "t0ken"}))
    assert "s3cret" not in shown
    assert "t0ken" not in shown


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "UPSTREAM_URL"),
        ({"UPSTREAM_URL": "ftp://x"}, "UPSTREAM_URL"),
        ({**URL, "CACHE_TTL": "an hour"}, "CACHE_TTL: 'an hour'"),
        ({**URL, "CACHE_TTL": "0"}, "CACHE_TTL"),
        ({**URL, "REDIS_PORT": "six"}, "REDIS_PORT"),
        ({**URL, "REDIS_PWD_FILE": "/nowhere/at/all"}, "REDIS_PWD_FILE: /nowhere/at/all"),
    ],
)
def test_what_makes_no_sense_is_named(environment: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Settings.from_environment(environment)


def test_ping_measures_round_trips(redis: RedisServer) -> None:
    settings = Settings(
        "http://x", redis_host="127.0.0.1", redis_port=redis.port, redis_password=redis.password
    )
    times_us = measure(settings, 50)
    assert len(times_us) == 50
    assert all(time_us > 0 for time_us in times_us)


def ping(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.ping", "--count", "20"],
        env={**os.environ, **URL, **environment}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_ping_as_a_command_prints_a_line_of_json(redis: RedisServer) -> None:
    ended = ping(REDIS_HOST="127.0.0.1", REDIS_PORT=str(redis.port), REDIS_PWD=redis.password)
    figures = json.loads(ended.stdout)
    assert figures["samples"] == 20
    assert 0 < figures["min_us"] <= figures["median_us"] <= figures["p99_us"]


def test_ping_says_what_is_wrong_without_the_password(redis: RedisServer) -> None:
    ended = ping(REDIS_HOST="127.0.0.1", REDIS_PORT=str(redis.port), REDIS_PWD="wr0ng")
    assert ended.returncode == 1
    assert "refuses the password" in ended.stderr
    assert "wr0ng" not in ended.stderr
    assert "Traceback" not in ended.stderr
