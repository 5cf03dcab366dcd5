"""The Docker stack: each variant as containers, put up and down by Docker Compose."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from typing import Any, Final

import docker
from docker.errors import DockerException

from compose import counts, credentials
from compose.docker.composition import (
    BOOT_LABEL,
    OWNER_LABEL,
    PARTS,
    RUN_LABEL,
    Placement,
    compose_file,
    task_budget,
    tasks_of,
)
from compose.docker.faults import ContainerFaults
from compose.docker.fleet import Fleet
from compose.docker.project import Project, run_compose
from compose.faults import Faults
from compose.filling import OPTIONS, Place, Warming
from compose.host import ownership, sealed
from compose.host.cgroups import Budgets
from compose.host.interrupts import shielded
from compose.link.calibration import Calibration
from compose.link.hop import Hop
from compose.stack import Deployment, Filling, Held, Lost, Stack, StackError
from scenarios.facts import AppFacts, LinkFacts, UpstreamFacts, UsageFacts
from scenarios.model import Variant
from traffic.logs.handing import with_stored_log

IMAGES: Final = ("app", "upstream", "link")
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
        self._hop = Hop(variant, stack.calibration, self._pinged)
        self._control = self._folder / "control"
        self._fleet = Fleet(variant, self.project, self._control, self._describe, stack.cpus)
        self._is_up = True
        self.link = None

    @property
    def targets(self) -> tuple[str, ...]:
        return self._fleet.targets

    @property
    def faults(self) -> Faults:
        return ContainerFaults(self._fleet)

    def up(self) -> None:
        """Put everything up and wait until every replica is ready."""
        credentials.make(self._folder / "secrets")
        self._control.mkdir()
        self._control.chmod(0o777)  # for the relay's own user; the folder around it is ours alone
        self._fleet.numbers = list(range(1, self._variant.replicas + 1))
        self._put_up()
        self._fleet.await_ready()
        if self._variant.layout.has_redis:
            self.redis_server = self.project.redis_server()
            self.link = self._calibrated_link() if "link" in self.project.containers else self.measure_link()

    def app_counts(self) -> AppFacts:
        return self._fleet.counts()

    def upstream_counts(self) -> UpstreamFacts:
        return counts.upstream_counts(self._fleet.url("upstream"))

    def set_upstream(self, **settings: object) -> None:
        counts.set_upstream(self._fleet.url("upstream"), settings)

    def _calibrated_link(self) -> LinkFacts:
        link, note = self._hop.calibrated(self._fleet.relay.delay)
        self._note(note)
        return link

    def measure_link(self) -> LinkFacts:
        apart, relayed = self._variant.layout.apart, "link" in self.project.containers
        return self._hop.measured("relay" if relayed else "network" if apart else "loopback")

    def lost(self) -> tuple[Lost, ...]:
        return self.project.lost()

    def fill(self, held: Sequence[Held]) -> Filling:
        """Fill each cache from its replica's container; one that all share, from the first of them."""
        numbers = self._fleet.numbers
        numbers = numbers[: self._variant.layout.redis_count(len(numbers))]
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

    def usage(self) -> Sequence[UsageFacts]:
        return self.project.usage()

    def down(self) -> None:
        if not self._is_up:
            return
        self._is_up = False
        with shielded():
            credentials.forget(self._folder / "secrets")
            self._fleet.close()
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
                self._fleet.ports.clear()
            else:
                return

    def _describe(self) -> None:
        self._fleet.choose_ports()
        self.project.describe(compose_file(self._variant, self._seed, self._placement()))

    def _placement(self) -> Placement:
        budget, note = task_budget(self._variant)
        self._note(note)
        tasks: dict[str, Mapping[str, Any]] = {}
        for task in tasks_of(self._variant, self._fleet.numbers):
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
            ports=self._fleet.ports,
            numbers=tuple(self._fleet.numbers),
        )

    def _note(self, note: str | None) -> None:
        if note and note not in self.notes:
            self.notes = (*self.notes, note)

    def _pinged(self, count: int) -> str:
        """Have PINGs sent from inside a replica's container: its place, its settings, its CPUs."""
        return self.project.execute(
            self._fleet.first_alive, "python", "-m", "app.ping", "--count", str(count)
        )
