"""Faults and lifecycle of a deployment of containers."""

from __future__ import annotations

import contextlib
from typing import Final

from compose.docker.fleet import Fleet
from compose.docker.project import engine_errors
from compose.faults import Faults
from compose.host.waiting import await_condition
from compose.stack import StackError

_PATIENCE_S: Final = 3
_READY_S: Final = 30.0
_LEADS_TO: Final = {
    "kill": "exited", "stop": "exited", "start": "running", "pause": "paused", "unpause": "running",
}  # fmt: skip


class ContainerFaults(Faults):
    """The engine's own verbs, new containers at old ports, and the relay's cut.

    A published port belongs to one container at a time. So a replica that is replaced is away until its
    successor listens, in `roll` as well: about a second, in which requests to it are refused.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._project = fleet.project

    def kill_redis(self, number: int = 1) -> None:
        self._tell("kill", self._redis(number))

    def stop_redis(self, number: int = 1) -> None:
        self._tell("stop", self._redis(number), timeout=_PATIENCE_S)

    def start_redis(self, number: int = 1) -> None:
        name = self._redis(number)
        if self._project.runs(name):
            raise StackError(f"{name} runs already")
        self._tell("start", name)
        if not await_condition(lambda: self._redis_answers(number), _READY_S):
            raise StackError(f"the Redis of replica {number} was not ready after {_READY_S:g} s")

    def pause_redis(self, number: int = 1) -> None:
        self._tell("pause", self._redis(number))

    def resume_redis(self, number: int = 1) -> None:
        self._tell("unpause", self._redis(number))

    def kill_replica(self, number: int = 1) -> None:
        app, *sidecar = self._replica(number)
        self._fleet.retire(number)
        for name in (app, *sidecar):
            if self._project.runs(name):
                self._tell("kill", name)

    def replace_replica(self, number: int = 1) -> None:
        self.kill_replica(number)
        self._take_over(number)

    def add_replica(self) -> str:
        return self._fleet.start_replica(max(self._fleet.numbers, default=0) + 1)

    def remove_replica(self, number: int) -> None:
        names = self._replica(number)
        self._end(number)
        self._fleet.dismiss(number)
        self._project.remove(*names)

    def roll(self) -> None:
        for number in tuple(self._fleet.numbers):
            self._end(number)
            self._take_over(number)

    def cut_link(self) -> None:
        self._fleet.relay.cut()

    def heal_link(self) -> None:
        self._fleet.relay.heal()

    def _end(self, number: int) -> None:
        self._fleet.retire(number)
        for name in self._replica(number):
            self._tell("stop", name, timeout=_PATIENCE_S)

    def _take_over(self, number: int) -> None:
        self._project.remove(*self._replica(number))
        self._fleet.start_replica(number)

    def _redis_answers(self, number: int) -> bool:
        with contextlib.suppress(StackError):
            self._project.execute(f"app-{number}", "python", "-m", "app.ping", "--count", "1")
            return True
        return False

    def _tell(self, verb: str, name: str, **more: int) -> None:
        if verb in ("kill", "stop"):
            self._project.settle(name)
        self._project.expect(name, _LEADS_TO[verb])
        with engine_errors(f"the engine does not {verb} {name}"):
            getattr(self._project.containers[name], verb)(**more)

    def _replica(self, number: int) -> list[str]:
        if number not in self._fleet.numbers:
            raise StackError(f"there is no replica {number}")
        return self._fleet.task(number)

    def _redis(self, number: int) -> str:
        if number == 1 and "redis" in self._project.containers:
            return "redis"
        if f"redis-{number}" not in self._project.containers:
            raise StackError(f"there is no Redis {number} in this topology")
        return f"redis-{number}"
