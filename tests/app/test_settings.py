"""The app's configuration: from the environment alone, and no secret is shown."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
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


@pytest.mark.parametrize(
    "url",
    [
        "", "api.github.com", "//api.github.com", "http://", "http://:80", "http://a:b", "http://a:99999",
        "http://a:0", "http://redis..svc", "http://" + "a" * 64, "http://a b", "http://a/b c", "http://a\\b",
        "http://a/b\nc", "http://a/?x=1", "http://a/api?", "http://a/#f", "http://a/api#",
        "http://user:s3cret@a", "http://user@a", "http://s3cret@", "http://[::1", "http://[s3cret]",
        "http://a/../b", "http://a/./b", "http://-a", "http://a,b", "http://300.1.1.1", "file:///a",
    ],
)  # fmt: skip
def test_an_upstream_url_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^UPSTREAM_URL: .*such as https:") as error:
        Settings.from_environment({"UPSTREAM_URL": url})
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("HTTP://a.example", "http://a.example"), (" https://a.example/api/ \n", "https://a.example/api"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"), ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://upstream_1:8000", "http://upstream_1:8000"), ("http://bücher.example", "http://bücher.example"),
        ("http://a.svc.cluster.local./v1/%20", "http://a.svc.cluster.local./v1/%20"),
    ],
)  # fmt: skip
def test_an_upstream_url_is_read_as_it_is_meant(url: str, read: str) -> None:
    assert Settings.from_environment({"UPSTREAM_URL": url}).upstream_url == read


@pytest.mark.parametrize(
    "host",
    [
        "redis..svc", "r" * 64 + ".svc", "a." * 130 + "b", ".redis", "redis://127.0.0.1", "127.0.0.1:6379",
        "re dis", "redis,other", "-redis", "300.1.1.1", "[::1", "::1::", "a/b", "x@redis",
    ],
)  # fmt: skip
def test_a_host_that_cannot_be_looked_up_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^REDIS_HOST: .*not a host name or an address"):
        Settings.from_environment({**URL, "REDIS_HOST": host})


@pytest.mark.parametrize(
    ("host", "read"),
    [
        ("redis", "redis"), ("redis_1", "redis_1"), ("127.0.0.1 ", "127.0.0.1"), ("[::1]", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"), ("redis.svc.cluster.local.", "redis.svc.cluster.local."),
        ("münchen.example", "münchen.example"), ("3com.example", "3com.example"),
    ],
)  # fmt: skip
def test_a_host_is_read_as_it_is_meant(host: str, read: str) -> None:
    assert Settings.from_environment({**URL, "REDIS_HOST": host}).redis_host == read


@given(st.text(max_size=80))
def test_whatever_a_host_is_it_can_be_looked_up_or_is_refused(host: str) -> None:
    try:
        read = Settings.from_environment({**URL, "REDIS_HOST": host}).redis_host
    except ConfigurationError:
        return
    assert read is None or read.encode("idna")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("UPSTREAM_CONCURRENCY", "0.5"), ("UPSTREAM_CONCURRENCY", "0"), ("UPSTREAM_CONCURRENCY", "1e300"),
        ("UPSTREAM_RESERVE", "1.5"), ("UPSTREAM_RESERVE", "-1"), ("CACHE_MAX_BODY", "0.5"),
        ("REDIS_PORT", "0.5"), ("REDIS_PORT", "0"), ("REDIS_PORT", "65536"), ("REDIS_PORT", "tcp://1.2.3.4:6379"),
        ("CACHE_TTL", "nan"), ("CACHE_TTL", "inf"), ("CACHE_TTL", "1e300"), ("CACHE_TTL", "-1"),
        ("CACHE_TTL_JITTER", "nan"), ("CACHE_L1", "infinity"), ("CACHE_STALE_IF_ERROR", "1e13"),
    ],
)  # fmt: skip
def test_a_number_that_makes_no_sense_is_named(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name}: '{text}' is (not a|more than)"):
        Settings.from_environment({**URL, name: text})


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
@pytest.mark.parametrize("password", [" blanks are kept ", "p@ss:w/rd%40#?&", "päß→", "'\"\\`$x", "x" * 500])
def test_a_password_is_the_same_from_a_file_and_from_the_environment(
    tmp_path: Path, password: str, ending: str
) -> None:
    (tmp_path / "password").write_bytes((password + ending).encode())
    for variable in (
        {"REDIS_PWD": password + ending},
        {"REDIS_PWD_FILE": str(tmp_path / "password")},
    ):
        assert Settings.from_environment({**URL, **variable}).redis_password == password


def test_a_token_is_one_that_a_header_can_carry() -> None:
    assert Settings.from_environment({**URL, "UPSTREAM_TOKEN": " abc\n"}).upstream_token == "abc"
    for token in ("s3cret\ndef", "s3cret def", "s3crét", "s3cret\x00"):
        with pytest.raises(ConfigurationError, match=r"^UPSTREAM_TOKEN: ") as error:
            Settings.from_environment({**URL, "UPSTREAM_TOKEN": token})
        assert "s3cr" not in str(error.value)


def test_a_file_of_a_secret_is_text_and_not_empty(tmp_path: Path) -> None:
    for content, said in ((b"\xff\xfes3cret", "is not UTF-8 text"), (b"\n", "is empty")):
        (tmp_path / "password").write_bytes(content)
        with pytest.raises(ConfigurationError, match=f"^REDIS_PWD_FILE: .* {said}"):
            Settings.from_environment({**URL, "REDIS_PWD_FILE": str(tmp_path / "password")})
    with pytest.raises(ConfigurationError, match=r"^REDIS_PWD_FILE: .* cannot be read"):
        Settings.from_environment({**URL, "REDIS_PWD_FILE": str(tmp_path)})


def test_a_socket_has_a_path_that_can_be_one(tmp_path: Path) -> None:
    for path in ("/tmp/" + "x" * 200, str(tmp_path)):
        with pytest.raises(ConfigurationError, match=r"^REDIS_SOCKET: "):
            Settings.from_environment({**URL, "REDIS_SOCKET": path})


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"REDIS_USER": "app"}, "REDIS_USER: give its password"),
        ({"REDIS_TLS": "on", "REDIS_SOCKET": "/run/redis.sock"}, "REDIS_TLS: a Unix socket"),
        ({"REDIS_TLS_CA": __file__}, "REDIS_TLS: switch it on"),
        ({"REDIS_TLS": "on", "REDIS_TLS_CERT": __file__}, "REDIS_TLS_CERT, REDIS_TLS_KEY: give both"),
        ({"REDIS_TLS": "on", "REDIS_TLS_CA": "/nowhere"}, "REDIS_TLS_CA: there is no file /nowhere"),
    ],
)
def test_what_does_not_fit_together_is_named(environment: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{said}"):
        Settings.from_environment({**URL, **environment})


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
