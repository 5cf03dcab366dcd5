"""The Docker stack: each variant as containers, put up and down by Docker Compose."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from typing import Any, Final

import docker
from docker.errors import DockerException

from compose import counts, credentials
from compose.docker.composition import (
    BOOT_LABEL,
    CONTROL,
    OWNER_LABEL,
    PARTS,
    RUN_LABEL,
    Placement,
    compose_file,
    services_of,
    task_budget,
    tasks_of,
)
from compose.docker.faults import ContainerFaults
from compose.docker.project import Project, run_compose
from compose.docker.proxies import place_proxies
from compose.faults import Faults
from compose.filling import OPTIONS, Place, Warming
from compose.host import ownership, sealed
from compose.host.cgroups import Budgets
from compose.host.children import free_port
from compose.host.interrupts import shielded
from compose.host.waiting import await_condition
from compose.link.calibration import Calibration
from compose.link.control import LinkControl
from compose.link.hop import Hop
from compose.stack import (
    AppCounts,
    Deployment,
    Filling,
    Held,
    LinkReport,
    Lost,
    Stack,
    StackError,
    UpstreamCounts,
    Usage,
)
from scenarios.model import Variant
from traffic.logs.handing import with_stored_log

IMAGES: Final = ("app", "upstream", "link")
_READY_S: Final = 30.0
_TRIES: Final = 3
_TAKEN: Final = ("already in use", "already allocated")


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
        deployment = DockerDeployment(self, with_stored_log(variant, folder), seed, folder)
        try:
            deployment.up()
        except BaseException:
            deployment.down()
            raise
        return deployment

    def close(self) -> None:
        self.budgets.remove()
        self.client.close()


class DockerDeployment(Deployment):
    """One variant as containers."""

    def __init__(self, stack: DockerStack, variant: Variant, seed: int, logs: Path) -> None:
        self._stack = stack
        self._variant = variant
        self._seed = seed
        self._logs = logs
        self._folder = ownership.make_folder()
        # The owner's name tells runs apart, the folder's own its deployments; Compose takes no other signs.
        name = f"{self._folder.parent.name}-{self._folder.name}"
        self.project = Project(stack.client, name, self._folder / "compose.json", logs)
        self.numbers: list[int] = []
        self._ports: dict[str, int] = {}
        self._dead: set[int] = set()
        self._retired = AppCounts({}, 0)
        self._hop = Hop(variant, stack.calibration, self._pinged)
        self._control = self._folder / "control"
        self._relay: LinkControl | None = None
        self._is_up = True
        self.targets = ()
        self.link = None

    @property
    def faults(self) -> Faults:
        return ContainerFaults(self)

    def up(self) -> None:
        """Put everything up and wait until every replica is ready."""
        credentials.make(self._folder / "secrets")
        self._control.mkdir()
        self._control.chmod(0o777)  # for the relay's own user; the folder around it is ours alone
        self.numbers = list(range(1, self._variant.replicas + 1))
        self._put_up()
        self._await_ready("upstream", "/_stub/counts")
        for number in self.numbers:
            self._await_ready(f"app-{number}", "/readyz")
        self._address()
        if self._variant.topology != "none":
            self.redis_server = self.project.redis_server()
            self.link = self._calibrated_link() if "link" in self.project.containers else self.measure_link()

    def start_replica(self, number: int) -> str:
        """Start a replica with its sidecar, at the port of the one before it, and wait until it is ready."""
        if number not in self.numbers:
            self.numbers = sorted([*self.numbers, number])
        self._describe()
        self.project.up(*self.task(number))
        self._await_ready(f"app-{number}", "/readyz")
        self._dead.discard(number)
        self._address()
        return self._url(f"app-{number}")

    def dismiss(self, number: int) -> None:
        """Count a replica no longer among those that serve."""
        self.numbers.remove(number)
        self._dead.discard(number)
        self._address()

    def retire(self, number: int) -> None:
        """Keep what a replica has counted that is about to go."""
        if number not in self._dead:
            self._retired += counts.app_counts([self._url(f"app-{number}")])
            self._dead.add(number)

    def task(self, number: int) -> list[str]:
        """Name the services of a replica's task."""
        return services_of(self._variant, number)

    @property
    def relay(self) -> LinkControl:
        """The relay's control.

        Raises:
            StackError: there is no relay, or it is not up.
        """
        if "link" not in self.project.containers:
            raise StackError("there is no link to cut: the topology is not `separate`, or its RTT is 0")
        if self._relay is None:
            connection = socket.socket(socket.AF_UNIX)
            path = self._control / CONTROL
            if not await_condition(path.exists, _READY_S):
                raise StackError(f"the link did not get ready: {self.project.last_words('link')}")
            connection.connect(str(path))
            self._relay = LinkControl(connection)
        return self._relay

    def app_counts(self) -> AppCounts:
        living = [number for number in self.numbers if number not in self._dead]
        return self._retired + counts.app_counts([self._url(f"app-{number}") for number in living])

    def upstream_counts(self) -> UpstreamCounts:
        return counts.upstream_counts(self._url("upstream"))

    def set_upstream(self, **settings: object) -> None:
        counts.set_upstream(self._url("upstream"), settings)

    def _calibrated_link(self) -> LinkReport:
        link, note = self._hop.calibrated(self.relay.delay)
        self._note(note)
        return link

    def measure_link(self) -> LinkReport:
        separate, relayed = self._variant.topology == "separate", "link" in self.project.containers
        return self._hop.measured("relay" if relayed else "network" if separate else "loopback")

    def lost(self) -> tuple[Lost, ...]:
        return self.project.lost()

    def fill(self, held: Sequence[Held]) -> Filling:
        """Fill each cache from its replica's container; one that all share, from the first of them."""
        numbers = self.numbers if self._variant.topology == "sidecar" else self.numbers[:1]
        self.set_upstream(filling=True)
        places = [
            Place(
                self.project.inside(f"app-{number}", "python", "-m", "app.warm", *OPTIONS),
                self._logs / f"warm-{number}.log",
                [cache],
                sealed.docker_environment(),
            )
            for cache, number in enumerate(numbers)
        ]
        return Warming(places, held, lambda: self.set_upstream(filling=False))

    def usage(self) -> Sequence[Usage]:
        return self.project.usage()

    def down(self) -> None:
        if not self._is_up:
            return
        self._is_up = False
        with shielded():
            credentials.forget(self._folder / "secrets")
            if self._relay is not None:
                self._relay.close()
            try:
                self.project.down()
            finally:
                self._stack.budgets.remove()
                rmtree(self._folder, ignore_errors=True)

    def _put_up(self) -> None:
        for left in reversed(range(_TRIES)):
            try:
                self._describe()
                self.project.up()
            except StackError as error:
                # Somebody else may have taken a port in between; any other fault is not worth a second try.
                if left == 0 or not any(words in str(error) for words in _TAKEN):
                    raise
                self.project.down()
                self._ports.clear()
            else:
                return

    def _describe(self) -> None:
        for name in ("upstream", *(f"app-{number}" for number in self.numbers)):
            self._ports.setdefault(name, free_port())
        self.project.describe(compose_file(self._variant, self._seed, self._placement()))

    def _placement(self) -> Placement:
        budget, note = task_budget(self._variant)
        self._note(note)
        tasks: dict[str, Mapping[str, Any]] = {}
        for task in tasks_of(self._variant, self.numbers):
            tasks[task], note = self._stack.budgets.task(f"{self._folder.name}-{task}", budget)
            self._note(note)
        return Placement(
            labels={
                RUN_LABEL: self._stack.run_id,
                OWNER_LABEL: str(ownership.own()),
                BOOT_LABEL: ownership.boot(),
            },
            secrets=self._folder / "secrets",
            control=self._control,
            cpus=self._stack.cpus,
            tasks=tasks,
            ports=self._ports,
            numbers=tuple(self.numbers),
        )

    def _note(self, note: str | None) -> None:
        if note and note not in self.notes:
            self.notes = (*self.notes, note)

    def _address(self) -> None:
        self.targets = tuple(self._url(f"app-{number}") for number in self.numbers)
        place_proxies([self._ports[f"app-{number}"] for number in self.numbers], self._stack.cpus)

    def _url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name]}"

    def _await_ready(self, name: str, path: str) -> None:
        def ready_or_over() -> bool:
            return counts.ready(self._url(name), path) or not self.project.runs(name)

        if not await_condition(ready_or_over, _READY_S) or not self.project.runs(name):
            why = f"{name} did not get ready within {_READY_S:g} s"
            raise StackError(why, name, self.project.last_words(name))

    def _pinged(self, count: int) -> str:
        """Have PINGs sent from inside a replica's container: its place, its settings, its CPUs."""
        replica = f"app-{next(number for number in self.numbers if number not in self._dead)}"
        return self.project.execute(replica, "python", "-m", "app.ping", "--count", str(count))
