"""A worker's line to the master: introduces the worker, reads messages, tells when the master is gone."""

from __future__ import annotations

# Locust patches the standard library for gevent, and so comes first.
from locust.env import Environment  # isort: skip

import time
from collections.abc import Mapping
from typing import Any, Final

import gevent
from gevent.queue import Empty, Queue

from loadtests.distributed.protocol import Hello
from loadtests.sending.process import EVERY_S
from loadtests.users import TrialUser

# Locust's master answers each heartbeat, one a second.
_SILENCE_S: Final = 5.0
_HELLO_S: Final = 1.0
_LINGER_MS: Final = 500


class GoneError(Exception):
    """The master has ended the trial, or is not there."""


class RefusedError(Exception):
    """Master or worker refuses; the message says why and what to do."""


class Line:
    """The line to the master. Messages are noted as they come, with their time, and read one by one."""

    def __init__(self, host: str, port: int, patience_s: float) -> None:
        self._patience_s = patience_s
        self._mail: Any = Queue()
        self._end: str | None = None
        self._heard_s = time.monotonic()
        environment: Any = Environment(user_classes=[TrialUser])
        self._events = environment.events
        self._events.heartbeat_received.add_listener(self._heartbeat)
        nobody = GoneError(f"no master answered at {host}:{port} within {patience_s:g} s")
        with gevent.Timeout(patience_s, nobody):
            try:
                self.runner = environment.create_worker_runner(host, port)
            except ConnectionError:
                raise nobody from None
        for kind in ("welcome", "refused", "part", "begin", "collect", "kept"):
            self.runner.register_message(kind, self._arrived)
        self.runner.register_message("end", self._ended)

    def say(self, kind: str, data: Mapping[str, Any] | None = None) -> None:
        """Send the master a message."""
        self.runner.send_message(kind, data)

    def introduce(self) -> None:
        """Say who this is until the master has taken this worker on.

        Raises:
            GoneError: nobody answers.
            RefusedError: the master does not want this worker.
        """
        deadline_s = time.monotonic() + self._patience_s
        while time.monotonic() < deadline_s:
            # The first master may have been the last trial's, which is ending: the next one knows nobody.
            self.runner.connect_to_master()
            self.say("hello", Hello.own().model_dump())
            try:
                kind, data, _ = self._mail.get(timeout=_HELLO_S)
            except Empty:
                continue
            if kind == "refused":
                raise RefusedError(str(data["reason"]))
            self._heard_s = time.monotonic()
            self._end = None
            return
        raise GoneError(f"the master did not answer within {self._patience_s:g} s")

    def expect(self, wanted: str, within_s: float = float("inf")) -> tuple[Any, int] | None:
        """Return the next message of a kind, and when it came (ns); None where none comes in time.

        Raises:
            GoneError: the master has ended the trial or does not answer.
        """
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            self.check()
            try:
                kind, data, at_ns = self._mail.get(timeout=min(EVERY_S, within_s))
            except Empty:
                continue
            if kind == wanted:
                return data, at_ns
        return None

    def check(self) -> None:
        """Look whether the master is still there, and wants to go on.

        Raises:
            GoneError: it is not, or does not.
        """
        if self._end is not None:
            raise GoneError(self._end or "the master has ended the trial")
        if time.monotonic() - self._heard_s > _SILENCE_S:
            raise GoneError(f"no message from the master for {_SILENCE_S:g} s")

    def hang_up(self) -> None:
        """Take leave of the master."""
        self._events.quitting.fire(environment=self.runner.environment)
        gevent.sleep(0.1)
        self.runner.greenlet.kill(block=True)
        self.runner.client.close(linger=_LINGER_MS)

    def _arrived(self, environment: Environment, msg: Any, **_: Any) -> None:
        self._heard_s = time.monotonic()
        self._mail.put((msg.type, msg.data, time.perf_counter_ns()))

    def _ended(self, environment: Environment, msg: Any, **_: Any) -> None:
        self._end = str(msg.data["reason"])

    def _heartbeat(self, **_: Any) -> None:
        self._heard_s = time.monotonic()
