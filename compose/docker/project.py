"""One Compose project: the containers of a deployment, put up and down together, and looked into."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container

from compose.docker.gauges import Gauges
from compose.host import commands, sealed
from compose.host.commands import how_it_ended
from compose.host.redis_binary import parse_version
from compose.stack import Lost, StackError
from scenarios.facts import UsageFacts

_COMPOSE_S: Final = 120.0
_LAST_LINES: Final = 12
_SHELL: Final = 128  # an exit code above it is a signal's number and so much


def run_compose(*arguments: str, within_s: float = _COMPOSE_S) -> str:
    """Run `docker compose` and return what it prints.

    Raises:
        StackError: it fails; the message has its last words.
    """
    try:
        ended = commands.run(
            ["docker", "compose", *arguments], env=sealed.docker_environment(), within_s=within_s
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StackError(f"docker compose {arguments[0]}: {error}") from error
    if ended.returncode != 0:
        last = "\n".join(ended.stderr.strip().splitlines()[-8:])
        raise StackError(f"docker compose {' '.join(arguments[-3:])} failed:\n{last}")
    return ended.stdout


@contextlib.contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Make a StackError of what the engine, or the way to it, has to say against something."""
    try:
        yield
    except (DockerException, OSError) as error:
        said = error.explanation if isinstance(error, APIError) else error
        raise StackError(f"{doing}: {said}") from error


class Project:
    """Containers by the names of their services. Each one's log is kept in `logs` when it goes."""

    def __init__(self, client: docker.DockerClient, name: str, file: Path, logs: Path) -> None:
        self._client = client
        self._name = name
        self._file = file
        self._logs = logs
        self._gauges: dict[str, Gauges] = {}
        self._seen: dict[str, UsageFacts] = {}
        self._earlier_cpu_s: dict[str, float] = {}
        self._expected: dict[str, str] = {}
        self.containers: dict[str, Container] = {}

    def describe(self, content: Mapping[str, Any]) -> None:
        """Say what the project consists of; kept beside the logs."""
        text = json.dumps(content, indent=2)
        self._file.write_text(text, encoding="utf-8")
        (self._logs / "compose.json").write_text(text, encoding="utf-8")

    def up(self, *services: str) -> None:
        """Start services: all, or those named and no others.

        Raises:
            StackError: one cannot be started.
        """
        only = ["--no-deps", "--no-recreate"] if services else []
        try:
            self._compose("up", "--detach", "--no-build", "--quiet-pull", *only, *services)
        finally:
            self._find()

    def remove(self, *services: str) -> None:
        """Remove the containers of services at once."""
        for name in reversed(services):
            container = self.containers.get(name)
            if container is not None:
                self._keep_log(name, container)
                with contextlib.suppress(StackError):
                    self.settle(name)
                with contextlib.suppress(APIError):
                    container.remove(force=True, v=True)
                del self.containers[name]
                self._expected.pop(name, None)

    def down(self) -> None:
        """Remove everything; what Compose does not get hold of is removed one by one."""
        for name, container in self.containers.items():
            self._keep_log(name, container)
        if not self._file.exists():
            return
        with contextlib.suppress(StackError):
            # Nothing here has a last wish that is worth waiting for.
            self._compose("kill", "--signal", "KILL")
        with contextlib.suppress(StackError):
            self._compose("down", "--volumes", "--remove-orphans", "--timeout", "1")
        with contextlib.suppress(Exception):  # an engine that is gone by now leaves the rest to `clean`
            self._find()
            self.remove(*tuple(self.containers))

    def execute(self, name: str, *command: str) -> str:
        """Run a command in a container and return what it says.

        Raises:
            StackError: it fails.
        """
        with engine_errors(f"{command[0]} in {name} cannot be run"):
            code, output = self.containers[name].exec_run(list(command))
        text = bytes(output).decode(errors="replace").strip()  # type: ignore[arg-type]
        if code != 0:
            raise StackError(f"{command[0]} in {name} failed: {text}")
        return text

    def inside(self, name: str, *command: str) -> list[str]:
        """Return the command that runs one in a container, with its standard input and output."""
        return ["docker", "exec", "--interactive", str(self.containers[name].id), *command]

    def redis_server(self) -> str:
        """Return name and version of the server in the image of Redis, and the image."""
        name = next(name for name in self.containers if name.partition("-")[0] == "redis")
        told = None
        with contextlib.suppress(StackError):
            told = parse_version(self.execute(name, "redis-server", "--version"))
        return f"{' '.join(told or ('unknown',))} (image {self.containers[name].attrs['Config']['Image']})"

    def runs(self, name: str) -> bool:
        """Tell whether a container is running; a paused one is.

        Raises:
            StackError: the engine cannot tell, or it is gone.
        """
        container = self.containers[name]
        with engine_errors(f"{name} is gone"):
            container.reload()
        return bool(container.attrs["State"]["Running"])

    def last_words(self, name: str) -> str:
        """Return the end of a container's log; nothing where it is gone."""
        with contextlib.suppress(DockerException, OSError):
            return bytes(self.containers[name].logs(tail=_LAST_LINES)).decode(errors="replace").strip()
        return ""

    def expect(self, name: str, state: str) -> None:
        """Say what a container is brought to on purpose: `running`, `exited` or `paused`."""
        self._expected[name] = state

    def lost(self) -> tuple[Lost, ...]:
        """Return the containers that have ended, or stand still, other than on purpose.

        Raises:
            StackError: the engine cannot tell.
        """
        found = []
        for name, container in self.containers.items():
            how = self._how_lost(name, container)
            if how is not None:
                found.append(Lost(name, how, self.last_words(name)))
        return tuple(found)

    def _how_lost(self, name: str, container: Container) -> str | None:
        try:
            container.reload()
        except NotFound:
            return "was removed"
        except (DockerException, OSError) as error:
            raise StackError(f"the engine does not report the state of {name}: {error}") from error
        state = container.attrs["State"]
        expected = self._expected.get(name, "running")
        if state.get("Paused"):
            return None if expected == "paused" else "was paused"
        if state["Running"] or expected == "exited":
            return None
        code = int(state.get("ExitCode", 0))
        if state.get("OOMKilled"):
            return "was killed because it ran out of memory"
        return how_it_ended(_SHELL - code if code > _SHELL else code)

    def usage(self) -> list[UsageFacts]:
        """Return what each container, those before it of its name included, has used.

        Raises:
            StackError: the engine does not tell.
        """
        for name, container in self.containers.items():
            with engine_errors(f"the engine does not report the usage of {name}"):
                self._look_at(name, container)
        return [self._seen[name] for name in sorted(self._seen)]

    def _compose(self, *arguments: str) -> str:
        return run_compose("-p", self._name, "-f", str(self._file), *arguments)

    def _find(self) -> None:
        found = self._client.containers.list(
            all=True,
            filters={"label": f"com.docker.compose.project={self._name}"},
            ignore_removed=True,
        )
        self.containers = {one.labels["com.docker.compose.service"]: one for one in found}

    def settle(self, name: str) -> None:
        """Add up what a container has used that is about to end: its successor counts from zero.

        Raises:
            StackError: the engine does not tell.
        """
        with engine_errors(f"the engine does not report the usage of {name}"):
            self._look_at(name, self.containers[name])
        self._gauges.pop(name, None)
        if name in self._seen:
            self._earlier_cpu_s[name] = self._seen[name].cpu_s

    def _keep_log(self, name: str, container: Container) -> None:
        with contextlib.suppress(APIError, OSError), (self._logs / f"{name}.log").open("ab") as log:
            log.write(bytes(container.logs()))

    def _look_at(self, name: str, container: Container) -> None:
        """Read the kernel's counters; ask the engine, which takes a second, where they are not to be seen."""
        try:
            if name not in self._gauges:
                container.reload()
                self._gauges[name] = Gauges.of(container.attrs["State"]["Pid"])
            now = self._gauges[name].read(name)
        except (OSError, KeyError):
            if not container.attrs["State"]["Running"]:
                return  # what was seen last stands
            now = _told_usage(name, container)
        before = self._seen.get(name)
        self._seen[name] = UsageFacts(
            name=name,
            cpu_s=now.cpu_s + self._earlier_cpu_s.get(name, 0.0),
            memory_bytes=max(now.memory_bytes, before.memory_bytes if before else 0),
            throttled_s=now.throttled_s,
        )


def _told_usage(name: str, container: Container) -> UsageFacts:
    seen: dict[str, Any] = container.stats(stream=False)  # type: ignore[assignment]
    cpu = seen.get("cpu_stats", {})
    return UsageFacts(
        name=name,
        cpu_s=cpu.get("cpu_usage", {}).get("total_usage", 0) / 1e9,
        memory_bytes=int(seen.get("memory_stats", {}).get("usage", 0)),
        throttled_s=cpu.get("throttling_data", {}).get("throttled_time", 0) / 1e9,
    )
