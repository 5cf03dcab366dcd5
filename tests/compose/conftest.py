"""What the tests of the stacks share."""

import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from compose.host.launch import RUN_MARK


def _wait_until(holds: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait for a condition; fail when it does not come to hold."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "the condition did not come to hold in time"
        time.sleep(0.01)


def _marked(run_id: str) -> list[psutil.Process]:
    """Return the processes that bear a run's mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(RUN_MARK) == run_id and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Give tests the patience that they need."""
    return _wait_until


@pytest.fixture
def marked() -> Callable[[str], list[psutil.Process]]:
    """Let tests look for the processes of a run."""
    return _marked


@pytest.fixture
def run_id(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give each test a mark of its own, under which nothing may be left."""
    mark = f"test-{request.node.name}-{time.monotonic_ns()}"
    yield mark
    left = [(process.pid, process.cmdline()) for process in _marked(mark)]
    assert left == [], "the test has left processes"
