"""The Docker stack: each variant as containers, put up and down by Docker Compose."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from typing import Any, Final

import docker
from docker.errors import APIError, DockerException
from docker.models.containers import Container

from compose import counts, credentials, launch
from compose.calibration import STALE, Calibration, Ping, tolerance
from compose.cgroups import Budgets
from compose.composition import CONTROL, OWNER_LABEL, PARTS, RUN_LABEL, Placement, compose_file, task_of
from compose.gauges import Gauges
from compose.processes import FOLDER_PREFIX
from compose.stack import AppCounts, Deployment, LinkReport, Stack, StackError, UpstreamCounts, Usage
from compose.waiting import await_condition
from scenarios.model import Variant

IMAGES: Final = ("app", "upstream", "link")
_READY_S: Final = 30.0
_PINGS: Final = (50, 300)
_PING_MS: Final = 150.0
_COMPOSE_S: Final = 120.0
# What LinkControl says over a socket, said from inside the relay's container.
_SAY: Final = (
    "import socket, sys; s = socket.create_connection(('127.0.0.1', 7000), 5); "
    "s.sendall((sys.argv[1] + '\\n').encode()); print(s.recv(256).decode().strip())"
)


def run_compose(*arguments: str, within_s: float = _COMPOSE_S) -> str:
    """Run `docker compose` and return what it prints.

    Raises:
        StackError: it fails; the message has its last words.
    """
    try:
        ended = subprocess.run(
            ["docker", "compose", *arguments], capture_output=True, text=True, timeout=within_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StackError(f"docker compose {arguments[0]}: {error}") from error
    if ended.returncode != 0:
        last = "\n".join(ended.stderr.strip().splitlines()[-8:])
        raise StackError(f"docker compose {' '.join(arguments[-3:])} failed:\n{last}")
    return ended.stdout


class DockerStack(Stack):
    """Deploys variants as containers; the load generator stays outside, on a core of its own."""

    def __init__(self, run_id: str) -> None:
        try:
            self.client = docker.from_env()
            driver = str(self.client.info().get("CgroupDriver", ""))
        except DockerException as error:
            raise StackError(f"no Docker engine answers: {error}") from error
        cores = sorted(os.sched_getaffinity(0))
        self.run_id = run_id
        self.load_cpus = tuple(cores[-1:]) if len(cores) > 1 else ()
        self.cpus = tuple(cores[:-1]) if len(cores) > 1 else ()
        self.calibration = Calibration()
        self.budgets = Budgets(run_id, driver)
        run_compose("-f", str(PARTS), "build", "--quiet", *IMAGES, within_s=600)

    def deploy(self, variant: Variant, *, seed: int, folder: Path) -> DockerDeployment:
        deployment = DockerDeployment(self, variant, folder)
        try:
            deployment.up(seed)
        except BaseException:
            deployment.down()
            raise
        return deployment

    def close(self) -> None:
        self.budgets.remove()
        self.client.close()


class DockerDeployment(Deployment):
    """One variant as containers."""

    def __init__(self, stack: DockerStack, variant: Variant, logs: Path) -> None:
        self._stack = stack
        self._variant = variant
        self._logs = logs
        self._folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{launch.owner()}-"))
        # Compose wants lower case and no dots; the folder's random part keeps two deployments apart.
        self._project = self._folder.name.lower().replace("_", "-").replace(".", "-")
        self._file = self._folder / "compose.json"
        self._containers: dict[str, Container] = {}
        self._floor_ms: float | None = None
        self._upstream_url = ""
        self._gauges: dict[str, Gauges] = {}
        self._most_memory: dict[str, int] = {}
        self._up = True
        self.targets = ()
        self.link = None

    def up(self, seed: int) -> None:
        """Put everything up and wait until every replica is ready."""
        variant = self._variant
        credentials.make(self._folder / "secrets")
        content = compose_file(variant, seed, self._placement())
        self._file.write_text(json.dumps(content, indent=2), encoding="utf-8")
        (self._logs / "compose.json").write_text(self._file.read_text(encoding="utf-8"), encoding="utf-8")
        self._compose("up", "--detach", "--no-build", "--quiet-pull")
        self._find()
        self._upstream_url = self._url("upstream")
        names = [f"app-{number}" for number in range(1, variant.replicas + 1)]
        self.targets = tuple(self._url(name) for name in names)
        for name, url, path in [
            ("upstream", self._upstream_url, "/_stub/counts"),
            *((name, url, "/readyz") for name, url in zip(names, self.targets, strict=True)),
        ]:
            self._await_ready(name, url, path)
        if variant.topology != "none":
            relayed = "link" in self._containers
            self.link = self._link_report(self._calibrated() if relayed else self._ping())

    def _placement(self) -> Placement:
        tasks: dict[str, Mapping[str, Any]] = {}
        for number in range(1, self._variant.replicas + 1):
            name = f"{self._project}-{task_of(number)}"
            tasks[task_of(number)], note = self._stack.budgets.task(name, self._variant.resources)
            if note and note not in self.notes:
                self.notes = (*self.notes, note)
        return Placement(
            labels={RUN_LABEL: self._stack.run_id, OWNER_LABEL: launch.owner()},
            secrets=self._folder / "secrets",
            cpus=self._stack.cpus,
            tasks=tasks,
        )

    def app_counts(self) -> AppCounts:
        return counts.app_counts(self.targets)

    def upstream_counts(self) -> UpstreamCounts:
        return counts.upstream_counts(self._upstream_url)

    def set_upstream(self, **settings: object) -> None:
        counts.set_upstream(self._upstream_url, settings)

    def measure_link(self) -> LinkReport:
        return self._link_report(self._ping())

    def usage(self) -> Sequence[Usage]:
        return [self._usage(name, container) for name, container in sorted(self._containers.items())]

    def down(self) -> None:
        if not self._up:
            return
        self._up = False
        for name, container in self._containers.items():
            with contextlib.suppress(APIError, OSError):
                (self._logs / f"{name}.log").write_bytes(container.logs())
        with contextlib.suppress(StackError):
            # Nothing here has a last wish that is worth waiting for.
            self._compose("kill", "--signal", "KILL")
        try:
            if self._file.exists():
                self._compose("down", "--volumes", "--remove-orphans", "--timeout", "1")
        finally:
            self._stack.budgets.remove()
            rmtree(self._folder, ignore_errors=True)

    def _compose(self, *arguments: str) -> str:
        return run_compose("-p", self._project, "-f", str(self._file), *arguments)

    def _find(self) -> None:
        found = self._stack.client.containers.list(
            all=True, filters={"label": f"com.docker.compose.project={self._project}"}
        )
        self._containers = {one.labels["com.docker.compose.service"]: one for one in found}

    def _url(self, name: str) -> str:
        container = self._containers[name]
        container.reload()
        published = container.ports.get("8000/tcp")
        if not published:
            raise StackError(f"{name} ended before it was ready; its log says:\n{self._last_words(name)}")
        return f"http://127.0.0.1:{published[0]['HostPort']}"

    def _await_ready(self, name: str, url: str, path: str) -> None:
        if not await_condition(lambda: counts.ready(url, path), _READY_S):
            raise StackError(
                f"{name} was not ready after {_READY_S:g} s; its log says:\n{self._last_words(name)}"
            )

    def _last_words(self, name: str) -> str:
        return self._containers[name].logs(tail=12).decode(errors="replace").strip()

    def _usage(self, name: str, container: Container) -> Usage:
        """Read the kernel's counters; ask the engine, which takes a second, where they are not to be seen."""
        try:
            if name not in self._gauges:
                container.reload()
                self._gauges[name] = Gauges.of(container.attrs["State"]["Pid"])
            return self._gauges[name].read(name)
        except (OSError, KeyError):
            return self._told_usage(name, container)

    def _told_usage(self, name: str, container: Container) -> Usage:
        seen: dict[str, Any] = container.stats(stream=False)  # type: ignore[assignment]
        memory = int(seen.get("memory_stats", {}).get("usage", 0))
        self._most_memory[name] = max(memory, self._most_memory.get(name, 0))
        cpu = seen.get("cpu_stats", {})
        return Usage(
            name=name,
            cpu_s=cpu.get("cpu_usage", {}).get("total_usage", 0) / 1e9,
            memory_bytes=self._most_memory[name],
            throttled_s=cpu.get("throttling_data", {}).get("throttled_time", 0) / 1e9,
        )

    def _link_report(self, seen: Ping) -> LinkReport:
        separate = self._variant.topology == "separate"
        unix = self._variant.cache.sidecar_transport == "unix"
        means = (
            ("relay" if "link" in self._containers else "network")
            if separate
            else "unix"
            if unix
            else "loopback"
        )
        return LinkReport(
            means=means,
            achieved_ms=seen.median_us / 1000,
            achieved_p99_ms=seen.p99_us / 1000,
            samples=seen.samples,
            configured_ms=self._variant.link.rtt_ms if separate else None,
            floor_ms=self._floor_ms,
        )

    def _execute(self, name: str, *command: str) -> str:
        code, output = self._containers[name].exec_run(list(command))
        text = bytes(output).decode(errors="replace").strip()  # type: ignore[arg-type]
        if code != 0:
            raise StackError(f"{command[0]} in {name} failed: {text}")
        return str(text)

    def _ping(self) -> Ping:
        count = int(min(max(_PING_MS / max(self._variant.link.rtt_ms, 0.1), _PINGS[0]), _PINGS[1]))
        figures = json.loads(self._execute("app-1", "python", "-m", "app.ping", "--count", str(count)))
        return Ping(figures["median_us"], figures["p99_us"], figures["samples"])

    def _say(self, command: str) -> None:
        answer = self._execute("link", "python", "-I", "-S", "-c", _SAY, command)
        if answer != "ok":
            raise StackError(f"the link at {CONTROL} does not take the command `{command}`: {answer}")

    def _calibrated(self) -> Ping:
        """Have the relay's delay make PING take the configured time."""
        wanted_us = self._variant.link.rtt_ms * 1000
        seen, floor_us = self._stack.calibration.reach(
            wanted_us, lambda delay_us: self._say(f"delay {delay_us:.1f}"), self._ping
        )
        self._floor_ms = floor_us / 1000
        if abs(seen.median_us - wanted_us) > tolerance(wanted_us, STALE):
            self.notes = (
                *self.notes,
                f"a round trip of {wanted_us / 1000:g} ms was asked for and {seen.median_us / 1000:.2f} ms "
                f"achieved; the relay's floor is {self._floor_ms:.2f} ms",
            )
        return seen
