"""The workers of one trial, as their master sees them: who has come, what they say, and who is lost."""

from __future__ import annotations

# Locust patches the standard library for gevent, and so comes first.
from locust.env import Environment  # isort: skip

import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeVar

import gevent
import zmq.green as zmq
from gevent.queue import Empty, Queue
from locust.rpc.protocol import Message as LocustMessage
from locust.runners import FALLBACK_INTERVAL, MasterRunner
from pydantic import BaseModel, ValidationError

from loadtests.distributed.frames import MalformedError, read
from loadtests.distributed.protocol import DistributedError, Failed, Hello, own_version
from loadtests.users import TrialUser

_LINGER_MS: Final = 500
_LEAVE_S: Final = 1.0
Message = TypeVar("Message", bound=BaseModel)


class LostError(Exception):
    """A worker has ended, or reports nothing."""


class BrokenError(Exception):
    """A worker failed for a reason that is not the user's."""


@dataclass(frozen=True)
class Mail:
    """A message of one worker, and when it came (ns, by the master's clock)."""

    worker: int
    kind: str
    data: Any
    at_ns: int


class _Master(MasterRunner):
    """Locust's master, whose workers stay the same once users are spawned.

    Locust would redistribute the users when a worker joins or leaves, even during a trial.
    """

    complete = False
    dropped = 0

    def client_listener(self) -> NoReturn:
        """Hear messages, one after the other. One that cannot be read, or understood, is dropped.

        Locust's own listener ends with the first of them, and the trial then hears nobody.
        """
        while True:
            try:
                frames = self.server.socket.recv_multipart()
            except zmq.ZMQError:
                self.connection_broken = True
                gevent.sleep(FALLBACK_INTERVAL)
                continue
            try:
                letter = read(frames)
                message: Any = LocustMessage(letter.kind, letter.data, letter.sender)  # type: ignore[no-untyped-call]
                self.handle_message(letter.sender, message)
            except MalformedError as error:
                self._drop(str(error))
            except Exception as error:  # whatever Locust makes of what a message holds
                self._drop(f"its content is not valid ({type(error).__name__})")

    def _drop(self, reason: str) -> None:
        self.dropped += 1
        if self.dropped == 1:  # once: whoever floods the port shall not fill the log
            sys.stderr.write(f"a message to the load's master was dropped: {reason}\n")

    def handle_message(self, client_id: str, msg: Any) -> None:
        if not self.complete or msg.type not in ("client_ready", "quit"):
            super().handle_message(client_id, msg)
        elif msg.type == "quit":
            self.clients.pop(client_id, None)


class Crew:
    """Takes workers on until there are enough; afterwards speaks and listens to them."""

    def __init__(self, host: str, port: int, size: int) -> None:
        self.size = size
        self.hellos: list[Hello] = []
        self.released: set[int] = set()
        self._nodes: list[str] = []
        self._mail: Any = Queue()
        _try_to_bind(host, port)
        environment = Environment(user_classes=[TrialUser])
        self.runner: Any = _Master(environment, host, port)
        environment.runner = self.runner
        self.port = int(self.runner.server.port)
        self.runner.register_message("hello", self._hello)
        for kind in ("laid-out", "ready", "begun", "progress", "done", "rows", "failed"):
            self.runner.register_message(kind, self._arrived)

    @property
    def dropped(self) -> int:
        """How many messages could not be read, and were dropped."""
        return int(self.runner.dropped)

    def gather(self, within_s: float) -> None:
        """Wait until all workers are there.

        Raises:
            DistributedError: some have not come in time.
        """
        deadline_s = time.monotonic() + within_s
        while len(self._nodes) < self.size:
            if time.monotonic() > deadline_s:
                raise DistributedError(
                    f"{len(self._nodes)} of {self.size} workers connected within {within_s:g} s; start the "
                    "others with: sidecar-bench worker --master ADDRESS:PORT"
                )
            gevent.sleep(0.02)

    def spawn_users(self, count: int) -> None:
        """Spawn so many users, shared out by Locust; from now on the crew stays as it is."""
        runner = self.runner
        for node in set(runner.clients) - set(self._nodes):
            del runner.clients[node]
        runner.complete = True
        runner.start(count, spawn_rate=count)

    def name(self, worker: int) -> str:
        """Return what to call a worker in a sentence."""
        return f"worker {worker + 1} on {self.hellos[worker].host}"

    def tell(self, worker: int, kind: str, data: Mapping[str, Any]) -> None:
        """Send one worker a message."""
        self.runner.send_message(kind, data, self._nodes[worker])

    def tell_all(self, kind: str, data: Mapping[str, Any]) -> None:
        """Send every worker a message."""
        for worker in range(self.size):
            self.tell(worker, kind, data)

    def hear(self, within_s: float) -> Mail | None:
        """Return what a worker says next; None where nothing comes in time.

        Raises:
            DistributedError: a worker is lost, or has to refuse.
            BrokenError: a worker failed.
        """
        try:
            mail: Mail = self._mail.get(timeout=within_s)
        except Empty:
            self._check()
            return None
        if mail.kind == "failed":
            failed = self.read(Failed, mail)
            sentence = f"{self.name(mail.worker)}: {failed.reason}"
            raise DistributedError(sentence) if failed.code == 2 else BrokenError(sentence)
        return mail

    def read(self, kind: type[Message], mail: Mail) -> Message:
        """Return what a message says.

        Raises:
            DistributedError: it says nothing of this kind.
        """
        try:
            return kind.model_validate(mail.data)
        except ValidationError as error:
            raise DistributedError(f"{self.name(mail.worker)} sent a message that cannot be read") from error

    def each(self, kind: str, within_s: float) -> list[Mail]:
        """Return a message of this kind from every worker, in the workers' order.

        Raises:
            DistributedError: a worker is lost, has to refuse, or says nothing in time.
            BrokenError: a worker failed.
        """
        heard: dict[int, Mail] = {}
        deadline_s = time.monotonic() + within_s
        while len(heard) < self.size:
            mail = self.hear(0.2)
            if mail is not None and mail.kind == kind:
                heard[mail.worker] = mail
            if time.monotonic() > deadline_s:
                late = ", ".join(self.name(worker) for worker in range(self.size) if worker not in heard)
                raise DistributedError(f"{late}: not ready within {within_s:g} s ({kind})")
        return [heard[worker] for worker in range(self.size)]

    def dismiss(self, reason: str) -> None:
        """Send everybody home who is not released yet, and close the line."""
        for worker in range(len(self._nodes)):
            self.tell(worker, "end", {"reason": reason})
        deadline_s = time.monotonic() + _LEAVE_S
        while any(self._present()) and time.monotonic() < deadline_s:
            gevent.sleep(0.02)
        self.runner.greenlet.kill(block=True)
        self.runner.server.close(linger=_LINGER_MS)

    def _present(self) -> Iterator[bool]:
        for node in self._nodes:
            client = self.runner.clients.get(node)
            yield client is not None and client.state != "missing"

    def _check(self) -> None:
        for worker, present in enumerate(self._present()):
            if not present and worker not in self.released:
                raise LostError(f"{self.name(worker)} was lost during the trial")

    def _hello(self, environment: Environment, msg: Any, **_: Any) -> None:
        """Take a worker on, or say why not."""
        if msg.node_id in self._nodes:
            self.runner.send_message("welcome", {}, msg.node_id)
            return
        reason = self._refusal(msg.data)
        if reason is not None:
            self.runner.send_message("refused", {"reason": reason}, msg.node_id)
            # Locust would have it share in the users.
            self.runner.clients.pop(msg.node_id, None)
            return
        self.hellos.append(Hello.model_validate(msg.data))
        self._nodes.append(msg.node_id)
        self.runner.send_message("welcome", {}, msg.node_id)

    def _refusal(self, data: Any) -> str | None:
        theirs = data.get("version") if isinstance(data, dict) else None
        if theirs != own_version():
            return (
                f"the master is sidecar-bench {own_version()}, and this worker is "
                f"{theirs or 'another program'}: install the same on both machines"
            )
        try:
            Hello.model_validate(data)
        except ValidationError:
            return "the master cannot read this worker's description of itself"
        if len(self._nodes) == self.size:
            return f"the master has all of its {self.size} workers; raise --expect-workers"
        return None

    def _arrived(self, environment: Environment, msg: Any, **_: Any) -> None:
        if msg.node_id in self._nodes:
            worker = self._nodes.index(msg.node_id)
            self._mail.put(Mail(worker, msg.type, msg.data, time.perf_counter_ns()))


def _try_to_bind(host: str, port: int) -> None:
    """Make sure of the address: Locust would end the process with a message of its own."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            attempt.bind((host.strip("[]"), port))
    except OSError as error:
        raise DistributedError(
            f"{host}:{port}: the master cannot listen here ({error.strerror}); choose another address of "
            "this machine, or another port, with --bind"
        ) from error
