"""A real Redis and a real upstream for the app under test."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import RedisServer, free_port, serving

from app.logs import JsonFormatter
from loadtests.upstream import Stub, StubSettings

Logged = Callable[..., list[dict[str, str]]]


@pytest.fixture
def logged() -> Iterator[Logged]:
    """Read what the app has logged since the test began: all of it, or one message."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("app")
    logger.addHandler(handler)

    def read(message: str | None = None) -> list[dict[str, str]]:
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        return [line for line in lines if message in (None, line["message"])]

    yield read
    logger.removeHandler(handler)


@pytest.fixture(scope="module")
def patient() -> Iterator[None]:
    """Give Redis more time than the app would: for tests of what is answered, on a machine that is busy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.store.dialing.TIMEOUT_S", 5.0)
        yield


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def lasting_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for all tests of a module."""
    server = RedisServer(tmp_path_factory.mktemp("redis"), free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture
def stub() -> Stub:
    return Stub(StubSettings(latency_ms=0, seed=7))


@pytest.fixture
def upstream(stub: Stub) -> Iterator[str]:
    with serving(stub) as url:
        yield url
