"""A real Redis and a real upstream for the app under test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import RedisServer, free_port, serving

from loadtests.upstream import Stub, StubSettings


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, free_port())
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
