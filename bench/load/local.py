"""The load of one trial, in a process of its own: started, followed, and ended whatever happens."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from subprocess import Popen
from typing import IO, Any, Final

from bench.errors import UserError
from bench.load.said import Said, SilenceError
from compose.host import launch, sealed
from compose.host.commands import how_it_ended
from compose.host.interrupts import shielded
from loadtests.order import Order
from scenarios.facts import LoadFacts

_PATIENCE_S: Final = 10.0
LOST: Final = 3  # the exit code of a master that has lost a worker


class LoadError(Exception):
    """The load generator failed for a reason that is not the user's; `last_words` has what it said last."""

    def __init__(self, reason: str, last_words: str = "") -> None:
        super().__init__(f"{reason}; the end of its log:\n{last_words}" if last_words else reason)
        self.reason = reason
        self.part = "load"
        self.last_words = last_words


class Load:
    """A load generator, made ready while its targets are deployed. On leaving its context it is gone.

    `lead_s` is how long before the moment at which a held order begins it has to be told.
    """

    lead_s = 0.05

    def __init__(self, *, run_id: str, cpus: Sequence[int], folder: Path) -> None:
        self._order_path = folder.absolute() / "order.json"
        self._log_path = folder / "logs" / "load.log"
        self._run_id = run_id
        self._cpus = tuple(cpus)
        self._process: Popen[str] | None = None
        self._said: Said | None = None
        self._facts: LoadFacts | None = None

    def __enter__(self) -> Load:
        with self._log_path.open("w", encoding="utf-8") as log:
            self._process = self._start(self._arguments(), stdout=subprocess.PIPE, stderr=log)
        self._said = Said(self._process, look=self._look)
        return self

    def _look(self) -> None:
        """Look after whatever else sends; raises LoadError where it is lost."""

    def _arguments(self) -> list[str]:
        """Return the module that sends the load, and what it is told."""
        return ["loadtests", "-"]

    def _start(self, arguments: Sequence[str], *, stdout: int | IO[str], stderr: IO[str]) -> Popen[str]:
        return Popen(
            launch.command(sealed.python("-m", *arguments), cpus=self._cpus),
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            text=True,
            env=sealed.environment(self._run_id, passed_on=sealed.CERTIFICATES),
            cwd=sealed.CWD,
            start_new_session=True,
        )

    def __exit__(self, *_: object) -> None:
        with shielded():
            if self._process is not None:
                end(self._process)

    def events(self, order: Order) -> Iterator[dict[str, Any]]:
        """Have an order carried out, and yield what the generator reports; afterwards `facts()` answers.

        Where the order is held, `begin` has to be called after the event `ready`.

        Raises:
            UserError: the workload cannot be sent (its log is missing or holds no request).
            LoadError: the generator broke.
        """
        process, said = self._process, self._said
        if process is None or process.stdin is None or said is None:
            raise LoadError("the load generator was not started")
        self._order_path.write_text(order.located().model_dump_json(indent=2), encoding="utf-8")
        with contextlib.suppress(BrokenPipeError):  # it has ended already: its exit code says why
            process.stdin.write(order.lines(self._order_path))
            process.stdin.flush()
            if not order.held:
                process.stdin.close()
        try:
            for line in said:
                event: dict[str, Any] = json.loads(line)
                if event["event"] == "finished":
                    self._facts = LoadFacts.model_validate(event["load"])
                yield event
        except SilenceError as error:
            raise LoadError(f"the load generator {error}", self._last_words()) from error
        code = process.wait()
        if code == LOST:
            raise LoadError("; ".join(self._last_words().splitlines()))
        if code == 2:
            raise UserError(self._last_words())
        if code != 0 or self._facts is None:
            raise LoadError(f"the load generator {how_it_ended(code)}", self._last_words())

    def begin(self, at_ns: int) -> None:
        """Have a held order begun at a moment of `time.perf_counter_ns`; the generator has said `ready`."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(f"{at_ns}\n")
                self._process.stdin.close()

    def facts(self) -> LoadFacts:
        """Return what the generator counted.

        Raises:
            LoadError: it has not finished.
        """
        if self._facts is None:
            raise LoadError("the load generator did not finish")
        return self._facts

    def _last_words(self) -> str:
        text = self._log_path.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.strip().splitlines()[-15:])


def end(process: Popen[str]) -> None:
    """End a process in order, or else at once."""
    if process.poll() is None:
        process.terminate()
        process.send_signal(signal.SIGCONT)  # one that is stopped could not hear it
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_S)
    if process.poll() is None:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
