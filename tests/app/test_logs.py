"""What the service logs: JSON, a line each, in UTC, and nothing that is a secret."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from servers import Answer, eventually, free_port, get

pytestmark = pytest.mark.served

SECRETS = {"UPSTREAM_TOKEN": "t0ken-of-the-upstream", "REDIS_PWD": "passw0rd-of-redis"}


@dataclass
class Service:
    """The service in a process of its own, far from Greenwich, with neither upstream nor Redis."""

    port: int
    log: Path

    def get(self, path: str) -> Answer:
        return get(f"http://127.0.0.1:{self.port}", path)

    def logged(self, message: str) -> list[dict[str, str]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line["message"] == message]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    found = Service(free_port(), tmp_path / "log")
    environment = {
        "UPSTREAM_URL": "http://127.0.0.1:1", "REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1", "TZ": "JST-9",
        **SECRETS,
    }  # fmt: skip
    command = [
        sys.executable, "-m", "uvicorn", "app.main:app", "--http", "app.hits:Hits", "--port", str(found.port),
        "--log-level", "critical",
    ]  # fmt: skip
    with found.log.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | environment)
    try:
        assert eventually(lambda: answers(found), 20)
        yield found
    finally:
        process.terminate()
        process.wait(10)


def answers(service: Service) -> bool:
    try:
        return service.get("/healthz").status == 200
    except OSError:
        return False


def test_a_call_that_fails_is_logged_in_utc_and_without_its_query(service: Service) -> None:
    assert service.get("/content/repos/a?access_token=s3cret").status == 502
    assert eventually(lambda: service.logged("the upstream failed"))
    [line] = service.logged("the upstream failed")
    assert line["level"] == "warning"
    assert (line["path"], line["reason"]) == ("repos/a", "ClientConnectorError")
    told = dt.datetime.fromisoformat(line["time"])
    assert abs(dt.datetime.now(dt.UTC) - told) < dt.timedelta(minutes=1)


def test_no_secret_is_in_any_line(service: Service) -> None:
    for path in ("/content/a?access_token=s3cret", "/readyz", "/metrics", "/content/..%2fa"):
        service.get(path)
    assert eventually(lambda: service.logged("the upstream failed"))
    text = service.log.read_text()
    assert not [secret for secret in (*SECRETS.values(), "s3cret") if secret in text]
