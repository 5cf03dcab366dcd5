"""The Docker stack on a real engine: the topologies, and what keeps them apart."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container
from engines import LACKS, needs_engine
from servers import eventually, get

from compose import clean
from compose.docker.composition import OWNER_LABEL, RUN_LABEL
from compose.docker.stack import DockerDeployment, DockerStack
from compose.host import cgroups
from compose.stack import Held
from scenarios.model import Variant
from scenarios.reading import document

pytestmark = needs_engine
COMMAND = Path(sys.executable).with_name("sidecar-bench")


def variant(topology: str, **fields: object) -> Variant:
    dotted = {name.replace("__", "."): value for name, value in fields.items()}
    return document.load("quick", {"topology": topology, **dotted}).variants[0]


@pytest.fixture(scope="module")
def stack() -> Iterator[DockerStack]:
    assert LACKS is None, LACKS
    with DockerStack("engine-tests") as opened:
        yield opened


@pytest.fixture(scope="module")
def separate(stack: DockerStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerDeployment]:
    with stack.deploy(variant("separate"), seed=1, folder=tmp_path_factory.mktemp("separate")) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def sidecar(stack: DockerStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerDeployment]:
    folder = tmp_path_factory.mktemp("sidecar")
    limited = variant("sidecar", resources__cpus=0.5, resources__memory="300MB")
    with stack.deploy(limited, seed=1, folder=folder) as deployment:
        yield deployment


def container(deployment: DockerDeployment, name: str) -> Container:
    return deployment.project.containers[name]


def inside(deployment: DockerDeployment, name: str, *command: str) -> tuple[int, str]:
    code, output = container(deployment, name).exec_run(list(command))
    return int(code), bytes(output).decode(errors="replace")


# A connection alone proves nothing: on some machines a proxy takes whatever has no way to go.
ASK = """
import socket
def is_redis(host):
    try:
        with socket.create_connection((host, 6379), timeout=1) as asked:
            asked.sendall(b"PING\\r\\n")
            return asked.recv(64).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False
"""


def reaches(deployment: DockerDeployment, name: str, address: str) -> bool:
    """Tell whether a Redis answers a container at an address."""
    code, said = inside(deployment, name, "python", "-c", f"{ASK}\nprint(is_redis({address!r}))")
    assert code == 0, said
    return said.strip() == "True"


def addresses(deployment: DockerDeployment, name: str) -> list[str]:
    one = container(deployment, name)
    one.reload()
    return [network["IPAddress"] for network in one.attrs["NetworkSettings"]["Networks"].values()]


@pytest.mark.parametrize("topology", ["separate", "sidecar"])
def test_it_serves_and_counts(topology: str, request: pytest.FixtureRequest) -> None:
    deployment: DockerDeployment = request.getfixturevalue(topology)
    before = deployment.app_counts().outcomes
    for _ in range(3):
        assert get(deployment.targets[0], "/content/counted").status == 200
    after = deployment.app_counts()
    assert after.outcomes.get("hit", 0) - before.get("hit", 0) == 2
    assert after.upstream_calls == deployment.upstream_counts().calls


@pytest.mark.parametrize("topology", ["separate", "sidecar"])
def test_its_caches_are_filled_each_with_its_own_and_outside_of_every_count(
    topology: str, request: pytest.FixtureRequest
) -> None:
    deployment: DockerDeployment = request.getfixturevalue(topology)
    calls, outcomes = deployment.upstream_counts().calls, deployment.app_counts().outcomes
    caches = range(len(deployment.targets) if topology == "sidecar" else 1)
    with deployment.fill([Held(cache, f"/content/filled/{cache}", 60) for cache in caches]) as filling:
        filling.fetched()
        filled = filling.store(time.time() + 0.1)
    assert (filled.wanted, filled.filled, filled.failed) == (len(caches), len(caches), {})
    assert deployment.upstream_counts().calls == calls
    assert deployment.app_counts().outcomes == outcomes
    for cache in caches:
        assert (
            get(deployment.targets[cache], f"/content/filled/{cache}")
            .headers["cache-status"]
            .startswith("redis; hit")
        )


def test_load_goes_to_loopback_only(separate: DockerDeployment, sidecar: DockerDeployment) -> None:
    for deployment in (separate, sidecar):
        for one in deployment.project.containers.values():
            one.reload()
            published = [port for ports in one.ports.values() for port in ports or []]
            assert all(port["HostIp"] == "127.0.0.1" for port in published)
            assert "6379/tcp" not in {name for name, ports in one.ports.items() if ports}


def test_the_app_reaches_the_separate_redis_and_nobody_else_does(separate: DockerDeployment) -> None:
    code, said = inside(separate, "app-1", "python", "-m", "app.ping", "--count", "5")
    assert code == 0, said
    for address in (*addresses(separate, "redis"), *addresses(separate, "link")):
        assert not reaches(separate, "upstream", address)
    assert not reaches(separate, "app-1", addresses(separate, "redis")[0]), "the way past the link is closed"


def test_the_load_side_reaches_no_redis(
    stack: DockerStack, separate: DockerDeployment, sidecar: DockerDeployment
) -> None:
    """The load side as a container of its own, on the network by which requests come in."""
    for deployment in (separate, sidecar):
        (outside,) = container(deployment, "upstream").attrs["NetworkSettings"]["Networks"]
        redis_at = [
            *addresses(deployment, "app-1"),
            *(address for name in ("redis", "link") if name in deployment.project.containers
              for address in addresses(deployment, name)),
        ]  # fmt: skip
        script = (
            f"{ASK}\nprint([host for host in {redis_at!r} if is_redis(host)])\n"
            "socket.create_connection(('upstream', 8000), timeout=2); print('upstream reached')"
        )
        said = stack.client.containers.run(
            "sidecar-bench/app", ["-c", script], entrypoint="python", network=outside, remove=True
        )
        assert said.decode().split("\n")[:-1] == ["[]", "upstream reached"]


def test_the_host_itself_reaches_no_redis(separate: DockerDeployment, sidecar: DockerDeployment) -> None:
    asked: dict[str, Any] = {}
    exec(ASK, asked)
    for deployment in (separate, sidecar):
        for name in deployment.project.containers:
            assert not any(asked["is_redis"](address) for address in addresses(deployment, name))


def test_the_question_is_answered_where_there_is_a_way(separate: DockerDeployment) -> None:
    assert reaches(separate, "app-1", "link")
    assert reaches(separate, "link", "redis")


def test_a_sidecar_listens_to_its_task_alone(sidecar: DockerDeployment) -> None:
    assert inside(sidecar, "app-1", "python", "-m", "app.ping", "--count", "5")[0] == 0
    for address in addresses(sidecar, "app-1"):
        assert not reaches(sidecar, "upstream", address)
        assert not reaches(sidecar, "app-2", address)
    assert container(sidecar, "redis-1").attrs["HostConfig"]["NetworkMode"].startswith("container:")


def ask_redis(deployment: DockerDeployment, *commands: str) -> list[str]:
    """Say commands to Redis from the app's place, and return the first line of each answer."""
    host = container(deployment, "app-1").attrs["Config"]["Env"]
    where = next(one.partition("=")[2] for one in host if one.startswith("REDIS_HOST="))
    script = (
        f"import socket; s = socket.create_connection(({where!r}, 6379), 2); f = s.makefile('rb')\n"
        "p = open('/run/secrets/redis-password').read()\n"
        f"for command in {commands!r}:\n"
        "    s.sendall((command.replace('PASSWORD', p) + '\\r\\n').encode())\n"
        "    print(f.readline().decode().strip())"
    )
    code, said = inside(deployment, "app-1", "python", "-c", script)
    assert code == 0, said
    return said.split("\n")[:-1]


def test_without_the_password_redis_refuses(separate: DockerDeployment) -> None:
    assert ask_redis(separate, "PING", "GET content:a", "AUTH app wrong") == [
        "-NOAUTH Authentication required.",
        "-NOAUTH Authentication required.",
        "-WRONGPASS invalid username-password pair or user is disabled.",
    ]


def test_the_apps_user_may_do_what_the_app_does_and_no_more(separate: DockerDeployment) -> None:
    said = ask_redis(
        separate,
        "AUTH app PASSWORD",
        "PING",
        "SET content:x 1",
        "SET other 1",
        "FLUSHALL",
        "KEYS *",
        "CONFIG GET *",
    )
    assert said[:3] == ["+OK", "+PONG", "+OK"]
    assert all(answer.startswith("-NOPERM") for answer in said[3:])


def test_no_secret_is_in_an_image_an_inspection_a_log_or_a_stored_file(
    stack: DockerStack, separate: DockerDeployment, sidecar: DockerDeployment
) -> None:
    for deployment in (separate, sidecar):
        password = (deployment._folder / "secrets" / "redis-password").read_text()
        assert len(password) > 20
        for one in deployment.project.containers.values():
            assert password not in json.dumps(one.attrs)
            assert password not in bytes(one.logs()).decode(errors="replace")
            history = json.dumps(one.image.history())  # type: ignore[union-attr]
            assert password not in history
            assert "redis-password" not in history
        stored = "".join(path.read_text(errors="replace") for path in deployment.project._logs.iterdir())
        assert password not in stored


def test_containers_are_read_only_unprivileged_and_not_root(separate: DockerDeployment) -> None:
    for name, one in separate.project.containers.items():
        assert one.attrs["HostConfig"]["ReadonlyRootfs"], name
        assert one.attrs["HostConfig"]["CapDrop"] == ["ALL"], name
        assert one.attrs["Config"]["User"].split(":")[0] not in ("", "0", "root"), name
    assert inside(separate, "app-1", "sh", "-c", "echo x > /srv/x")[0] != 0


def test_the_image_holds_no_compiler(separate: DockerDeployment) -> None:
    for tool in ("gcc", "cc", "make", "pip"):
        assert (
            inside(separate, "app-1", "sh", "-c", f"command -v {tool} | grep -v /usr/bin/pip")[1].strip()
            == ""
        ), tool


BUSY = "import time; end = time.time() + {0}\nwhile time.time() < end: pass"


def test_the_containers_of_a_task_share_its_cpu(sidecar: DockerDeployment) -> None:
    """Two busy containers under a quota of half a CPU get half a CPU together."""
    if sidecar.notes:
        pytest.skip(sidecar.notes[0])
    app, redis = container(sidecar, "app-1"), container(sidecar, "redis-1")
    app.exec_run(["python", "-c", BUSY.format(12)], detach=True)
    redis.exec_run(["timeout", "12", "sh", "-c", "while :; do :; done"], detach=True)
    began, before = time.monotonic(), used_s(sidecar)
    # Longer than many periods of the quota: 100 ms each.
    eventually(lambda: time.monotonic() - began > 6, 10)
    share = (used_s(sidecar) - before) / (time.monotonic() - began)
    assert 0.3 < share <= 0.5 * 1.05


def used_s(deployment: DockerDeployment) -> float:
    """CPU seconds of the first task's two containers."""
    return sum(usage.cpu_s for usage in deployment.usage() if usage.name in ("app-1", "redis-1"))


def test_a_tasks_memory_is_capped_as_a_whole(sidecar: DockerDeployment) -> None:
    if sidecar.notes:
        pytest.skip(sidecar.notes[0])
    code, _ = inside(
        sidecar, "app-1", "python", "-c", "x = bytearray(400_000_000); x[::4096] = b'1' * len(x[::4096])"
    )
    assert code == 137, "the kernel kills what goes over the task's memory"


def test_resources_are_told_per_container(separate: DockerDeployment) -> None:
    usage = {one.name: one for one in separate.usage()}
    assert set(usage) == {"app-1", "app-2", "redis", "link", "upstream"}
    assert all(one.cpu_s > 0 and one.memory_bytes > 1_000_000 for one in usage.values())


@pytest.mark.parametrize("rtt_ms", [0, 0.3, 1.0])
def test_the_link_takes_the_time_that_was_asked_for(
    stack: DockerStack, tmp_path: Path, rtt_ms: float
) -> None:
    with stack.deploy(
        variant("separate", link__rtt_ms=rtt_ms, replicas=1), seed=1, folder=tmp_path
    ) as deployment:
        assert deployment.link is not None
        if rtt_ms == 0:
            assert deployment.link.means == "network"
            assert deployment.link.achieved_ms < 0.3
        else:
            assert deployment.link.means == "relay"
            assert abs(deployment.link.achieved_ms - rtt_ms) < 0.3 * rtt_ms or deployment.notes


def ours(client: docker.DockerClient, run_id: str) -> list[Any]:
    label = {"label": f"{RUN_LABEL}={run_id}"}
    return [
        *client.containers.list(all=True, filters=label),
        *client.networks.list(filters=label),
        *client.volumes.list(filters=label),
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_run_that_was_ended(
    stack: DockerStack, tmp_path: Path, number: signal.Signals
) -> None:
    command = [
        str(COMMAND),
        "run",
        "quick",
        "--stack",
        "docker",
        "--blocks",
        "1",
        "--set",
        "resources.cpus=1",
    ]
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=said, stderr=said)
        assert eventually(lambda: list(tmp_path.glob("results/*/trials/*/order.json")), 60)
        (run,) = tmp_path.glob("results/*")
        assert ours(stack.client, run.name)
        process.send_signal(number)
        assert process.wait(30) == (130 if number == signal.SIGINT else -number)
    if number == signal.SIGKILL:
        cleaned = clean.clean()
        assert any(line.startswith("container") for line in cleaned.removed)
        assert cleaned.stuck == []
    assert ours(stack.client, run.name) == []
    assert run.name not in [path.name for path in cgroups.left_behind()]


def test_clean_spares_what_has_an_owner(separate: DockerDeployment) -> None:
    clean.clean()
    separate.project._find()
    assert {one.status for one in separate.project.containers.values()} == {"running"}
    assert all(OWNER_LABEL in one.labels for one in separate.project.containers.values())
