"""Faults and lifecycle in real containers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from engines import LACKS, needs_engine
from servers import eventually

from compose import counts
from compose.docker.stack import DockerDeployment, DockerStack
from compose.stack import StackError
from scenarios.model import Variant

pytestmark = needs_engine

Deploy = Callable[..., DockerDeployment]


@pytest.fixture(scope="module")
def stack() -> Iterator[DockerStack]:
    assert LACKS is None, LACKS
    with DockerStack("fault-tests") as opened:
        yield opened


@pytest.fixture
def deploy(stack: DockerStack, tmp_path: Path) -> Iterator[Deploy]:
    """Deploy a variant until the test is over."""
    with ExitStack() as up:

        def deploy(topology: str, **settings: Any) -> DockerDeployment:
            upstream = {"latency_ms": 1, "body": 100, "body_spread": 0}
            settings = {"upstream": upstream, "link": {"rtt_ms": 0.3}} | settings
            variant = Variant(id=topology, levels={}, topology=topology, **settings)
            deployment = stack.deploy(variant, seed=1, folder=tmp_path)
            up.callback(deployment.down)
            return deployment

        yield deploy


def outcomes(deployment: DockerDeployment, *paths: str, replica: int = 1) -> dict[str, int]:
    """Ask a replica, and return what it says it did in answer to that."""
    before = Counter(deployment.app_counts().outcomes)
    for path in paths:
        assert counts.get(deployment.targets[replica - 1], f"/content/{path}")[0] == 200
    return dict(Counter(deployment.app_counts().outcomes) - before)


def hits_again(deployment: DockerDeployment) -> bool:
    """Tell whether the app comes to find its Redis again."""
    return eventually(lambda: outcomes(deployment, "a") == {"hit": 1}, 20)


def test_what_is_lost_is_told_and_what_was_ended_on_purpose_is_not(deploy: Deploy) -> None:
    deployment = deploy("sidecar", replicas=2)
    assert deployment.lost() == ()
    deployment.faults.kill_redis(1)
    deployment.faults.pause_redis(2)
    assert deployment.lost() == ()
    deployment.faults.resume_redis(2)
    deployment.project.containers["redis-2"].kill()
    deployment.project.containers["app-1"].pause()
    deployment.project.containers["upstream"].remove(force=True)
    found = {part.name: part.how for part in deployment.lost()}
    assert found == {"redis-2": "was killed (SIGKILL)", "app-1": "was paused", "upstream": "was removed"}
    assert any("eady to accept connections" in part.last_words for part in deployment.lost())


@pytest.mark.parametrize("topology", ["sidecar", "separate"])
def test_a_redis_goes_and_comes_back(deploy: Deploy, topology: str) -> None:
    deployment = deploy(topology, replicas=1)
    assert outcomes(deployment, "a", "a") == {"miss": 1, "hit": 1}
    for fault in ("kill_redis", "stop_redis"):
        getattr(deployment.faults, fault)()
        assert outcomes(deployment, "a") == {"bypass": 1}, fault
        deployment.faults.start_redis()
        with pytest.raises(StackError, match="runs already"):
            deployment.faults.start_redis()
        calls = deployment.upstream_counts().calls
        assert hits_again(deployment)
        assert deployment.upstream_counts().calls > calls, "it came back empty"
    deployment.faults.pause_redis()
    assert outcomes(deployment, "a") == {"bypass": 1}
    misses = deployment.app_counts().outcomes["miss"]
    deployment.faults.resume_redis()
    assert hits_again(deployment)
    assert deployment.app_counts().outcomes["miss"] == misses, "it still held what it held"


@pytest.mark.parametrize(("topology", "after"), [("sidecar", "miss"), ("separate", "hit")])
def test_replicas_are_replaced_added_and_removed(deploy: Deploy, topology: str, after: str) -> None:
    deployment = deploy(topology)
    targets = deployment.targets
    assert outcomes(deployment, "a")["miss"] == 1
    deployment.faults.kill_replica(1)
    with pytest.raises(ConnectionRefusedError):
        counts.get(targets[0], "/content/a")
    deployment.faults.replace_replica(1)
    assert deployment.targets == targets
    assert outcomes(deployment, "a") == {after: 1}
    deployment.faults.roll()
    assert deployment.targets == targets
    assert outcomes(deployment, "a") == {after: 1}
    assert deployment.faults.add_replica() == deployment.targets[2]
    assert outcomes(deployment, "a", replica=3) == {after: 1}
    deployment.faults.remove_replica(2)
    assert deployment.targets == (targets[0], deployment.targets[1])
    with pytest.raises(StackError, match="there is no replica 2"):
        deployment.faults.kill_replica(2)
    assert sum(deployment.app_counts().outcomes.values()) == 4, "what those before have counted still counts"
    assert deployment.app_counts().upstream_calls == deployment.upstream_counts().calls
    used = {one.name: one.cpu_s for one in deployment.usage()}
    assert used["app-1"] > used["app-3"] > 0, "two that went before, and itself"


def test_a_cut_link_is_bypassed_and_heals(deploy: Deploy) -> None:
    deployment = deploy("separate", replicas=1)
    assert outcomes(deployment, "a", "a") == {"miss": 1, "hit": 1}
    deployment.faults.cut_link()
    assert outcomes(deployment, "a") == {"bypass": 1}
    deployment.faults.heal_link()
    assert hits_again(deployment)


def test_the_upstream_slows_down_and_fails(deploy: Deploy) -> None:
    deployment = deploy("none", replicas=1)
    deployment.set_upstream(error_ratio=1.0)
    assert counts.get(deployment.targets[0], "/content/a")[0] >= 500
    deployment.set_upstream(error_ratio=0.0)
    assert counts.get(deployment.targets[0], "/content/a")[0] == 200
    with pytest.raises(StackError, match="there is no link to cut"):
        deployment.faults.cut_link()
    with pytest.raises(StackError, match="there is no Redis 1 in this topology"):
        deployment.faults.kill_redis()
