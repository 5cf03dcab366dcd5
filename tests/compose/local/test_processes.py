"""The embedded stack: each topology comes up for real, can be asked, and leaves nothing behind."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from access_logs import line, written

from compose import counts
from compose.host import ownership, redis_binary
from compose.host.cgroups import Budgets, left_behind
from compose.local import servers as servers_module
from compose.local.stack import ProcessDeployment, ProcessStack
from compose.stack import StackError
from scenarios.model import Variant
from traffic.logs.handing import answers_of, handed_on

pytestmark = pytest.mark.slow
REDIS = redis_binary.find().path.name  # redis-server, or valkey-server


def variant(topology: str, **settings: Any) -> Variant:
    quick_upstream = {"latency_ms": 1, "body": 100, "body_spread": 0}
    return Variant(id=topology, levels={}, topology=topology, **{"upstream": quick_upstream} | settings)


def folders() -> set[Path]:
    return set(ownership.own().glob("deployment-*"))


def servers(marked: Callable[[str], list[psutil.Process]], run_id: str, name: str) -> list[psutil.Process]:
    return [process for process in marked(run_id) if name in " ".join(process.cmdline())]


@pytest.fixture
def stack(run_id: str) -> ProcessStack:
    return ProcessStack(run_id)


@pytest.mark.parametrize(
    ("asked_for", "means", "redis_servers"),
    [
        (variant("sidecar"), "loopback", 2),
        (variant("sidecar", cache={"sidecar_transport": "unix"}), "unix", 2),
        (variant("separate"), "relay", 1),
        (variant("separate", link={"rtt_ms": 0}), "loopback", 1),
        (variant("none"), None, 0),
    ],
    ids=["sidecar", "sidecar over a Unix socket", "separate", "separate without a delay", "none"],
)
def test_each_topology_comes_up_counts_and_goes(
    stack: ProcessStack,
    tmp_path: Path,
    marked: Callable[[str], list[psutil.Process]],
    asked_for: Variant,
    means: str | None,
    redis_servers: int,
) -> None:
    before = folders()
    with stack.deploy(asked_for, seed=1, folder=tmp_path) as deployment:
        assert len(deployment.targets) == 2
        assert (deployment.link.means if deployment.link else None) == means
        assert len(servers(marked, stack.run_id, REDIS)) == redis_servers
        for _ in range(2):
            assert counts.get(deployment.targets[0], "/content/a")[0] == 200
        app, upstream = deployment.app_counts(), deployment.upstream_counts()
        assert app.outcomes == ({"hit": 1, "miss": 1} if redis_servers else {"bypass": 2})
        assert app.upstream_calls == upstream.calls == (1 if redis_servers else 2)
        assert upstream.by_status == {"200": upstream.calls}
        used = {usage.name: usage for usage in deployment.usage()}
        assert {"app-1", "app-2", "upstream"} <= set(used)
        assert all(usage.cpu_s > 0 and usage.memory_bytes > 1_000_000 for usage in used.values())
    assert marked(stack.run_id) == []
    assert folders() == before
    assert {path.name for path in tmp_path.iterdir()} >= {"app-1.log", "app-2.log", "upstream.log"}
    deployment.down()


def test_replicas_share_a_separate_cache_and_sidecars_do_not(stack: ProcessStack, tmp_path: Path) -> None:
    for topology, calls in (("sidecar", 2), ("separate", 1)):
        with stack.deploy(variant(topology), seed=1, folder=tmp_path) as deployment:
            for url in deployment.targets:
                counts.get(url, "/content/shared")
            assert deployment.upstream_counts().calls == calls, topology


def test_redis_wants_its_password_and_memory_is_shared_out(
    stack: ProcessStack, tmp_path: Path, marked: Callable[[str], list[psutil.Process]]
) -> None:
    asked_for = variant("sidecar", cache={"maxmemory": 8_000_000})
    with stack.deploy(asked_for, seed=1, folder=tmp_path) as deployment:
        for number, server in enumerate(servers(marked, stack.run_id, REDIS), start=1):
            [port] = {
                seen.laddr.port for seen in server.net_connections() if seen.status == psutil.CONN_LISTEN
            }
            assert {seen.laddr.ip for seen in server.net_connections() if seen.laddr} == {"127.0.0.1"}
            with pytest.raises(redis.AuthenticationError), redis.Redis(port=port) as stranger:
                stranger.ping()
            password = deployment.servers.password.read_text()
            with redis.Redis(port=port, password=password) as known:
                assert known.config_get("maxmemory") == {"maxmemory": "4000000"}, number
                assert known.config_get("save") == {"save": ""}


def test_secrets_are_in_no_command_line_environment_or_log(
    stack: ProcessStack, tmp_path: Path, marked: Callable[[str], list[psutil.Process]]
) -> None:
    with stack.deploy(variant("separate"), seed=1, folder=tmp_path) as deployment:
        secret = deployment.servers.password.read_text()
        assert len(secret) > 20
        assert deployment.servers.password.stat().st_mode & 0o077 == 0
        for process in marked(stack.run_id):
            assert secret not in " ".join(process.cmdline())
            assert secret not in str(process.environ())
        counts.get(deployment.targets[0], "/content/a")
    assert not [path for path in tmp_path.iterdir() if secret in path.read_text()]


def test_nothing_is_left_when_the_trial_fails(
    stack: ProcessStack, tmp_path: Path, marked: Callable[[str], list[psutil.Process]]
) -> None:
    before = folders()

    def trial() -> None:
        with stack.deploy(variant("separate"), seed=1, folder=tmp_path) as deployment:
            assert deployment.targets
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trial()
    assert marked(stack.run_id) == []
    assert folders() == before


def test_a_start_that_fails_says_why_and_leaves_nothing(
    stack: ProcessStack, tmp_path: Path, marked: Callable[[str], list[psutil.Process]]
) -> None:
    before = folders()
    log = handed_on(written(tmp_path, line()), tmp_path)
    answers_of(log).write_bytes(b"damaged")
    asked_for = variant("sidecar", workload={"log": log, "arrivals": "log"})
    with pytest.raises(
        StackError,
        match=r"(?s)upstream ended with exit code \d+; the end of its "
        r"log:\n.*no table",
    ):
        stack.deploy(asked_for, seed=1, folder=tmp_path)
    assert marked(stack.run_id) == []
    assert folders() == before


def test_an_interrupted_start_leaves_nothing(
    stack: ProcessStack,
    tmp_path: Path,
    marked: Callable[[str], list[psutil.Process]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object) -> None:
        assert marked(stack.run_id), "it is interrupted while processes run"
        raise KeyboardInterrupt

    before = folders()
    monkeypatch.setattr(ProcessDeployment, "_pinged", interrupt)
    with pytest.raises(KeyboardInterrupt):
        stack.deploy(variant("sidecar"), seed=1, folder=tmp_path)
    assert marked(stack.run_id) == []
    assert folders() == before


def test_a_port_that_is_taken_is_not_insisted_on(
    stack: ProcessStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = servers_module.free_port
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1]])
        monkeypatch.setattr(servers_module, "free_port", lambda: next(ports, None) or found())
        with stack.deploy(variant("separate", link={"rtt_ms": 0}), seed=1, folder=tmp_path) as deployment:
            assert deployment.link
            assert [usage.name for usage in deployment.usage()].count("redis") == 1


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_the_load_has_a_core_of_its_own(
    stack: ProcessStack, tmp_path: Path, marked: Callable[[str], list[psutil.Process]]
) -> None:
    assert set(stack.load_cpus).isdisjoint(stack.cpus)
    with stack.deploy(variant("separate"), seed=1, folder=tmp_path):
        for process in marked(stack.run_id):
            for thread in process.threads():
                assert os.sched_getaffinity(thread.id) == set(stack.cpus), process.cmdline()


def test_the_upstream_can_be_changed_while_it_is_up(stack: ProcessStack, tmp_path: Path) -> None:
    with stack.deploy(variant("none"), seed=1, folder=tmp_path) as deployment:
        deployment.set_upstream(error_ratio=1.0)
        assert counts.get(deployment.targets[0], "/content/a")[0] == 502
        assert deployment.upstream_counts().by_status == {"502": 1}


@pytest.mark.skipif(not Budgets("", "cgroupfs").allowed, reason="cgroups cannot be written here")
def test_the_processes_of_a_task_share_its_budget(
    stack: ProcessStack, tmp_path: Path, marked: Callable[[str], list[psutil.Process]]
) -> None:
    asked_for = variant("sidecar", replicas=1, resources={"cpus": 0.5, "memory": 512_000_000})
    with stack.deploy(asked_for, seed=1, folder=tmp_path) as deployment:
        told = {
            name: Path(f"/proc/{server.pid}/cgroup").read_text()
            for name in (REDIS, "app.main", "loadtests.upstream")
            for server in servers(marked, stack.run_id, name)
        }
        assert told[REDIS] == told["app.main"] != told["loadtests.upstream"]
        assert stack.run_id in told["app.main"]
        assert deployment.notes == ()
        [busy] = servers(marked, stack.run_id, "app.main")
        before, began = busy.cpu_times().user + busy.cpu_times().system, time.monotonic()
        while time.monotonic() - began < 2:
            counts.get(deployment.targets[0], "/metrics")
        spent = busy.cpu_times().user + busy.cpu_times().system - before
        assert spent < 0.5 * (time.monotonic() - began) + 0.1
    assert stack.run_id not in {path.name for path in left_behind()}


def test_a_redis_tells_what_it_evicted_for_want_of_memory(stack: ProcessStack, tmp_path: Path) -> None:
    """Five megabytes do not fit into two, and into sixty-four they do."""
    evicted = []
    for maxmemory in (2_000_000, 64_000_000):
        asked_for = variant(
            "separate", replicas=1, cache={"maxmemory": maxmemory}, link={"rtt_ms": 0},
            upstream={"latency_ms": 0, "body": 50_000, "body_spread": 0},
        )  # fmt: skip
        with stack.deploy(asked_for, seed=1, folder=tmp_path) as deployment:
            for number in range(100):
                assert counts.get(deployment.targets[0], f"/content/{number}")[0] == 200
            used = {usage.name: usage.evicted_keys for usage in deployment.usage()}
            assert used["app-1"] is None
            evicted.append(used["redis"])
    assert evicted[0] > 10
    assert evicted[1] == 0


def test_a_redis_that_is_gone_tells_nothing(stack: ProcessStack, tmp_path: Path) -> None:
    with stack.deploy(variant("sidecar"), seed=1, folder=tmp_path) as deployment:
        deployment.faults.kill_redis()
        used = {usage.name: usage.evicted_keys for usage in deployment.usage()}
        assert (used["redis-1"], used["redis-2"]) == (None, 0)
