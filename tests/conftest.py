"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest import mock

import pytest

from bench.session import measuring


@pytest.fixture(scope="session", autouse=True)
def _own_lock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let runs of these tests wait for none but each other: others may measure on this machine."""
    lock = tmp_path_factory.mktemp("lock") / measuring.FILE
    with mock.patch.dict(os.environ, {measuring.TESTS: str(lock)}):
        yield
