"""Faults and lifecycle on the embedded stack, with real servers."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compose import counts
from compose.local.faults import ProcessFaults
from compose.local.stack import ProcessDeployment, ProcessStack
from compose.stack import StackError
from scenarios.model import Variant

pytestmark = pytest.mark.slow

Deploy = Callable[..., ProcessDeployment]


@pytest.fixture
def deploy(run_id: str, tmp_path: Path) -> Iterator[Deploy]:
    """Deploy a variant until the test is over."""
    up: list[ProcessDeployment] = []

    def deploy(topology: str, **settings: Any) -> ProcessDeployment:
        upstream = {"latency_ms": 1, "body": 100, "body_spread": 0}
        settings = {"upstream": upstream, "link": {"rtt_ms": 0.3}} | settings
        variant = Variant(id=topology, levels={}, topology=topology, **settings)
        up.append(ProcessStack(run_id).deploy(variant, seed=1, folder=tmp_path))
        return up[-1]

    yield deploy
    for deployment in up:
        deployment.down()


def outcomes(deployment: ProcessDeployment, *paths: str, replica: int = 1) -> dict[str, int]:
    """Ask a replica, and return what it says it did in answer to that."""
    before = Counter(deployment.app_counts().outcomes)
    for path in paths:
        assert counts.get(deployment.targets[replica - 1], f"/content/{path}")[0] == 200
    return dict(Counter(deployment.app_counts().outcomes) - before)


@pytest.mark.parametrize("topology", ["sidecar", "separate"])
@pytest.mark.parametrize("how", ["kill_redis", "stop_redis"])
def test_a_redis_goes_and_comes_back_empty(deploy: Deploy, topology: str, how: str) -> None:
    deployment = deploy(topology, replicas=1)
    assert outcomes(deployment, "a", "a") == {"miss": 1, "hit": 1}
    getattr(deployment.faults, how)()
    assert outcomes(deployment, "a") == {"bypass": 1}
    deployment.faults.start_redis()
    deadline = time.monotonic() + 20
    while outcomes(deployment, "a") != {"hit": 1}:  # the app finds it again when it looks again
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_paused_redis_keeps_what_it_holds(deploy: Deploy) -> None:
    deployment = deploy("sidecar", replicas=1)
    assert outcomes(deployment, "a") == {"miss": 1}
    deployment.faults.pause_redis()
    assert outcomes(deployment, "a") == {"bypass": 1}
    deployment.faults.resume_redis()
    before = deployment.upstream_counts().calls
    deadline = time.monotonic() + 20
    while "hit" not in outcomes(deployment, "a"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert deployment.app_counts().outcomes["miss"] == 1, "it was a hit at once when Redis was asked again"
    assert deployment.upstream_counts().calls >= before


def test_a_killed_replica_takes_its_sidecar_along_and_returns_cold(deploy: Deploy) -> None:
    deployment = deploy("sidecar")
    first, second = deployment.targets
    assert outcomes(deployment, "a", "a") == {"miss": 1, "hit": 1}
    deployment.faults.kill_replica(1)
    with pytest.raises(ConnectionRefusedError):
        counts.get(first, "/content/a")
    with pytest.raises(StackError, match="the link cannot be measured"):
        deployment.measure_link()
    deployment.faults.replace_replica(1)
    assert deployment.targets == (first, second)
    assert outcomes(deployment, "a", "a") == {"miss": 1, "hit": 1}
    assert deployment.app_counts().outcomes == {"miss": 2, "hit": 2}, "what the dead one counted still counts"
    assert deployment.upstream_counts().calls == 2


def test_a_replica_of_a_separate_cache_returns_warm(deploy: Deploy) -> None:
    deployment = deploy("separate")
    assert outcomes(deployment, "a") == {"miss": 1}
    deployment.faults.replace_replica(1)
    assert outcomes(deployment, "a") == {"hit": 1}


def test_replicas_are_added_and_removed(deploy: Deploy) -> None:
    deployment = deploy("sidecar", replicas=1)
    added = deployment.faults.add_replica()
    assert deployment.targets[1:] == (added,)
    assert outcomes(deployment, "a", "a", replica=2) == {"miss": 1, "hit": 1}
    [gone] = deployment.targets[:1]
    deployment.faults.remove_replica(1)
    assert deployment.targets == (added,)
    with pytest.raises(ConnectionRefusedError):
        counts.get(gone, "/content/a")
    assert deployment.app_counts().outcomes == {"miss": 1, "hit": 1}
    assert {"app-1", "redis-1", "app-2", "redis-2"} <= {usage.name for usage in deployment.usage()}


@pytest.mark.parametrize(("topology", "after"), [("sidecar", "miss"), ("separate", "hit")])
def test_a_rolling_replacement_fails_no_request_and_cools_sidecars_only(
    deploy: Deploy, topology: str, after: str
) -> None:
    deployment = deploy(topology)
    targets = deployment.targets
    assert outcomes(deployment, "a")["miss"] == 1
    statuses: Counter[object] = Counter()
    rolled = threading.Event()

    def ask() -> None:
        while not rolled.is_set():
            for url in targets:
                try:
                    statuses[counts.get(url, "/content/b")[0]] += 1
                except OSError as error:
                    statuses[repr(error)] += 1
            time.sleep(0.01)

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for asker in asking:
        asker.start()
    try:
        deployment.faults.roll()
    finally:
        rolled.set()
        for asker in asking:
            asker.join()
    assert deployment.targets == targets
    # A connection on which nothing had been asked yet when its process ended is lost; no more than one each.
    assert statuses[200] >= statuses.total() - len(targets), statuses
    assert outcomes(deployment, "a") == {after: 1}


def test_a_cut_link_is_bypassed_and_heals(deploy: Deploy) -> None:
    deployment = deploy("separate", replicas=1)
    assert outcomes(deployment, "a", "a") == {"miss": 1, "hit": 1}
    deployment.faults.cut_link()
    assert outcomes(deployment, "a") == {"bypass": 1}
    deployment.faults.heal_link()
    deadline = time.monotonic() + 20
    while "hit" not in outcomes(deployment, "a"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_is_not_there_cannot_be_broken(deploy: Deploy) -> None:
    faults = deploy("none", replicas=1).faults
    assert isinstance(faults, ProcessFaults)
    with pytest.raises(StackError, match="there is no Redis 1 in this topology"):
        faults.kill_redis()
    with pytest.raises(StackError, match="there is no replica 7"):
        faults.kill_replica(7)
    with pytest.raises(StackError, match="there is no link to cut"):
        faults.cut_link()


def test_a_redis_that_runs_is_not_started_twice(deploy: Deploy) -> None:
    with pytest.raises(StackError, match="redis-1 runs already"):
        deploy("sidecar", replicas=1).faults.start_redis()
