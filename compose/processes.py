"""The embedded stack: real Redis, real uvicorn and the stub upstream as plain processes on loopback."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compose import counts, launch, redis_binary
from compose.calibration import STALE, Calibration, Ping, tolerance
from compose.children import Child, Children, free_port, joined, listening
from compose.control import LinkControl
from compose.stack import AppCounts, Deployment, LinkReport, Stack, StackError, UpstreamCounts, Usage
from scenarios.model import Variant

FOLDER_PREFIX: Final = "sidecar-bench-"
_READY_S: Final = 20.0
_PINGS: Final = (50, 300)  # as many as take _PING_MS, within these bounds
_PING_MS: Final = 150.0
_TRIES: Final = 5
_UVICORN: Final = (
    sys.executable, "-m", "uvicorn", "--loop", "uvloop", "--http", "httptools",
    "--no-access-log", "--log-level", "warning", "--timeout-keep-alive", "120",
)  # fmt: skip


@dataclass(frozen=True)
class _RedisAddress:
    """Where a replica finds its Redis; `port` 0 stands for a Unix socket."""

    socket: Path | None = None
    port: int = 0

    def environment(self) -> dict[str, str]:
        """Return the app's variables for it."""
        return joined(
            {"REDIS_SOCKET": self.socket}
            if self.socket
            else {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": self.port}
        )


class ProcessStack(Stack):
    """Deploys variants as local processes; the load generator gets a core of its own where there are two."""

    def __init__(self, run_id: str) -> None:
        cores = sorted(os.sched_getaffinity(0))
        self.run_id = run_id
        self.load_cpus = tuple(cores[-1:]) if len(cores) > 1 else ()
        self.cpus = tuple(cores[:-1]) if len(cores) > 1 else ()
        self.redis = redis_binary.find()
        self.calibration = Calibration()

    def deploy(self, variant: Variant, *, seed: int, folder: Path) -> ProcessDeployment:
        deployment = ProcessDeployment(self, variant, folder)
        try:
            deployment.up(seed)
        except BaseException:
            deployment.down()
            raise
        return deployment

    def close(self) -> None:
        """Nothing is held from trial to trial."""


class ProcessDeployment(Deployment):
    """One variant as local processes."""

    def __init__(self, stack: ProcessStack, variant: Variant, logs: Path) -> None:
        self._stack = stack
        self._variant = variant
        self._folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{launch.owner()}-"))
        self._children = Children(stack.run_id, logs)
        self._addresses: list[_RedisAddress] = []
        self._relay: LinkControl | None = None
        self._floor_ms: float | None = None
        self._upstream_url = ""
        self.targets = ()
        self.link = None

    def up(self, seed: int) -> None:
        """Start everything at once and wait until every replica is ready."""
        self._password = self._secret("redis-password", secrets.token_urlsafe(24))
        upstream = self._start_upstream(seed)
        if self._variant.topology == "sidecar":
            share = self._variant.cache.maxmemory // self._variant.replicas
            self._addresses = [self._start_sidecar(number, share) for number in self._numbers()]
        elif self._variant.topology == "separate":
            self._addresses = [self._start_separate()] * self._variant.replicas
        replicas = [self._start_replica(number) for number in self._numbers()]
        self._children.await_ready(
            upstream, lambda: counts.ready(self._upstream_url, "/_stub/counts"), _READY_S
        )
        for replica, target in zip(replicas, self.targets, strict=True):
            self._children.await_ready(replica, lambda url=target: counts.ready(url), _READY_S)  # type: ignore[misc]
        self._children.place(self._stack.cpus)  # not sooner: imports may use every core
        if self._addresses:
            self.link = self._link_report(self._calibrated(self._relay) if self._relay else self._ping())

    def app_counts(self) -> AppCounts:
        return counts.app_counts(self.targets)

    def upstream_counts(self) -> UpstreamCounts:
        return counts.upstream_counts(self._upstream_url)

    def set_upstream(self, **settings: object) -> None:
        counts.set_upstream(self._upstream_url, settings)

    def usage(self) -> list[Usage]:
        return self._children.usage()

    def down(self) -> None:
        self._children.stop()
        if self._relay:
            self._relay.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def measure_link(self) -> LinkReport:
        return self._link_report(self._ping())

    def _link_report(self, seen: Ping) -> LinkReport:
        separate = self._variant.topology == "separate"
        means = "relay" if self._relay else "unix" if self._addresses[0].socket else "loopback"
        return LinkReport(
            means=means,
            achieved_ms=seen.median_us / 1000,
            achieved_p99_ms=seen.p99_us / 1000,
            samples=seen.samples,
            configured_ms=self._variant.link.rtt_ms if separate else None,
            floor_ms=self._floor_ms,
        )

    def _numbers(self) -> range:
        return range(1, self._variant.replicas + 1)

    def _secret(self, name: str, value: str) -> Path:
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_text(value, encoding="utf-8")
        return path

    def _start_upstream(self, seed: int) -> Child:
        upstream = self._variant.upstream
        environment = {
            "UPSTREAM_SEED": seed,
            "UPSTREAM_LATENCY_MS": upstream.latency_ms,
            "UPSTREAM_LATENCY_SPREAD": upstream.latency_spread,
            "UPSTREAM_BODY": upstream.body,
            "UPSTREAM_BODY_SPREAD": upstream.body_spread,
            "UPSTREAM_ERROR_RATIO": upstream.error_ratio,
            "UPSTREAM_RATE_LIMIT": upstream.rate_limit,
            "UPSTREAM_LOG": self._variant.workload.log and self._variant.workload.log.absolute(),
        }
        child, self._upstream_url = self._serve("upstream", "loadtests.upstream:app", joined(environment))
        return child

    def _start_replica(self, number: int) -> Child:
        environment = {"UPSTREAM_URL": self._upstream_url, "CACHE_TTL": str(self._variant.cache.ttl)}
        if self._addresses:
            environment |= self._redis_environment(number)
        child, url = self._serve(f"app-{number}", "app.main:app", environment)
        self.targets = (*self.targets, url)
        return child

    def _redis_environment(self, number: int) -> dict[str, str]:
        return self._addresses[number - 1].environment() | {"REDIS_PWD_FILE": str(self._password)}

    def _serve(self, name: str, application: str, environment: dict[str, str]) -> tuple[Child, str]:
        listener, port = listening()
        with listener:
            command = [*_UVICORN, application, "--fd", str(listener.fileno())]
            child = self._children.start(name, command, hand_down=[listener], **environment)
        return child, f"http://127.0.0.1:{port}"

    def _start_sidecar(self, number: int, maxmemory: int) -> _RedisAddress:
        name = f"redis-{number}"
        if self._variant.cache.sidecar_transport == "unix":
            return self._start_redis(name, maxmemory, _RedisAddress(socket=self._folder / f"{name}.sock"))
        return self._on_a_free_port(name, maxmemory)

    def _start_separate(self) -> _RedisAddress:
        maxmemory = self._variant.cache.maxmemory
        if self._variant.link.rtt_ms == 0:
            return self._on_a_free_port("redis", maxmemory)
        behind = self._start_redis("redis", maxmemory, _RedisAddress(socket=self._folder / "redis.sock"))
        listener, port = listening()
        ours, its = socket.socketpair()
        self._relay = LinkControl(ours)
        with listener, its:
            command = [
                *(sys.executable, "-m", "compose.link", "--to", str(behind.socket)),
                *("--listen-fd", str(listener.fileno()), "--control-fd", str(its.fileno())),
            ]
            self._children.start("link", command, hand_down=[listener, its])
        return _RedisAddress(port=port)

    def _on_a_free_port(self, name: str, maxmemory: int) -> _RedisAddress:
        for left in reversed(range(_TRIES)):
            try:
                return self._start_redis(name, maxmemory, _RedisAddress(port=free_port()))
            except StackError as error:
                # Somebody else may have taken the port in between; any other fault is not worth a second try.
                if left == 0 or "Address already in use" not in str(error):
                    raise
        raise AssertionError("the last try returns or raises")

    def _start_redis(self, name: str, maxmemory: int, address: _RedisAddress) -> _RedisAddress:
        settings = {
            "port": address.port,
            "bind": "127.0.0.1",
            "save": '""',
            "appendonly": "no",
            "requirepass": self._password.read_text(encoding="utf-8"),
            "maxmemory": maxmemory,
            "maxmemory-policy": "allkeys-lru",
            "dir": f'"{self._folder}"',
            "set-proc-title": "no",  # a title overwrites the environment, and with it the mark of its owner
        }
        if address.socket:
            settings |= {"unixsocket": address.socket, "unixsocketperm": 700}
        # The settings go by file: a password on a command line is everybody's to read.
        path = self._secret(f"{name}.conf", "".join(f"{key} {value}\n" for key, value in settings.items()))
        child = self._children.start(name, [str(self._stack.redis.path), str(path)])
        self._children.await_ready(
            child, lambda: "eady to accept connections" in child.last_words(), _READY_S
        )
        return address

    def _ping(self) -> Ping:
        """Measure from where the app stands: the replica's CPUs and the replica's own settings."""
        count = int(min(max(_PING_MS / max(self._variant.link.rtt_ms, 0.1), _PINGS[0]), _PINGS[1]))
        command = launch.command(
            [sys.executable, "-m", "app.ping", "--count", str(count)], cpus=self._stack.cpus
        )
        environment = launch.environment(
            self._stack.run_id, UPSTREAM_URL=self._upstream_url, **self._redis_environment(1)
        )
        measured = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if measured.returncode != 0:
            raise StackError(f"the link cannot be measured: {measured.stderr.strip()}")
        figures = json.loads(measured.stdout)
        return Ping(figures["median_us"], figures["p99_us"], figures["samples"])

    def _calibrated(self, relay: LinkControl) -> Ping:
        """Have the relay's delay make PING take the configured time."""
        wanted_us = self._variant.link.rtt_ms * 1000
        seen, floor_us = self._stack.calibration.reach(wanted_us, relay.delay, self._ping)
        self._floor_ms = floor_us / 1000
        if abs(seen.median_us - wanted_us) > tolerance(wanted_us, STALE):
            self.notes = (
                *self.notes,
                f"a round trip of {wanted_us / 1000:g} ms was asked for and {seen.median_us / 1000:.2f} ms "
                f"achieved; the relay's floor is {self._floor_ms:.2f} ms",
            )
        return seen
