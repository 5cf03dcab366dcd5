"""The replicas of a deployment of containers: started, serving and counted; and the relay of their link.

What is deployed at first and what is done to it later both start and retire replicas; both do it here.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from compose import counts
from compose.docker.composition import CONTROL, services_of
from compose.docker.project import Project
from compose.docker.proxies import place_proxies
from compose.host.children import free_port
from compose.host.waiting import await_condition
from compose.link.control import LinkControl
from compose.stack import StackError
from scenarios.contract import OUR_APP
from scenarios.facts import AppFacts
from scenarios.model import Variant

_READY_S: Final = 30.0


class Fleet:
    """The replicas that serve, by number, and what those that are gone have counted.

    `control` is the folder of the relay's control, `describe` writes the project's Compose file for the
    replicas that there are now, and `cpus` are those of what carries requests to containers.
    """

    def __init__(
        self,
        variant: Variant,
        project: Project,
        control: Path,
        describe: Callable[[], None],
        cpus: Sequence[int],
    ) -> None:
        self._variant = variant
        self._control = control
        self._describe = describe
        self._cpus = cpus
        self._dead: set[int] = set()
        self._retired = AppFacts()
        self._relay: LinkControl | None = None
        self.project = project
        self.numbers: list[int] = []
        self.ports: dict[str, int] = {}
        self.targets: tuple[str, ...] = ()

    @property
    def first_alive(self) -> str:
        """The container of a replica that serves."""
        return f"app-{next(number for number in self.numbers if number not in self._dead)}"

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
                raise StackError(f"the link did not become ready: {self.project.last_words('link')}")
            connection.connect(str(path))
            self._relay = LinkControl(connection)
        return self._relay

    def task(self, number: int) -> list[str]:
        """Name the services of a replica's task."""
        return services_of(self._variant, number)

    def url(self, name: str) -> str:
        """Return where a container answers."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def choose_ports(self) -> None:
        """Choose a port for each container that has none yet."""
        for name in ("upstream", *(f"app-{number}" for number in self.numbers)):
            self.ports.setdefault(name, free_port())

    def await_ready(self) -> None:
        """Wait until everything that was put up is ready."""
        self._await("upstream", "/_stub/counts")
        for number in self.numbers:
            self._await(f"app-{number}", OUR_APP.ready)
        self._address()

    def start_replica(self, number: int) -> str:
        """Start a replica with its sidecar, at the port of the one before it, and wait until it is ready."""
        if number not in self.numbers:
            self.numbers = sorted([*self.numbers, number])
        self._describe()
        self.project.up(*self.task(number))
        self._await(f"app-{number}", OUR_APP.ready)
        self._dead.discard(number)
        self._address()
        return self.url(f"app-{number}")

    def dismiss(self, number: int) -> None:
        """Count a replica no longer among those that serve."""
        self.numbers.remove(number)
        self._dead.discard(number)
        self._address()

    def retire(self, number: int) -> None:
        """Keep what a replica has counted that is about to go."""
        if number not in self._dead:
            self._retired += counts.app_counts([self.url(f"app-{number}")])
            self._dead.add(number)

    def counts(self) -> AppFacts:
        """Return what all replicas have counted, those that are gone included.

        Raises:
            StackError: a replica does not answer.
        """
        living = [number for number in self.numbers if number not in self._dead]
        return self._retired + counts.app_counts([self.url(f"app-{number}") for number in living])

    def close(self) -> None:
        """Let go of the relay's control."""
        if self._relay is not None:
            self._relay.close()

    def _address(self) -> None:
        self.targets = tuple(self.url(f"app-{number}") for number in self.numbers)
        place_proxies([self.ports[f"app-{number}"] for number in self.numbers], self._cpus)

    def _await(self, name: str, path: str) -> None:
        def ready_or_over() -> bool:
            return counts.ready(self.url(name), path) or not self.project.runs(name)

        if not await_condition(ready_or_over, _READY_S) or not self.project.runs(name):
            why = f"{name} did not become ready within {_READY_S:g} s"
            raise StackError(why, name, self.project.last_words(name))
