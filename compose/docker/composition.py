"""The Compose file of one deployment: the parts of compose/parts.yaml, joined as the variant asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from compose.app_environment import app_environment
from compose.credentials import ACL, PASSWORD, USER
from compose.stack import UnsuitableError
from compose.stub_log import stub_log
from scenarios.contract import OUR_APP
from scenarios.model import Resources, Variant
from traffic.logs.handing import answers_of

PARTS: Final = Path(__file__).parents[1] / "parts.yaml"
RUN_LABEL: Final = "sidecar-bench.run"
OWNER_LABEL: Final = "sidecar-bench.owner"
BOOT_LABEL: Final = "sidecar-bench.boot"  # of the machine that the owner runs on
CONTROL: Final = "link.sock"  # by which the relay takes commands, in the folder that is shared with it
# Nothing leads out, and without an address of its own on the bridge the host is no member either.
_CLOSED: Final = {"internal": True, "driver_opts": {"com.docker.network.bridge.inhibit_ipv4": "true"}}
_MOST_FILLED: Final = 0.8  # of a task's memory, by Redis's data: buffers and the app need the rest
_REDIS_PORT: Final = 6379
_UPSTREAM: Final = f"http://upstream:{OUR_APP.port}"  # the stub listens where the app does
_ANSWERS: Final = Path("/srv/answers")
_SOCKET: Final = "/run/redis/redis.sock"

Service = dict[str, Any]


@dataclass(frozen=True)
class Placement:
    """Where a deployment's containers run, and what they are known by.

    `tasks` has the extra settings of each task's containers: its parent cgroup, or limits of their own.
    `ports` has the loopback port of each service that is published, `numbers` those of the replicas. In the
    folder `control` the relay opens the socket of its control.
    """

    labels: Mapping[str, str]
    secrets: Path
    cpus: tuple[int, ...]
    tasks: Mapping[str, Mapping[str, Any]]
    ports: Mapping[str, int]
    numbers: tuple[int, ...]
    control: Path


def services_of(variant: Variant, number: int) -> list[str]:
    """Name the services that make up a replica's task."""
    return variant.layout.containers(number)


def tasks_of(variant: Variant, numbers: Sequence[int]) -> list[str]:
    """Name the tasks of a deployment: one a replica, and one for a separate Redis."""
    return variant.layout.tasks(numbers)


def task_budget(variant: Variant) -> tuple[Resources, str | None]:
    """Return what each task may use, and a note where that is not what the scenario gives a replica.

    All topologies get the same in total. A separate Redis is one task more, so each gets less.

    Raises:
        UnsuitableError: Redis may keep more than its task's memory holds.
    """
    each, replicas = variant.resources, variant.replicas
    note = None
    if variant.layout.apart and each != Resources():
        share = replicas / (replicas + 1)
        each = Resources(
            cpus=each.cpus and each.cpus * share, memory=each.memory and int(each.memory * share)
        )
        note = f"{replicas} tasks' resources are shared by {replicas + 1} tasks, because the separate "
        "Redis is a task, too"
    held = variant.cache.maxmemory // max(variant.layout.redis_count(replicas), 1)
    if each.memory is not None and variant.layout.has_redis and held > _MOST_FILLED * each.memory:
        raise UnsuitableError(
            f"resources.memory: a task has {each.memory:,} bytes, and its Redis may keep {held:,} of them; "
            "raise resources.memory or lower cache.maxmemory"
        )
    return each, note


def compose_file(variant: Variant, seed: int, placement: Placement) -> dict[str, Any]:
    """Return the Compose file of a variant, as data.

    Networks are the security groups: `outside` joins app, upstream and load; `cache` joins the app and
    whatever answers as its Redis; `behind` joins the relay, where there is one, and Redis.
    """
    services: dict[str, Service] = {"upstream": _upstream(variant, seed)}
    for number in placement.numbers:
        limits = dict(placement.tasks.get(f"task-{number}", {}))
        services[f"app-{number}"] = _app(variant, number) | limits
        if variant.layout.in_task:
            services[f"redis-{number}"] = _sidecar(variant, number) | limits
    networks: dict[str, Any] = {"outside": {}}
    if variant.layout.apart:
        services |= _separate(variant, placement.control)
        services["redis"] |= placement.tasks.get("redis", {})
        networks |= dict.fromkeys(("cache", "behind"), _CLOSED)
    for name, service in services.items():
        service["labels"] = dict(placement.labels)
        if name in placement.ports:
            service["ports"] = [f"127.0.0.1:{placement.ports[name]}:{OUR_APP.port}"]
        service["cpuset"] = ",".join(str(cpu) for cpu in placement.cpus) or None
    labelled = {"labels": dict(placement.labels)}
    whole: dict[str, Any] = {
        "services": {name: _without_none(service) for name, service in services.items()},
        "networks": {name: settings | labelled for name, settings in networks.items()},
    }
    if variant.layout.has_redis:
        whole["secrets"] = {name: {"file": str(placement.secrets / name)} for name in (PASSWORD, ACL)}
    if _over_a_socket(variant):
        tmpfs = {"driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": "mode=1777"}}
        whole["volumes"] = {f"run-{number}": tmpfs | labelled for number in placement.numbers}
    return whole


def _part(name: str) -> Service:
    return {"extends": {"file": str(PARTS), "service": name}}


def _upstream(variant: Variant, seed: int) -> Service:
    settings, log = variant.upstream, variant.workload.log
    environment = {
        "UPSTREAM_SEED": seed,
        "UPSTREAM_LATENCY_MS": settings.latency_ms,
        "UPSTREAM_LATENCY_SPREAD": settings.latency_spread,
        "UPSTREAM_BODY": settings.body,
        "UPSTREAM_BODY_SPREAD": settings.body_spread,
        "UPSTREAM_ERROR_RATIO": settings.error_ratio,
        "UPSTREAM_MISSING_RATIO": settings.missing_ratio,
        "UPSTREAM_RATE_LIMIT": settings.rate_limit,
        **({} if log is None else stub_log(variant.workload, _ANSWERS)),
    }
    return _part("upstream") | {
        "environment": {name: str(value) for name, value in environment.items() if value is not None},
        "networks": ["outside"],
        "volumes": [f"{answers_of(log).absolute()}:{_ANSWERS}:ro"] if log else None,
    }


def _app(variant: Variant, number: int) -> Service:
    environment = app_environment(variant, _UPSTREAM)
    service = _part("app") | {"networks": ["outside"]}
    if variant.layout.has_redis:
        service["secrets"] = [PASSWORD]
        environment |= {"REDIS_USER": USER, "REDIS_PWD_FILE": f"/run/secrets/{PASSWORD}"}
    if variant.layout.apart:
        service["networks"] = ["outside", "cache"]
        environment["REDIS_HOST"] = "link" if variant.relayed else "redis"
    elif _over_a_socket(variant):
        environment["REDIS_SOCKET"] = _SOCKET
        service["volumes"] = [_socket_volume(number)]
    elif variant.layout.in_task:
        environment["REDIS_HOST"] = "127.0.0.1"
    return service | {"environment": environment}


def _over_a_socket(variant: Variant) -> bool:
    return variant.layout.in_task and variant.cache.sidecar_transport == "unix"


def _sidecar(variant: Variant, number: int) -> Service:
    share = variant.cache.maxmemory // variant.replicas
    listen = ["--bind 127.0.0.1", f"--port {_REDIS_PORT}"]
    service = _part("redis") | {"network_mode": f"service:app-{number}"}
    if _over_a_socket(variant):
        listen = ["--port 0", f"--unixsocket {_SOCKET}", "--unixsocketperm 777"]
        service["volumes"] = [_socket_volume(number)]
    return service | {"command": _redis_command(listen, share), "secrets": [ACL]}


def _separate(variant: Variant, control: Path) -> dict[str, Service]:
    networks = ["behind"] if variant.relayed else ["cache"]
    command = _redis_command(["--bind 0.0.0.0", f"--port {_REDIS_PORT}"], variant.cache.maxmemory)
    services = {"redis": _part("redis") | {"command": command, "networks": networks, "secrets": [ACL]}}
    if variant.relayed:
        services["link"] = _part("link") | {
            "command": [
                "--listen",
                f"0.0.0.0:{_REDIS_PORT}",
                "--to",
                f"redis:{_REDIS_PORT}",
                "--control",
                f"/control/{CONTROL}",
            ],
            "volumes": [f"{control}:/control"],
            "networks": ["cache", "behind"],
        }
    return services


def _socket_volume(number: int) -> str:
    return f"run-{number}:{Path(_SOCKET).parent}"


def _redis_command(listen: list[str], maxmemory: int) -> list[str]:
    return [
        *listen, "--protected-mode no", '--save ""', "--appendonly no", f"--maxmemory {maxmemory}",
        "--maxmemory-policy allkeys-lru", f"--aclfile /run/secrets/{ACL}", "--dir /tmp",
    ]  # fmt: skip


def _without_none(service: Service) -> Service:
    return {name: value for name, value in service.items() if value is not None}
